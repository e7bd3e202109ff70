"""The experiments hold what the paper holds equal."""

from __future__ import annotations

import pytest

from pennyweight.cost import Cost, count
from pennyweight.lab import EXPERIMENTS, Experiment, run_guidelines
from pennyweight.nn.init import meta_device


def costs(experiment: Experiment) -> list[Cost]:
    with meta_device():
        return [count(make(), (c, 56, 56)) for _, c, make in experiment.rows]


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.guideline)
def test_the_rows_of_an_experiment_have_equal_macs(experiment: Experiment) -> None:
    macs = [cost.macs for cost in costs(experiment)]
    assert max(macs) < 1.06 * min(macs)


@pytest.mark.parametrize("experiment", EXPERIMENTS[:2], ids=lambda e: e.guideline)
def test_what_the_guidelines_say_of_traffic(experiment: Experiment) -> None:
    """G1: equal widths move least. G2: groups move more."""
    moved = [cost.bytes_read + cost.bytes_written for cost in costs(experiment)]
    assert moved == sorted(moved)
    assert moved[-1] > 1.3 * moved[0]


def test_every_row_is_timed() -> None:
    rows = run_guidelines(repeats=2, side=4)
    expected = [(e.guideline, label) for e in EXPERIMENTS for label, _, _ in e.rows]
    assert [(row.guideline, row.label) for row in rows] == expected
    for row in rows:
        low, high = row.quartiles_ms
        assert 0 < low <= row.ms <= high
