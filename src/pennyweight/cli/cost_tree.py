"""A network's layers as the tree of its modules, each module with the sum of what is inside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ITSELF", "tree_rows"]

Row = Mapping[str, Any]
ITSELF = "(itself)"
"""What a module with others inside does itself, or the network."""


@dataclass
class Node:
    """A module: its own row, if it has parameters or work of its own, and the modules inside it."""

    row: Row | None = None
    inside: dict[str, Node] = field(default_factory=dict)

    def rows(self) -> Iterator[Row]:
        """Of everything in it."""
        if self.row is not None:
            yield self.row
        for child in self.inside.values():
            yield from child.rows()


def tree_rows(layers: Sequence[Row], summed: Sequence[str]) -> list[Row]:
    """Rows named by their last part, two blanks deeper than the module around them, which stands above with its sums.

    What a module with others inside does itself has a row "(itself)", so that the rows without rows below them add up
    to the network. Modules with nothing but one other inside share its row.
    """
    top = Node()
    for layer in layers:
        node = top
        for part in layer["name"].split(".") if layer["name"] else ():
            node = node.inside.setdefault(part, Node())
        node.row = layer
    itself = [] if top.row is None else [{**top.row, "name": ITSELF}]
    return [*itself, *(row for name, child in top.inside.items() for row in _rows(name, child, 0, summed))]


def _rows(name: str, node: Node, depth: int, summed: Sequence[str]) -> Iterator[Row]:
    while node.row is None and len(node.inside) == 1:
        ((part, node),) = node.inside.items()
        name = f"{name}.{part}"
    indent = "  " * depth
    if not node.inside:
        assert node.row is not None
        yield {**node.row, "name": indent + name}
        return
    rows = list(node.rows())
    first, last = node.row or rows[0], node.row or rows[-1]
    yield {
        "name": indent + name,
        "type": node.row["type"] if node.row else "",
        "input_shape": first["input_shape"],
        "output_shape": last["output_shape"],
        **{column: _sum([row[column] for row in rows]) for column in summed},
        "bound": "",
    }
    if node.row is not None:
        yield {**node.row, "name": f"{indent}  {ITSELF}", "type": ""}
    for part, child in node.inside.items():
        yield from _rows(part, child, depth + 1, summed)


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
