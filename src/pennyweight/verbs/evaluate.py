"""`evaluate`: how good a run or a bundle is on pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.run import Run
from pennyweight.runtime import Bundle, Classifier
from pennyweight.scoring import Evaluation, score
from pennyweight.verbs.load import load, open_trained

__all__ = ["answer", "evaluate"]

BATCH = 64


def evaluate(
    run_or_bundle: str | os.PathLike[str] | Run | Bundle,
    source: str | data.Source | None = None,
    *,
    split: data.Split = "test",
    advance: Callable[[int], None] = lambda count: None,
    left_out: Callable[[data.Unreadable], None] = lambda unreadable: None,
) -> Evaluation:
    """Score a run or bundle on a split of `source`; by default on what the run was trained on.

    A source without split folders that the run was not trained on is scored whole (and its split is called
    "all"). Two evaluations of the same files are identical. `advance(n)` is called after every n pictures, `left_out`
    with each that cannot be read.
    Raises SourceError for classes that the network does not know.
    """
    if split not in data.SPLITS:
        raise InputError(f"unknown split '{split}'; there are {', '.join(data.SPLITS)}")
    trained = open_trained(run_or_bundle)
    classifier = load(trained)
    trained_on = trained.record["data"] if isinstance(trained, Run) else trained.manifest.data
    address = trained_on["address"] if isinstance(trained, Run) else trained_on["name"]
    opened = _open(source, address, trained)
    same = opened.fingerprint == trained_on["fingerprint"]
    if source is None and isinstance(trained, Bundle) and not same:
        # A bundle knows its pictures by name alone, and another folder may have that name.
        raise SourceError(
            f"'{address}' here is not what {trained.path} was trained on; say what to score: "
            f"evaluate {trained.path} SOURCE"
        )
    own = same or opened.address == address
    if own and trained_on.get("group_by") and not isinstance(source, data.Source):
        opened = data.open(opened.address, group_by=trained_on["group_by"])  # the same groups, for the same splits
    if own or opened.has_splits:
        samples: Sequence[data.Sample] = data.split(opened)[split]
        name: str = split
    else:
        samples, name = opened.samples, "all"
    samples = _as_labelled(classifier, opened, samples)
    pictures = data.Pictures(samples, classifier.preprocess, cache=data.DecodedCache())
    unreadable = pictures.read()
    for each in unreadable:
        left_out(each)
    data.require_enough(replace(opened, samples=tuple(pictures.samples)), unreadable, pictures)
    return score(
        answer(classifier, pictures, advance),
        pictures.targets,
        labels=classifier.labels,
        source=opened.name,
        split=name,
    )


def answer(
    classifier: Classifier, pictures: data.Pictures, advance: Callable[[int], None] = lambda count: None
) -> NDArray[np.float32]:
    """What the classifier says of every picture, in order: probabilities (N, classes)."""
    rows = []
    for batch in pictures.in_order(BATCH):
        assert isinstance(batch.pixels, np.ndarray)
        rows.append(classifier.engine(batch.pixels).probabilities)
        advance(len(batch.targets))
    return np.concatenate(rows)


def _open(source: str | data.Source | None, address: str, trained: Run | Bundle) -> data.Source:
    if isinstance(source, data.Source):
        return source
    if source is not None:
        return data.open(source)
    try:
        return data.open(address)
    except SourceError as error:
        where = trained.folder if isinstance(trained, Run) else trained.path
        raise SourceError(
            f"the pictures that {where} was trained on are not here ({address}); name others: evaluate {where} SOURCE"
        ) from error


def _as_labelled(
    classifier: Classifier, source: data.Source, samples: Sequence[data.Sample]
) -> tuple[data.Sample, ...]:
    """The samples with labels numbered as the classifier numbers them."""
    unknown = [label for label in source.labels if label not in classifier.labels]
    if unknown:
        known = ", ".join(classifier.labels)
        raise SourceError(f"{source.name} has a class '{unknown[0]}' that the network does not know; it knows {known}")
    numbers = [classifier.labels.index(label) for label in source.labels]
    return tuple(replace(sample, label=numbers[sample.label]) for sample in samples)
