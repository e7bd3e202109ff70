"""The page of a search shows what fits, the front, and what was ruled out, and asks for nothing outside itself."""

from typing import Any

import pytest

from pennyweight.report.picks_page import picks_page

CONDITIONS = ["on onnxruntime 1, 2 threads, batch 1, float32"]


def candidate(name: str, ms: float, accuracy: float | None, verdict: str, **others: Any) -> dict[str, Any]:
    return {
        "name": name, "size": 96, "params": 1000, "macs": 2000, "size_bytes": 4000, "memory_bytes": 8000, "ms": ms,
        "ms_is": "predicted", "accuracy": accuracy, "accuracy_error": 0.03, "accuracy_is": "interpolated",
        "verdict": verdict, **others,
    }  # fmt: skip


def result(*rows: dict[str, Any], best: str | None, front: list[str], **others: Any) -> dict[str, Any]:
    return {
        "budget": {"ms": 8.0}, "median_error": 0.07, "best": best, "front": front, "nearest": [],
        "ruled_out": {"ms": 1}, "refused": {"a": "no"}, "candidates": list(rows), "tried": [], "chosen": None, **others,
    }  # fmt: skip


ROWS = (
    candidate("best", 7.5, 0.7, "fits"),
    candidate("rival", 5.0, 0.65, "fits"),
    candidate("far", 1.0, 0.4, "fits"),
    candidate("unknown", 1.0, None, "fits"),
    candidate("<slow>", 90.0, 0.8, "exceeds"),
)


def test_the_best_its_rivals_and_what_was_ruled_out() -> None:
    page = picks_page(result(*ROWS, best="best", front=["best", "rival", "far"]), reasons=(), conditions=CONDITIONS)
    assert "<h1>best</h1>" in page
    assert "The most accurate of 4 networks that fit, of 5 candidates." in page
    assert "Budget: milliseconds at most 8 ms." in page
    assert "1 other candidate that fits may be as accurate as the best" in page
    assert "over a limit (1)" in page
    assert "4 candidates by milliseconds and accuracy" in page
    assert "1 combination was left out" in page
    assert "://" not in page.replace("http://www.w3.org/", "")


def test_where_nothing_fits_the_nearest_are_named_with_the_limits_that_they_break() -> None:
    found = result(ROWS[-1], best=None, front=[], nearest=["<slow>"])
    page = picks_page(found, reasons=["milliseconds 90 ms, over 8 ms"], conditions=CONDITIONS)
    assert "No network fits the budget" in page
    assert "&lt;slow&gt;" in page
    assert "<slow>" not in page
    assert "milliseconds 90 ms, over 8 ms" in page


@pytest.mark.parametrize("ms", [None, 6.5])
def test_what_was_tried_and_chosen_is_shown_with_intervals(ms: float | None) -> None:
    tried = [candidate("best", 7.5, 0.9, "fits", accuracy_interval=(0.85, 0.94), accuracy_is="held-out")]
    chosen = {"name": "best", "run": "runs/a", "bundle": "runs/a/model.onnx", "ms": ms, "accuracy": 0.88,
              "accuracy_interval": (0.8, 0.93)}  # fmt: skip
    page = picks_page(
        result(*ROWS, best="best", front=["best"], tried=tried, chosen=chosen), reasons=(), conditions=CONDITIONS
    )
    assert "90.0% (85.0% to 94.0%)" in page
    assert "No other candidate that fits" in page
    assert "88.0% (80.0–93.0%)" in page
    assert ("6.5 measured" in page) == (ms is not None)
    assert ("<strong>6.5 ms</strong> measured on the bundle, test accuracy 88.0%" in page) == (ms is not None)
