"""Which blocks are fragmented: their convolutions stand side by side, none waiting for another.

Ma et al. 2018, arXiv:1807.11164, Sec. 2 (G3). Side by side are convolutions of one block before which equally many
others of it come, one after another: found by which operator reads what which other wrote. In series, fragments are
what makes a network deep, and are not told apart from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from pennyweight.cost.counting.operation import Operation

__all__ = ["Fragmented", "fragmented"]

SIDE_BY_SIDE = 3  # a block and its shortcut make two


@dataclass(frozen=True, kw_only=True)
class Fragmented:
    """An innermost module that holds so many convolutions side by side."""

    name: str
    convolutions: int
    side_by_side: int
    """The most of them that wait for equally many others, and so not for each other."""
    spare_calls: int
    """Calls that one wider convolution in place of those side by side would save."""
    reread_bytes: int
    """Of inputs that several of them read, what is read more than once."""


def fragmented(operations: Sequence[Operation]) -> Iterator[Fragmented]:
    """Every innermost block with three convolutions side by side or more."""
    before: list[int] = []  # for each operator a bit for every convolution that it waits for, itself included
    blocks: dict[str, list[int]] = {}
    for place, operation in enumerate(operations):
        waits = 0
        for source in operation.sources:
            waits |= 0 if source is None else before[source]
        if operation.name == "convolution":
            waits |= 1 << place
            for name in _around(operation.module):
                blocks.setdefault(name, []).append(place)
        before.append(waits)
    outer: set[str] = set()
    for name in sorted(blocks, key=_depth, reverse=True):
        rows = [] if name in outer else _rows(blocks[name], before)
        if max(map(len, rows), default=0) >= SIDE_BY_SIDE:
            outer.update(_around(name))
            yield _block(name, [[operations[place] for place in row] for row in rows], operations)


def _rows(places: Sequence[int], before: Sequence[int]) -> list[list[int]]:
    """Convolutions by how many others of them come before, one after another."""
    rows: list[list[int]] = []
    for place in places:
        waits = before[place]
        depth = next((d for d in range(len(rows), 0, -1) if any(waits >> other & 1 for other in rows[d - 1])), 0)
        if depth == len(rows):
            rows.append([])
        rows[depth].append(place)
    return rows


def _depth(module: str) -> int:
    return module.count(".") + (module != "")


def _around(module: str) -> Iterator[str]:
    """The module itself and every one that it lies in: "a.b" -> "a.b", "a", ""."""
    yield module
    while module:
        module = module.rpartition(".")[0]
        yield module


def _block(name: str, rows: Sequence[Sequence[Operation]], operations: Sequence[Operation]) -> Fragmented:
    convolutions = sum(map(len, rows))
    return Fragmented(
        name=name,
        convolutions=convolutions,
        side_by_side=max(map(len, rows)),
        spare_calls=convolutions - len(rows),
        reread_bytes=sum(_reread(row, operations) for row in rows),
    )


def _reread(row: Sequence[Operation], operations: Sequence[Operation]) -> int:
    readers: dict[int | None, list[Operation]] = {}
    for operation in row:
        readers.setdefault(operation.sources[0], []).append(operation)
    total = 0
    for place, mine in readers.items():
        read = [prod(operation.inputs[0]) for operation in mine]
        once = max(read) if place is None else prod(operations[place].output)  # of which each may read its own part
        total += max(0, sum(read) - once) * mine[0].dtype.itemsize
    return total
