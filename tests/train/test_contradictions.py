"""Changes that contradict the labels are found, and changes that do not are kept."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from time import perf_counter

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pennyweight.core.images import Pixels
from pennyweight.data import CHANGES, Augment
from pennyweight.train import contradictions
from pennyweight.train.contradictions import Examples, Findings, find_contradictions
from pennyweight.train.examples import hold_out
from pennyweight.train.quick_network import QuickNetwork, shrink
from pennyweight.train.told_apart import ToldApart

SIDE = 16
Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


def noise(draw: np.random.Generator, deviation: float = 12) -> NDArray[np.float64]:
    return draw.normal(128, deviation, (SIDE, SIDE, 3))


def letter(draw: np.random.Generator, number: int) -> NDArray[np.float64]:
    """b, d, or for other numbers a frame: a stem on the left, on the right, on both sides."""
    glyph = np.zeros((9, 6), bool)
    glyph[:, :2] = number != 1
    glyph[:, 4:] = number != 0
    glyph[4:6] = glyph[8:] = glyph[4:, :] = True
    glyph[6:8, 2:4] = False
    picture = noise(draw)
    y, x = draw.integers(0, 7), draw.integers(0, 10)
    picture[y : y + 9, x : x + 6][glyph] = 30
    return picture


def stripes(draw: np.random.Generator, number: int) -> NDArray[np.float64]:
    """Stripes that lie or stand, which a mirror keeps."""
    picture = noise(draw)
    picture[draw.integers(0, 4) :: 4] -= 70 * (number == 0)
    picture[:, draw.integers(0, 4) :: 4] -= 70 * (number == 1)
    return picture


def light(draw: np.random.Generator, number: int) -> NDArray[np.float64]:
    """Dark and light pictures."""
    return noise(draw) + (55 if number else -55)


def nothing(draw: np.random.Generator, number: int) -> NDArray[np.float64]:
    return noise(draw)


def find(
    one: Draw,
    augment: Augment,
    *,
    classes: int = 2,
    each: int = 90,
    scored: int = 20,
    clock: Callable[[], float] = perf_counter,
    **options: float,
) -> Findings:
    random = np.random.default_rng(0)

    def examples(count: int) -> Examples:
        targets = np.tile(np.arange(classes), count)
        drawn = np.stack([one(random, number) for number in targets.tolist()])
        return Examples(drawn.clip(0, 255).astype(np.uint8), targets)

    asked = {"seed": 0, "steps": 1_000, "within_s": 300.0, **options}
    return find_contradictions(
        examples(each), examples(scored), augment, classes=classes, device=torch.device("cpu"),
        seed=int(asked["seed"]), steps=int(asked["steps"]), within_s=asked["within_s"],
        clock=clock,
    )  # fmt: skip


@pytest.mark.slow
def test_a_mirror_that_exchanges_classes_contradicts_them() -> None:
    found = find(letter, Augment(flip=True, shift=0.1))
    assert found.lost == {"flip": [(0, 1, True)]}
    assert found.told == (1, 1)
    assert found.shares["shift"] > 0.8 > found.shares["flip"]


@pytest.mark.slow
def test_one_pair_among_more_classes_is_enough() -> None:
    assert find(letter, Augment(flip=True, shift=0.0), classes=3).lost == {"flip": [(0, 1, True)]}


def test_a_mirror_and_a_shift_that_keep_the_classes_stay() -> None:
    found = find(stripes, Augment(flip=True, shift=0.125))
    assert found.lost == {}
    assert found.told == (1, 1)


@pytest.mark.slow
def test_a_change_that_takes_away_the_difference_contradicts_the_labels() -> None:
    others = tuple(set(CHANGES) - {"autocontrast", "rotate", "color"})
    found = find(light, Augment(flip=True, shift=0.1, policy="trivial", without=others))
    assert found.lost == {"autocontrast": [(0, 1, False)]}


@pytest.mark.slow
def test_a_change_that_was_not_tried_often_enough_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock ticks once for each step."""
    monkeypatch.setattr(contradictions, "ENOUGH", 10**9)
    others = tuple(set(CHANGES) - {"autocontrast"})
    found = find(
        light,
        Augment(flip=False, shift=0.0, policy="trivial", without=others),
        within_s=120,
        clock=itertools.count().__next__,
    )
    assert found.lost == {}
    assert found.undecided == ["autocontrast"]


@pytest.mark.parametrize(
    ("classes", "each", "surely"), [(2, 20, True), (2, 4, False), (100, 10, False), (100, 40, True)]
)
def test_few_right_pictures_of_one_pair_among_thousands_are_luck(classes: int, each: int, surely: bool) -> None:
    """One pair is right by chance, and all others always."""
    shares = np.ones((classes, classes))
    shares[0, 1] = shares[1, 0] = 0.5
    found = ToldApart(shares, np.full(classes, each)).below_half
    assert found[0, 1] == surely
    assert found.sum() == surely


@pytest.mark.slow
def test_many_classes_of_few_pictures_keep_what_they_do_not_mind() -> None:
    """Every class has a smooth pattern of its own, seen mirrored and shifted."""
    coarse = torch.from_numpy(np.random.default_rng(0).normal(0, 30, (150, 3, 4, 4)))
    patterns = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bicubic").permute(0, 2, 3, 1).numpy()

    def one(draw: np.random.Generator, number: int) -> NDArray[np.float64]:
        moved = np.roll(patterns[number], draw.integers(-5, 6, 2), (0, 1))
        return draw.normal(128, 40, moved.shape) + moved[:, :: draw.choice((1, -1))]

    assert find(one, Augment(flip=True, shift=0.125), classes=150, each=20, scored=2).lost == {}


@pytest.mark.slow
@pytest.mark.parametrize("each", [14, 21])
@pytest.mark.parametrize("scored", [1, 2])
def test_a_mirror_that_exchanges_classes_of_few_pictures_is_found(each: int, scored: int) -> None:
    found = find(letter, Augment(flip=True, shift=0.1), each=each, scored=scored)
    assert found.lost == {"flip": [(0, 1, True)]}


@pytest.mark.parametrize(("right", "cleared"), [(0.0, False), (0.7, False), (1.0, True)])
def test_few_right_pictures_clear_a_change_only_if_surely_above_the_limit(right: float, cleared: bool) -> None:
    """All ten pictures looked like the other class at first."""

    def answers(share: float) -> ToldApart:
        return ToldApart(np.array([[1, share], [share, 1]]), np.full(2, 5))

    told, first, now = answers(1.0), answers(0.0), answers(right)
    assert told.falls(first)[0, 1]
    assert told.surely_keeps(now, contradictions.LEFT)[0, 1] == cleared


def test_pairs_of_many_classes_with_few_pictures_fall_by_luck() -> None:
    classes = 150
    told = ToldApart(np.ones((classes, classes)), np.full(classes, 2))
    changed = ToldApart(np.where(np.eye(classes, k=1), 0.5, 1.0), told.counts)
    assert not told.falls(changed).any()


def test_an_uncertain_change_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single picture of each class can be right by luck, and clears nothing."""
    monkeypatch.setattr(contradictions, "ENOUGH", 0)
    monkeypatch.setattr("pennyweight.train.examples.ENOUGH_SCORED", 0)
    monkeypatch.setattr(QuickNetwork, "answer", answer_by_the_stem)
    found = find(letter, Augment(flip=True, shift=0.0), each=8, scored=1, steps=25)
    assert (found.lost, found.undecided, found.doubtful) == ({}, [], ["flip"])


def answer_by_the_stem(self: QuickNetwork, pixels: Pixels) -> NDArray[np.float32]:
    """Answer b where the darkest column is the left end of the letter."""
    dark = (pixels.mean(-1) < 70).sum(1)
    ends = [np.flatnonzero(row)[[0, -1]] for row in dark]
    lean = np.array([row[one] - row[other] for row, (one, other) in zip(dark, ends, strict=True)], np.float32)
    return np.stack([lean, -lean], axis=1)


def test_training_pictures_are_held_out_where_few_are_to_be_scored() -> None:
    targets = np.repeat([0, 1, 2], [30, 9, 30])
    training = Examples(np.arange(len(targets), dtype=np.uint8)[:, None, None, None], targets)
    scored = Examples(np.full((16, 1, 1, 1), 200, np.uint8), np.repeat([0, 1, 2], [4, 2, 10]))
    learned, held = hold_out(training, scored, seed=0)
    assert np.bincount(held.targets).tolist() == [10, 5, 10]
    assert np.bincount(learned.targets).tolist() == [24, 6, 30]
    assert not set(learned.pixels.ravel().tolist()) & set(held.pixels.ravel().tolist())


def test_pairs_that_are_not_told_apart_are_named() -> None:
    found = find(nothing, Augment(flip=True, shift=0.0), steps=25)
    assert found.untold == [(0, 1)]


def test_what_cannot_be_told_apart_is_no_evidence() -> None:
    found = find(nothing, Augment(flip=True, shift=0.125), steps=25)
    assert found.lost == {}
    assert found.told == (0, 1)


def test_without_time_a_single_step_is_learned() -> None:
    found = find(letter, Augment(flip=True, shift=0.1), within_s=0)
    assert found.steps == 1
    assert found.lost == {}


@pytest.mark.parametrize("within_s", [1_500, pytest.param(6_000, marks=pytest.mark.slow)])
def test_scoring_keeps_within_the_time(monkeypatch: pytest.MonkeyPatch, within_s: float) -> None:
    """A picture takes a second to answer for, and a step takes nothing."""
    spent, answer = [0.0], QuickNetwork.answer

    def slow(self: QuickNetwork, pixels: Pixels) -> NDArray[np.float32]:
        spent[0] += len(pixels)
        return answer(self, pixels)

    monkeypatch.setattr(QuickNetwork, "answer", slow)
    augment = Augment(flip=True, shift=0.1, policy="trivial")
    found = find(stripes, augment, scored=300, within_s=within_s, clock=lambda: spent[0])
    assert spent[0] <= within_s
    assert {*found.shares} | {*found.untried} == {"flip", "shift", *CHANGES}
    assert not {*found.shares} & {*found.untried}


def test_classes_without_scored_pictures_are_no_evidence() -> None:
    pixels = np.zeros((40, SIDE, SIDE, 3), np.uint8)
    training, scored = Examples(pixels, np.arange(40) // 38), Examples(pixels[:3], np.zeros(3, np.int64))
    found = find_contradictions(
        training, scored, Augment(flip=True, shift=0.1), classes=2, seed=0, steps=25, within_s=9,
        device=torch.device("cpu"),
    )  # fmt: skip
    assert found.lost == {}
    assert found.told == (0, 0)
    assert found.unscored == [1]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((32, 32), (32, 32)), ((16, 8), (16, 8)), ((128, 128), (32, 32)), ((56, 224), (16, 64)), ((640, 20), (181, 8))],
)
def test_pictures_shrink_to_as_many_pixels(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    assert shrink(np.zeros((2, *shape, 3), np.uint8), 32).shape == (2, *expected, 3)
