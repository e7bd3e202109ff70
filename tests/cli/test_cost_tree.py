"""Layers as a tree."""

from __future__ import annotations

from typing import Any

from pennyweight.cli.cost_tree import tree_rows


def row(name: str, macs: int, ms: float | None = None) -> dict[str, Any]:
    return {"name": name, "type": "X", "input_shape": (1,), "output_shape": (macs,), "macs": macs, "ms": ms}


def test_modules_stand_above_what_is_inside_with_their_sums_and_their_own_shapes() -> None:
    """A module gives what it gives, whatever the last of its parts gave."""
    shapes = {"a": ((7,), (9,)), "b": ((3,), (10,))}
    layers = [row("a.0", 1), row("a.1", 2), row("b", 10), row("b.x.y", 20), row("b.z", 40)]
    found = [(r["name"], r["macs"], r["output_shape"]) for r in tree_rows(layers, ("macs",), shapes)]
    assert found == [
        ("a", 3, (9,)),
        ("  0", 1, (1,)),
        ("  1", 2, (2,)),
        ("b", 70, (10,)),
        ("  (itself)", 10, (10,)),
        ("  x.y", 20, (20,)),
        ("  z", 40, (40,)),
    ]


def test_work_of_the_network_itself_and_times_that_are_not_known() -> None:
    rows = tree_rows([row("", 5, 1.5), row("a.0", 1, 0.5), row("a.1", 1, 0.25)], ("macs", "ms"), {})
    assert [(r["name"], r["ms"]) for r in rows] == [("(itself)", 1.5), ("a", 0.75), ("  0", 0.5), ("  1", 0.25)]
    assert [r["ms"] for r in tree_rows([row("a.0", 1), row("a.1", 1)], ("macs", "ms"), {})] == [None] * 3
