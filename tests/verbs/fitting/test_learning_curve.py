"""The learning curve has nested parts of whole units, and says what more pictures would bring."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.data import Sample
from pennyweight.verbs.fitting.learning_curve import curve_of, parts_of


def sample(number: int, label: int, group: str | None = None) -> Sample:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return Sample(hashlib, label, digest, None, f"{number}.png", group)  # type: ignore[arg-type]


def answers(correct: int, count: int = 100) -> NDArray[np.bool_]:
    return np.arange(count) < correct


def curve(*correct: int, count: int = 100, targets: NDArray[np.int64] | None = None) -> dict[str, Any]:
    """The curve of as many correct answers with a quarter, a half and all of the pictures, or fewer points."""
    shares = (4, 2, 1)[-len(correct) :]
    parts = [(count // share, answers(right, count)) for share, right in zip(shares, correct, strict=True)]
    targets = np.arange(count) % 2 if targets is None else targets
    found = curve_of(parts, None, targets, ("cats", "dogs"))
    assert found is not None
    return found


def test_parts_are_nested_and_hold_a_quarter_and_a_half_of_each_class() -> None:
    samples = [sample(number, number % 3) for number in range(96)]
    quarter, half = parts_of(samples, seed=0, clusters={})
    labels = np.array([each.label for each in samples])
    assert not (quarter & ~half).any()
    assert [np.bincount(labels[part]).tolist() for part in (quarter, half)] == [[8, 8, 8], [16, 16, 16]]
    assert not np.array_equal(quarter, parts_of(samples, seed=1, clusters={})[0])


def test_units_stay_whole_and_small_classes_have_fewer_parts() -> None:
    samples = [sample(number, number % 2, group=f"film-{number // 10}") for number in range(100)]
    for part in parts_of(samples, seed=0, clusters={}):
        assert all(len(set(part[start : start + 10])) == 1 for start in range(0, 100, 10))
    few = [sample(number, number % 2) for number in range(10)]
    (half,) = parts_of(few, seed=0, clusters={})
    assert 4 <= half.sum() <= 6
    assert parts_of(few[:5], seed=0, clusters={}) == []


def test_the_line_says_what_twice_as_many_would_bring() -> None:
    found = curve(60, 70, 80)
    assert [(point["pictures"], point["accuracy"]) for point in found["points"]] == [(25, 0.6), (50, 0.7), (100, 0.8)]
    low, high = found["points"][-1]["accuracy_interval"]
    assert low < 0.8 < high
    (line,) = found["lines"]
    # 20 points in two doublings, of which the second brought half of the first: 6.7, and the next one 3.3.
    assert line.startswith("25 of the 100 pictures give 60.0%, all of them 80.0%: twice as many would bring about 3.3")


def test_a_flat_curve_of_many_pictures_says_that_more_bring_little() -> None:
    (line,) = curve(899, 900, 900, count=1000)["lines"]
    assert line.endswith("twice as many would bring less than 2 points")
    assert curve(40, 50)["lines"][0].startswith("50 of the 100 pictures give 40.0%")


def test_a_class_that_is_surely_recognized_less_is_named() -> None:
    targets = np.where(np.arange(100) < 50, 0, 1)
    *_, line = curve(50, 70, targets=targets)["lines"]
    assert line == (
        "class 'dogs' is recognized least, 40.0% of its pictures and 100.0% of the others: add pictures of it first"
    )
    assert len(curve(60, 70)["lines"]) == 1
    assert len(curve(8, 10, count=12, targets=np.where(np.arange(12) < 6, 0, 1))["lines"]) == 1  # 4 of 6, and 6 of 6


def test_few_equal_answers_promise_nothing() -> None:
    """No answer of 12 differs, which leaves the gain as open as it was."""
    (line,) = curve(9, 9, count=12)["lines"]
    assert "twice as many would bring about 0.0 points (0.0 to " in line
    (line,) = curve(80, 70)["lines"]
    assert line.endswith("twice as many would bring cannot be told")


def test_twins_count_once_in_what_more_would_bring() -> None:
    moments = np.arange(100) // 20
    apart, together = (
        curve_of([(50, answers(60)), (100, answers(70))], each, np.arange(100) % 2, ("cats", "dogs"))
        for each in (None, moments)
    )
    ends = [float(found["lines"][0].rpartition(" to ")[2].rstrip(")")) for found in (apart, together) if found]
    assert ends[1] > ends[0]


def test_a_single_point_is_no_curve() -> None:
    assert curve_of([(100, answers(50))], None, np.arange(100) % 2, ("a", "b")) is None
