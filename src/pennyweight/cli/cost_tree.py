"""A network's layers as the tree of its modules, each module with the sum of what is inside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ITSELF", "tree_rows"]

Row = Mapping[str, Any]
Shape = tuple[int, ...]
Shapes = Mapping[str, tuple[Shape | None, Shape | None]]
ITSELF = "(itself)"
"""Name of the row for the own work of a module that has others inside."""


@dataclass
class Node:
    """Module with its own row, if it has parameters or work of its own, and the modules inside it."""

    row: Row | None = None
    inside: dict[str, Node] = field(default_factory=dict)

    def rows(self) -> Iterator[Row]:
        """Yield the rows of the module and of all modules inside it."""
        if self.row is not None:
            yield self.row
        for child in self.inside.values():
            yield from child.rows()


def tree_rows(layers: Sequence[Row], summed: Sequence[str], shapes: Shapes) -> list[Row]:
    """Return rows as a tree: each module's sums, then the modules inside it, indented by two blanks.

    The own work of a module with others inside has a row "(itself)", so that the leaves add up to the network. A module
    with one other inside and nothing else shares its row. `shapes` are the modules' input and output shapes, by name.
    """
    top = Node()
    for layer in layers:
        node = top
        for part in layer["name"].split(".") if layer["name"] else ():
            node = node.inside.setdefault(part, Node())
        node.row = layer
    itself = [] if top.row is None else [{**top.row, "name": ITSELF}]
    return [
        *itself,
        *(row for name, child in top.inside.items() for row in _rows(name, name, child, 0, summed, shapes)),
    ]


def _rows(name: str, path: str, node: Node, depth: int, summed: Sequence[str], shapes: Shapes) -> Iterator[Row]:
    while node.row is None and len(node.inside) == 1:
        ((part, node),) = node.inside.items()
        name, path = f"{name}.{part}", f"{path}.{part}"
    indent = "  " * depth
    if not node.inside:
        assert node.row is not None
        yield {**node.row, "name": indent + name}
        return
    rows = list(node.rows())
    before, after = shapes.get(path, (None, None))
    yield {
        "name": indent + name,
        "type": node.row["type"] if node.row else "",
        "input_shape": before,
        "output_shape": after,
        **{column: _sum([row[column] for row in rows]) for column in summed},
        "bound": "",
    }
    if node.row is not None:
        yield {**node.row, "name": f"{indent}  {ITSELF}", "type": ""}
    for part, child in node.inside.items():
        yield from _rows(part, f"{path}.{part}", child, depth + 1, summed, shapes)


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
