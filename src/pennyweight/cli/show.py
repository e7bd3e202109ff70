"""How results read on a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pennyweight.report.formats import number, shape, share
from pennyweight.report.tables import Column, printable, table

if TYPE_CHECKING:
    from pennyweight.core.run import Run
    from pennyweight.runtime import Bundle, Prediction
    from pennyweight.scoring import Evaluation

__all__ = ["as_json", "bundle", "evaluation", "failure", "networks", "predictions", "run"]


def as_json(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


def networks(rows: Iterable[Mapping[str, Any]]) -> None:
    """The table of networks: their counts and their published accuracy."""
    columns = (
        Column("network"),
        Column("params"),
        Column("MACs"),
        Column("input", shape),
        Column("top-1 published", lambda v: f"{v:.1f}%"),
    )
    keys = ("name", "params", "macs", "input_shape", "published_top1")
    Console().print(table(None, columns, [[row[key] for key in keys] for row in rows]))


def evaluation(scored: Evaluation) -> None:
    """Accuracy with its interval, and each class."""
    low, high = scored.accuracy_interval
    console = Console()
    whole = f"all of {scored.source}" if scored.split == "all" else f"{scored.split} split of {scored.source}"
    console.print(
        f"{share(scored.accuracy)} of {number(scored.images)} pictures right ({whole}); "
        f"95% interval {share(low)} to {share(high)}; "
        f"the commonest class alone gives {share(scored.majority_accuracy)}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    columns = (
        Column("class"),
        Column("precision", share),
        Column("recall", share),
        Column("F1", share),
        Column("pictures"),
    )
    rows = [(c.label, c.precision, c.recall, c.f1, c.images) for c in scored.per_class]
    console.print(table(None, columns, rows))


def run(made: Run) -> None:
    """What a finished fit reached, and where it lies."""
    scored = made.evaluation
    low, high = scored["accuracy_interval"]
    console = Console()
    console.print(
        f"test accuracy {share(scored['accuracy'])} of {number(scored['images'])} pictures "
        f"(95% interval {share(low)} to {share(high)}), weights of epoch {made.record['best']['epoch']}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    console.print(f"run     {made.folder}\nreport  {made.report_path}", highlight=False, markup=False, soft_wrap=True)


def failure(line: str) -> None:
    """One line on standard error."""
    console = Console(stderr=True)
    console.print("error:", style="bold red", end=" ")
    console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def bundle(made: Bundle) -> None:
    """Where it is, how large, and what the proof found."""
    proof = made.manifest.parity
    Console().print(
        f"{made.path}: {made.path.stat().st_size / 1e6:.1f} MB, "
        f"proved on {proof['pictures']} pictures ({proof['of']}): "
        f"{proof['same_top1']} same answers, probabilities within {proof['largest_probability_difference']:.1e}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def predictions(made: Iterable[Prediction]) -> None:
    """A line for each picture: its best label, then what else it may be."""
    columns = (Column("picture"), Column("label"), Column("probability", share), Column("then"))
    rows = [
        (p.source, p.label, p.probability, ", ".join(f"{label} {share(value)}" for label, value in p.top[1:]))
        for p in made
    ]
    Console().print(table(None, columns, rows))
