"""`review`: likely label errors of a source, as a list and as a page on which a person decides."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.files import write_text
from pennyweight.core.formats import allow_pixels
from pennyweight.core.heap import keeping_memory
from pennyweight.core.run import Run
from pennyweight.data.corrections import Correction, carry_over
from pennyweight.scoring.label_quality import (
    Neighbors,
    estimate_errors,
    label_quality,
    nearest_in_other_folds,
    nearest_of_other_classes,
    vote,
)
from pennyweight.verbs.reviewing.out_of_fold import OutOfFold, answer_out_of_fold
from pennyweight.verbs.reviewing.page import Known, page_of
from pennyweight.verbs.reviewing.pictures import Labeled, open_labeled, open_run, require_outputs
from pennyweight.verbs.reviewing.result import Review, ReviewedPicture
from pennyweight.verbs.scored_source import UNCORRECTED

__all__ = ["review"]


@keeping_memory()
@sharing_cores()
def review(
    run: str | os.PathLike[str] | Run,
    source: data.AnySource | None = None,
    *,
    html: str | os.PathLike[str] | None = None,
    csv: str | os.PathLike[str] | None = None,
    count: int | None = None,
    read_as: data.ReadAs | Mapping[str, Any] | None = None,
    max_pixels: int | None = None,
    advance: Callable[[int], None] = lambda count: None,
    left_out: Callable[[data.Unreadable], None] = lambda unreadable: None,
) -> Review:
    """Rank the pictures of a source by the quality of their labels, and write a page on which a person corrects them.

    Heads on the features of the run's network answer each picture out of fold: none has seen the picture, its twins or
    its group. Every picture is answered, whatever split it has. `fit` with `corrections` reads what the page saves.

    Args:
        run: Run, or its folder; its network computes the features.
        source: Labeled pictures, as `pw.fit` takes them; by default those of the training.
        html: New file of the page.
        csv: New table of all pictures, with empty columns correct_label and leave_out.
        count: Pictures in the first list of the page; by default a tenth of all, at least 24 and at most 200.
        read_as: Columns, folder, ending and label_from of a source whose files do not say them, and corrections.
        max_pixels: Pixels of the largest picture to read; by default 80 million.
        advance: Callback that is given the number of pictures after each step.
        left_out: Callback that is given each picture that cannot be read.

    Returns:
        The review: `pictures` in the order of `quality`, and the number of `likely_errors`.

    Raises:
        RunError: There is no run, or it is damaged.
        SourceError: The pictures of the training are not here, are streamed, or are too few of a class.
        InputError: A file exists already, or `count` is below 1.
    """
    require_outputs(count, html, csv)
    allow_pixels(max_pixels)
    labeled = open_labeled(
        open_run(run, "review"), source,
        verb="review", read_as=read_as, max_pixels=max_pixels, advance=advance, left_out=left_out,
    )  # fmt: skip
    found, known, order = _ranked(labeled)
    if csv is not None:
        found.write_csv(Path(csv))
    if html is not None:
        write_text(Path(html), page_of(found, known, order, count=count, max_pixels=max_pixels))
    return found


def _ranked(labeled: Labeled) -> tuple[Review, Known, NDArray[np.int64]]:
    """Return the review, what the page shows of it, and the numbers of the pictures in its order."""
    source, targets = labeled.source, np.array([sample.label for sample in labeled.source.samples], np.int64)
    answers = answer_out_of_fold(labeled.features, source.samples, source.labels, labeled.clusters)
    near = nearest_in_other_folds(labeled.features, answers.folds)
    others = nearest_of_other_classes(labeled.features, targets)
    quality = label_quality(answers.probabilities, vote(near, targets, len(source.labels)), targets)
    order = np.argsort(quality, kind="stable")
    found = Review(
        source=source.name,
        labels=source.labels,
        pictures=tuple(_rows(source, order, quality, answers, others)),
        likely_errors=estimate_errors(answers.probabilities, targets),
        notes=_notes(labeled),
        earlier=_earlier(source),
    )
    return found, Known(labeled, near, others, answers), order


def _rows(
    source: data.Source,
    order: NDArray[np.int64],
    quality: NDArray[np.float64],
    answers: OutOfFold,
    others: Neighbors,
) -> Sequence[ReviewedPicture]:
    """Return the pictures in order, each with its figures."""
    rows = []
    for number in order.tolist():
        sample, probabilities = source.samples[number], answers.probabilities[number]
        answer, other = int(probabilities.argmax()), source.samples[int(others.numbers[number, 0])]
        rows.append(
            ReviewedPicture(
                picture=sample.name,
                label=source.labels[sample.label],
                answer=source.labels[answer],
                quality=float(quality[number]),
                label_probability=float(probabilities[sample.label]),
                answer_probability=float(probabilities[answer]),
                nearest_other=other.name,
                nearest_other_label=source.labels[other.label],
                similarity=float(others.similarity[number, 0]),
                digest=sample.digest,
            )
        )
    return rows


def _notes(labeled: Labeled) -> tuple[str, ...]:
    """Return lines on what weakens the ranking."""
    uncorrected = tuple(line for line in labeled.source.notes if line.startswith(UNCORRECTED))
    if not labeled.learned:
        return uncorrected
    return (
        *uncorrected,
        "the whole network of this run learned from these labels, so that some wrong ones look right; a run of mode "
        "head finds more of them",
    )


def _earlier(source: data.Source) -> dict[tuple[str, str], Correction]:
    """Return the corrections that the source was opened with, by the picture's name and digest."""
    table = source.read_as.get("corrections")
    rows = [] if table is None else carry_over(source.samples, Path(table))
    return {(each.picture, each.digest): each for each in rows}
