"""Values read the same wherever they are shown."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pennyweight.core.figures import duration, fine_share, number, plain, several, shape, share, spread


@pytest.mark.parametrize(
    ("value", "text"),
    [(3504872, "3,504,872"), (0, "0"), (None, "–"), (0.98123, "0.9812"), (3e-5, "3e-05"), (12345.6, "12,346")],
)
def test_number(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.981, "98.1%"),
        (1.0, "100.0%"),
        (0.99991, ">99.9%"),
        (0.0, "0.0%"),
        (1e-5, "<0.1%"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_share_says_all_and_nothing_only_when_exact(value: float | None, text: str) -> None:
    assert share(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.99979, "99.98%"), (0.99996, ">99.99%"), (1.0, "100.00%"), (0.0, "0.00%"), (None, "–"), (math.nan, "–")],
)
def test_fine_share(value: float | None, text: str) -> None:
    assert fine_share(value) == text


def test_shape() -> None:
    assert shape((3, 224, 224)) == "3×224×224"
    assert shape([]) == "scalar"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.21, "4.2 s"), (9.97, "10 s"), (41, "41 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3725, "1 h 02 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "yes"), (None, "–"), ([0.5, 0.25], "0.5, 0.25"), ({"width": 0.25}, "width: 0.25"), ("a", "a"), ([], "–")],
)
def test_plain(value: Any, text: str) -> None:
    assert plain(value) == text


def test_a_count_with_its_noun() -> None:
    assert [several(count, "thread") for count in (0, 1, 2, 1000)] == [
        "0 threads",
        "1 thread",
        "2 threads",
        "1,000 threads",
    ]


def test_a_spread_is_from_a_quarter_to_three() -> None:
    assert spread((4.64153, 12_345.6)) == "4.642–12,346"
