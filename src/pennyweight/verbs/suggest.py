"""`suggest`: pictures without labels that teach most once they have one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.errors import SourceError
from pennyweight.core.files import write_text
from pennyweight.core.formats import allow_pixels
from pennyweight.core.heap import keeping_memory
from pennyweight.core.run import Run
from pennyweight.data.checks.doctor import thumbnail
from pennyweight.report.suggestions_page import Suggested, suggestions_page
from pennyweight.scoring.spread import choose_spread, uncertainty
from pennyweight.verbs.reviewing.out_of_fold import answer_out_of_fold, softmax
from pennyweight.verbs.reviewing.pictures import Labeled, Telling, features_of, open_labeled, open_run, require_outputs
from pennyweight.verbs.reviewing.suggestions import SuggestedPicture, Suggestions
from pennyweight.verbs.reviewing.unlabeled import open_unlabeled, without_known

__all__ = ["suggest"]

MOST_COMPARED = 5_000
"""Pictures that are compared with each other, which takes 100 MB; of more a random sample."""
SIDE = 256


@keeping_memory()
@sharing_cores()
def suggest(
    run: str | os.PathLike[str] | Run,
    folder: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    source: data.AnySource | None = None,
    *,
    count: int = 24,
    html: str | os.PathLike[str] | None = None,
    csv: str | os.PathLike[str] | None = None,
    read_as: data.ReadAs | Mapping[str, Any] | None = None,
    max_pixels: int | None = None,
    advance: Callable[[int], None] = lambda count: None,
    left_out: Callable[[data.Unreadable], None] = lambda unreadable: None,
    note: Callable[[str], None] = lambda line: None,
) -> Suggestions:
    """Choose the pictures of a folder whose labels would teach most: uncertain ones that stand for many others.

    Pictures that are labeled already, their twins, and all but one of several twins are never suggested.

    Args:
        run: Run, or its folder; its network computes the features.
        folder: Folder of pictures without labels, with all that is inside it, or several paths.
        source: Labeled pictures; by default those of the training.
        count: Number of pictures to choose.
        html: New file of a contact sheet.
        csv: New table with the columns path and label, the latter empty.
        read_as: Columns, folder, ending and label_from of `source`, and corrections.
        max_pixels: Pixels of the largest picture to read; by default 80 million.
        advance: Callback that is given the number of pictures after each step.
        left_out: Callback that is given each picture that cannot be read.
        note: Callback that is given a line on skipped files, or on a random sample.

    Returns:
        The suggestions: `pictures`, the most useful first.

    Raises:
        RunError: There is no run, or it is damaged.
        SourceError: The labeled pictures are not here, or the folder has no new picture.
        InputError: A file exists already, or `count` is below 1.
    """
    require_outputs(count, html, csv)
    allow_pixels(max_pixels)
    paths = [folder] if isinstance(folder, (str, os.PathLike)) else list(folder)
    telling: Telling = {"max_pixels": max_pixels, "advance": advance, "left_out": left_out}
    opened, pool = open_run(run, "suggest"), open_unlabeled(paths, note=note, left_out=left_out)
    labeled = open_labeled(opened, source, verb="suggest", read_as=read_as, **telling)
    new = without_known(pool, labeled.source, max_pixels=max_pixels)
    samples, features = features_of(opened, _some(new.samples, note), **telling)
    if not samples:
        raise SourceError(f"every picture of {pool.name} is labeled already, or is a twin of one that is")
    chosen, pictures = _chosen(labeled, samples, features, count)
    found = Suggestions(
        source=pool.name, labels=labeled.source.labels, pictures=pictures, considered=len(samples), known=new.known
    )
    if csv is not None:
        found.write_csv(Path(csv))
    if html is not None:
        write_text(Path(html), _page(found, [samples[number] for number in chosen.tolist()], max_pixels))
    return found


def _some(samples: Sequence[data.Sample], note: Callable[[str], None]) -> list[data.Sample]:
    """Return the pictures, or a random sample of many."""
    if len(samples) <= MOST_COMPARED:
        return list(samples)
    note(f"{MOST_COMPARED:,} of {len(samples):,} pictures, drawn at random, are compared")
    chosen = np.random.default_rng(0).permutation(len(samples))[:MOST_COMPARED]
    return [samples[number] for number in np.sort(chosen).tolist()]


def _chosen(
    labeled: Labeled, samples: Sequence[data.Sample], features: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], tuple[SuggestedPicture, ...]]:
    """Return the numbers of the chosen pictures, and what is known of each."""
    known = labeled.source
    answers = answer_out_of_fold(labeled.features, known.samples, known.labels, labeled.clusters)
    probabilities = np.mean([softmax(head.logits(features)) for head in answers.heads], axis=0)
    doubts, best = uncertainty(probabilities), probabilities.argmax(axis=1)
    chosen = choose_spread(features, labeled.features, doubts, min(count, len(samples)))
    return chosen, tuple(
        SuggestedPicture(
            picture=samples[number].name,
            answer=known.labels[int(best[number])],
            probability=float(probabilities[number].max()),
            uncertainty=float(doubts[number]),
        )
        for number in chosen.tolist()
    )


def _page(found: Suggestions, samples: Sequence[data.Sample], max_pixels: int | None) -> str:
    """Return the contact sheet."""
    shown = [
        Suggested(each.picture, each.answer, each.probability, thumbnail(sample, SIDE, (), max_pixels))
        for each, sample in zip(found.pictures, samples, strict=True)
    ]
    return suggestions_page(found.source, shown, considered=found.considered, known=found.known)
