"""A measurement of the machine that disagrees with itself, by times that are made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from pennyweight.cost import MachineProfile, count
from pennyweight.cost.timing.agreement import agreement_of, load_average, thread_waits, waited_share
from pennyweight.cost.timing.microbenchmarks import Case
from pennyweight.cost.timing.operator_kinds import kind_of
from pennyweight.cost.timing.predict import build_profile, time_notes
from pennyweight.cost.timing.roofline import Limits

STEADY = [1.0, 1.02, 1.01, 1.0, 1.03, 1.0]


@pytest.mark.parametrize(
    ("times", "holds"),
    [
        ([STEADY] * 10, True),
        ([[9.0, 1.0, 1.0, 7.0, 1.02, 1.0]] * 10, True),  # stray times: what disturbs now and then
        ([[1.0, 1.0, 1.0, 1.5, 1.4, 1.4]] * 10, False),  # somebody came in the middle
        ([[2.0, 2.0, 2.2, 1.0, 1.0, 1.0]] * 10, False),  # or left
        ([STEADY] * 7 + [[1.0, 1.0, 1.0, 2.0, 2.0, 2.0]] * 3, False),  # to the longest operators alone
        ([STEADY] * 9 + [[1.0, 1.0, 1.0, 2.0, 2.0, 2.0]], True),
    ],
)
def test_two_halves_of_the_rounds_are_compared(times: list[list[float]], holds: bool) -> None:
    found = agreement_of(times, waited=0.001, load=0.1)
    assert found is not None
    assert found.holds is holds


def test_waiting_for_a_processor_is_no_quiet_machine() -> None:
    """Somebody who is there all the while slows both halves alike."""
    assert agreement_of([STEADY], waited=0.0).holds
    busy = agreement_of([STEADY], waited=0.31, load=2.5)
    assert not busy.holds
    assert "threads waited 31% of the time" in str(busy)
    assert "load 2.5 on" in str(busy)
    assert agreement_of([STEADY], waited=None, load=None).holds


def test_one_round_says_nothing_of_itself() -> None:
    assert agreement_of([[1.0], [2.0]]) is None
    assert agreement_of([]) is None


def test_what_the_system_tells() -> None:
    before = thread_waits()
    share = waited_share(before, 1.0)
    assert (share is None) == (not before)
    assert share is None or 0 <= share < 60
    assert load_average() is None or load_average() >= 0


def cases(times: list[float]) -> list[Case]:
    made = []
    for width in (100, 110, 120):
        (operation,) = count(nn.Linear(width, width, bias=False), (width,)).operations
        made.append(Case(nn.Identity(), (width,), operation, kind_of(operation), list(times)))
    return made


def test_a_doubtful_profile_is_kept_as_one_and_every_prediction_says_so(
    limits: Limits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path))
    doubtful = build_profile(cases([1.0, 1.0, 2.0, 2.0]), limits, load=5.0)
    doubtful.save()
    again = MachineProfile.load()
    assert again.agreement == doubtful.agreement
    cost = count(nn.Linear(4, 4), (4,))
    (note,) = time_notes(cost, again)
    assert note.startswith(
        "the machine was busy when its profile was measured: two halves of the same measurement diff"
    )
    assert "differ by 100% (median; at most 10%)" in note
    build_profile(cases([1.0, 1.0, 1.0, 1.0]), limits).save()
    assert time_notes(cost, MachineProfile.load()) == ()


def test_the_better_of_two_measurements_is_a_limit(limits: Limits) -> None:
    other = replace(limits, macs_per_s={"float32": 2e10}, bytes_per_s={"L1": 9e10, "memory": 3e9}, overhead_s=2e-6)
    best = replace(limits, macs_per_s={"float32": 2e10}, bytes_per_s={"L1": 1e11, "memory": 3e9})
    assert limits.or_better(other) == other.or_better(limits) == best
