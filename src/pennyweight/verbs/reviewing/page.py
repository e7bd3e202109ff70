"""Choose the pictures of the review page, each in one list, and draw them with the nearest ones."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.images import Pixels
from pennyweight.data.checks.doctor import thumbnail
from pennyweight.report.review_page import Card, Lookalike, Section, review_page
from pennyweight.scoring.label_quality import Neighbors
from pennyweight.verbs.reviewing.out_of_fold import OutOfFold
from pennyweight.verbs.reviewing.pictures import Labeled
from pennyweight.verbs.reviewing.result import Review, earlier_row

__all__ = ["Known", "page_of"]

LEAST, MOST = 24, 200
"""Pictures in the first list of the page."""
SIDE, SMALL = 256, 112
"""Pixels of the longer side of a picture, and of the pictures next to it."""


class Known(NamedTuple):
    """Facts about the N pictures that cards show."""

    labeled: Labeled
    near: Neighbors
    """Nearest pictures of the other folds."""
    others: Neighbors
    """Nearest pictures of the other classes."""
    answers: OutOfFold


def page_of(
    review: Review, known: Known, order: NDArray[np.int64], *, count: int | None, max_pixels: int | None
) -> str:
    """Return the page: likely label errors, then the surest other mistakes, then pictures close to another class."""
    drawn = _Drawn(known, max_pixels)
    labeled, others, answers = known.labeled, known.others, known.answers
    first = count or min(MOST, max(LEAST, len(order) // 10))
    rest = min(first, LEAST)
    samples = labeled.source.samples
    decided = [(samples[number].name, samples[number].digest) in review.earlier for number in range(len(samples))]
    waiting = [number for number in order.tolist() if not decided[number]]
    likely, waiting = waiting[:first], waiting[first:]
    probabilities, targets = answers.probabilities, drawn.targets
    wrong = [number for number in waiting if probabilities[number].argmax() != targets[number]]
    mistakes = sorted(wrong, key=lambda number: -float(probabilities[number].max()))[:rest]
    waiting = [number for number in waiting if number not in set(mistakes)]
    close = sorted(waiting, key=lambda number: -float(others.similarity[number, 0]))[:rest]
    sections = [
        Section(
            "Least likely labels",
            "Heads that had not seen the picture, and the nearest pictures, give these labels the lowest probability. "
            "Most label errors are among the first.",
            [drawn.card(number) for number in likely],
        ),
        Section(
            "Surest mistakes",
            "The other pictures that these heads answer wrongly, the surest answer first.",
            [drawn.card(number) for number in mistakes],
        ),
        Section(
            "Close to another class",
            "Pictures that look most like a picture of another class: one of the two labels may be wrong.",
            [drawn.card(number) for number in close],
        ),
    ]
    return review_page(
        source=labeled.source.name,
        address="SOURCE" if data.is_passed(labeled.source.address) else quote(labeled.source.address),
        fingerprint=labeled.source.fingerprint,
        labels=review.labels,
        pictures=len(review.pictures),
        likely_errors=review.likely_errors,
        notes=review.notes,
        earlier=[earlier_row(one) for one in review.earlier.values()],
        sections=[section for section in sections if section.cards],
    )


class _Drawn:
    """Cards of pictures, whose files are decoded when a card needs them."""

    def __init__(self, known: Known, max_pixels: int | None) -> None:
        self.source, self.known = known.labeled.source, known
        self.levels = () if known.labeled.levels is None else known.labeled.levels.levels
        self.max_pixels = max_pixels
        self.targets = np.array([sample.label for sample in self.source.samples], np.int64)

    def card(self, number: int) -> Card:
        """Return the card of a picture, with the nearest picture of its label and two of other classes."""
        sample, labels = self.source.samples[number], self.source.labels
        probabilities = self.known.answers.probabilities[number]
        own = [each for each in self.known.near.numbers[number].tolist() if self.targets[each] == sample.label][:1]
        alike = [*own, *self.known.others.numbers[number].tolist()]
        return Card(
            picture=sample.name,
            digest=sample.digest,
            label=labels[sample.label],
            image=self._pixels(sample, SIDE),
            answers=_answers(probabilities, labels),
            label_probability=float(probabilities[sample.label]),
            nearest=[self._beside(each) for each in alike],
        )

    def _beside(self, number: int) -> Lookalike:
        sample = self.source.samples[number]
        return Lookalike(self.source.labels[sample.label], sample.name, self._pixels(sample, SMALL))

    def _pixels(self, sample: data.Sample, side: int) -> Pixels | None:
        return thumbnail(sample, side, self.levels, self.max_pixels)


def _answers(probabilities: NDArray[np.float64], labels: Sequence[str]) -> list[tuple[str, float]]:
    """Return every class with its probability, the most probable first."""
    return [(labels[each], float(probabilities[each])) for each in np.argsort(-probabilities, kind="stable").tolist()]
