"""Twins and shortcuts of a training's pictures, for its scores and its report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from pennyweight import data
from pennyweight.data.checks.doctor import thumbnail
from pennyweight.data.checks.shortcuts import held_out, lines_beside, shortcuts, shortcuts_in_folds
from pennyweight.data.checks.view import View
from pennyweight.report.leaks import Leaks, Shown
from pennyweight.scoring import Evaluation
from pennyweight.verbs.fitting.open import PictureFit
from pennyweight.verbs.fitting.session import RunSession

__all__ = ["leaks_of", "score_shortcuts", "twins_in_training"]

PAIRS = 12
"""Largest number of test pictures that the report shows next to their twin in training."""
CLUSTERS = 6
MEMBERS = 5
"""Most pictures of a cluster that the report shows."""
SIDE = 144


def twins_in_training(fitting: PictureFit, samples: Sequence[data.Sample]) -> data.TwinsInTraining | None:
    """Find the samples with a twin in training, validation or another fold; None where twins were not looked for."""
    if fitting.twins is None:
        return None
    if fitting.folds > 1:
        return data.have_twin_in_folds(fitting.source, fitting.twins, samples, fitting.fold_numbers)
    learned = (*fitting.splits.train, *fitting.splits.val)
    return data.have_twin(fitting.source, fitting.twins, learned, samples)


def score_shortcuts(fitting: PictureFit, evaluation: Evaluation, view: View | None, session: RunSession) -> None:
    """Score trivial classifiers on the split, keep their scores, and note those near or above the network's accuracy.

    Of a stream, nothing is known but its pictures, and nothing is scored.
    """
    if fitting.glances is None:
        return
    samples = fitting.source.samples
    number_of = {sample.name: number for number, sample in enumerate(samples)}
    moments = data.moments_of(fitting.source, fitting.twins, samples)
    labels = [sample.label for sample in samples]
    if fitting.folds > 1:
        numbers = np.array([number_of[sample.name] for sample in fitting.scored.samples], np.int64)
        found = shortcuts_in_folds(fitting.glances, labels, numbers, fitting.fold_numbers, moments)
    else:
        train, val, test = ([number_of[sample.name] for sample in fitting.splits[part]] for part in data.SPLITS)
        found = shortcuts(fitting.glances, labels, train, held_out(test, val), moments)
    session.amend(shortcuts=[each.to_dict() for each in found])
    cut = 0.0 if view is None else view.cut_away
    for line in lines_beside(found, evaluation.accuracy, evaluation.accuracy_interval, cut):
        session.shown.note(line)


def leaks_of(fitting: PictureFit) -> Leaks | None:
    """Return some pairs across splits and the largest clusters, with their pictures; None without a search."""
    if fitting.twins is None:
        return None
    samples = fitting.source.samples
    place = {sample.name: part for part in data.SPLITS for sample in fitting.splits[part]}
    found = fitting.twins.clusters(len(samples))
    clusters = sorted(found, key=len, reverse=True)

    def show(number: int) -> Shown:
        sample, preprocess = samples[number], fitting.plan.preprocess
        image = thumbnail(sample, SIDE, preprocess.levels, preprocess.max_pixels)
        part = place.get(sample.name)
        return Shown(image, sample.name, fitting.source.labels[sample.label], NAMES.get(part, "left out"))

    direct: dict[int, int] = {}
    for pair in fitting.twins.pairs.tolist():
        for test, other in (pair, pair[::-1]):
            if place.get(samples[test].name) == "test" and place.get(samples[other].name) in ("train", "val"):
                direct.setdefault(test, other)
    across, shown = 0, []  # of a cluster, one pair
    for cluster in found:
        parts: dict[str | None, list[int]] = defaultdict(list)
        for number in cluster:
            parts[place.get(samples[number].name)].append(number)
        tests, learned = parts["test"], [*parts["train"], *parts["val"]]
        if tests and learned:
            across += len(tests)
            test = next((number for number in tests if number in direct), tests[0])
            shown.append((test, direct.get(test, learned[0])))
    return Leaks(
        across=across,
        pairs=[(show(test), show(other)) for test, other in sorted(shown)[:PAIRS]],
        clusters=len(clusters),
        pictures=sum(map(len, clusters)),
        largest=[([show(number) for number in cluster[:MEMBERS]], len(cluster)) for cluster in clusters[:CLUSTERS]],
    )


NAMES: dict[str | None, str] = {"train": "training", "val": "validation", "test": "test"}
"""Split -> its name in the report."""
