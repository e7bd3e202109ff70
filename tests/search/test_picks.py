"""Candidates are judged by the budget: what surely fits, what may, what comes nearest."""

from dataclasses import replace

import pytest

from pennyweight.core.budget import Budget
from pennyweight.core.summary import Rows
from pennyweight.search.engine_times import Conditions
from pennyweight.search.picks import EXCEEDS, FITS, PREDICTED, UNSURE, Pick, Picks, exceeds, front_of, verdict_of

CONDITIONS = Conditions(engine="onnxruntime", version="1", threads=2, batch=1, precision="float32")


def row(name: str, ms: float, accuracy: float | None, budget: Budget | None = None, **values: float) -> Pick:
    budget = budget or Budget()
    found = {"params": 1, "macs": 1, "size_bytes": 1, "memory_bytes": 1} | values
    excesses = budget.excesses({**found, "ms": ms, "accuracy": accuracy or 0.0})
    return Pick(
        name=name, network=name, config={}, size=32, **found, ms=ms, ms_error=0.2, ms_is=PREDICTED, accuracy=accuracy,
        accuracy_error=0.0, accuracy_is="published", verdict=verdict_of(excesses, ms, 0.2, budget.ms),
        excesses=excesses,
    )  # fmt: skip


def picks(budget: Budget, rows: list[Pick]) -> Picks:
    return Picks(
        budget=budget, conditions=CONDITIONS, machine={}, median_error=0.1, candidates=Rows(rows), refused={}, notes=()
    )


@pytest.mark.parametrize(("ms", "verdict"), [(8.0, FITS), (8.3, FITS), (8.5, UNSURE), (11.9, UNSURE), (12.1, EXCEEDS)])
def test_a_prediction_fits_only_if_its_error_leaves_it_within_the_limit(ms: float, verdict: str) -> None:
    budget = Budget(ms=10.0)
    assert row("a", ms, 0.5, budget).verdict == verdict


def test_a_counted_limit_has_no_error() -> None:
    budget = Budget(ms=10.0, params=100)
    assert row("a", 1.0, 0.5, budget, params=100).verdict == FITS
    assert row("a", 1.0, 0.5, budget, params=101).verdict == EXCEEDS


def test_the_front_has_what_no_other_beats_in_both() -> None:
    rows = [
        row("a", 5, 0.7),
        row("b", 6, 0.6),
        row("c", 3, 0.6),
        row("d", 5, 0.65),
        row("e", 2, None),
        row("f", 9, 0.8),
    ]
    assert [each.name for each in front_of(rows)] == ["f", "a", "c"]
    assert [each.name for each in front_of([row("slow", 5, 0.7), row("fast", 4, 0.7)])] == ["fast"]


def test_the_best_is_the_most_accurate_that_fits() -> None:
    budget = Budget(ms=10.0)
    found = picks(budget, [row("unsure", 9.9, 0.9, budget), row("a", 8, 0.7, budget), row("b", 2, 0.6, budget)])
    assert found.best is not None
    assert found.best.name == "a"
    assert [each.name for each in found.fitting] == ["a", "b"]
    assert found.nearest == ()


def test_where_nothing_fits_the_nearest_three_and_their_limits_are_named() -> None:
    budget = Budget(ms=1.0, params=10)
    rows = [row("a", 2.0, 0.5, budget), row("b", 1.5, 0.5, budget, params=12), row("c", 9.0, 0.5, budget),
            row("d", 1.3, 0.5, budget)]  # fmt: skip
    found = picks(budget, rows)
    assert found.best is None
    assert [each.name for each in found.nearest] == ["d", "b", "a"]
    assert exceeds(found.nearest[1], budget) == "milliseconds 1.5 ms, over 1 ms; parameters 12, over 10"
    assert found.ruled_out == {"ms": 4, "params": 1}


def test_where_only_predictions_may_fit_the_nearest_say_so() -> None:
    budget = Budget(ms=10.0)
    found = picks(budget, [row("a", 9.0, 0.5, budget), row("b", 11.0, 0.5, budget)])
    assert found.best is None
    assert found.nearest[0].name == "a"
    said = "milliseconds 9 ms predicted, which may be over 10 ms: 95% of predictions are within 20.0%"
    assert exceeds(found.nearest[0], budget) == said


def test_results_describe_themselves_and_become_a_table_and_json() -> None:
    found = picks(Budget(ms=10.0), [row("a", 8, 0.7, Budget(ms=10.0))])
    assert "best: a" in repr(found)
    assert "<table>" in found._repr_html_()
    frame = found.table
    assert list(frame["name"]) == ["a"]
    assert frame.attrs["conditions"] == str(CONDITIONS)
    assert found.to_dict()["best"] == "a"
    assert replace(found, candidates=Rows(())).best is None
