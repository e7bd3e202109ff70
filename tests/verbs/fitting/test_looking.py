"""The look at the pictures, and the search for twins among them, are part of `--minutes`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from pennyweight.core.errors import InputError
from pennyweight.verbs.fitting import decide
from pennyweight.verbs.fitting import open as opening
from pennyweight.verbs.fitting.request import FitRequest


@pytest.fixture(name="request_of")
def request_of_fixture(shapes: Path) -> Callable[..., FitRequest]:
    def make(**options: Any) -> FitRequest:
        return FitRequest(source=shapes, model="mobilenet_v1_x0_25", input_size=32, progress=False, **options)

    return make


def test_a_look_that_takes_all_of_the_minutes_ends(request_of: Callable[..., FitRequest]) -> None:
    with pytest.raises(InputError, match=r"looking at pictures took all of --minutes 2, .* give it more"):
        opening.open_fit(request_of(minutes=2.0), perf_counter() - 121)


def test_the_plan_knows_what_the_look_took(
    request_of: Callable[..., FitRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[float | None] = []
    make_plan = decide.make_plan

    def note_minutes(*args: Any, **options: Any) -> Any:
        planned.append(options["minutes"])
        return make_plan(*args, **options)

    monkeypatch.setattr(decide, "make_plan", note_minutes)
    opening.open_fit(request_of(minutes=5.0), perf_counter() - 60)
    monkeypatch.setattr(opening, "MUCH", 0.0)  # the look took longer than that
    opening.open_fit(request_of(minutes=5.0), perf_counter() - 60)
    assert planned[:2] == [5.0, 5.0]
    assert len(planned) == 3
    assert planned[2] is not None
    assert 3 < planned[2] < 4


def test_without_minutes_nothing_ends(request_of: Callable[..., FitRequest]) -> None:
    assert opening.open_fit(request_of(), perf_counter() - 1e6).glances is not None
