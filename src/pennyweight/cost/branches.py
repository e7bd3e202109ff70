"""Fragmented blocks: blocks that run several convolutions in parallel.

Ma et al. 2018, arXiv:1807.11164, Sec. 2 (G3). Two convolutions of a block are parallel if equally many convolutions of
the block precede each, one after another. The order follows from which operator reads the output of which. Fragments in
series look like depth, so they are not reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from pennyweight.cost.counting.operation import Operation

__all__ = ["Fragmented", "find_fragmented"]

FEWEST_PARALLEL = 3  # a residual block and its shortcut convolution are two


@dataclass(frozen=True, kw_only=True)
class Fragmented:
    """Innermost module that runs at least `FEWEST_PARALLEL` convolutions in parallel."""

    name: str
    convolutions: int
    parallel: int
    """Largest number of convolutions with equally many predecessors, which therefore do not wait for each other."""
    spare_calls: int
    """Calls saved if one wider convolution replaced each set of parallel ones."""
    reread_bytes: int
    """Input bytes read more than once because several parallel convolutions read the same input."""


def find_fragmented(operations: Sequence[Operation]) -> Iterator[Fragmented]:
    """Yield every innermost block with three or more parallel convolutions."""
    before: list[int] = []  # per operator: a bit for each convolution it depends on, itself included
    blocks: dict[str, list[int]] = {}
    for place, operation in enumerate(operations):
        waits = 0
        for source in operation.sources:
            waits |= 0 if source is None else before[source]
        if operation.name == "convolution":
            waits |= 1 << place
            for name in _enclosing(operation.module):
                blocks.setdefault(name, []).append(place)
        before.append(waits)
    outer: set[str] = set()
    for name in sorted(blocks, key=_depth, reverse=True):
        rows = [] if name in outer else _group_by_depth(blocks[name], before)
        if max(map(len, rows), default=0) >= FEWEST_PARALLEL:
            outer.update(_enclosing(name))
            yield _block(name, [[operations[place] for place in row] for row in rows], operations)


def _group_by_depth(places: Sequence[int], before: Sequence[int]) -> list[list[int]]:
    """Group convolutions by the number of their predecessors in the block."""
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


def _enclosing(module: str) -> Iterator[str]:
    """Yield a module and every module that contains it: "a.b" -> "a.b", "a", ""."""
    yield module
    while module:
        module = module.rpartition(".")[0]
        yield module


def _block(name: str, rows: Sequence[Sequence[Operation]], operations: Sequence[Operation]) -> Fragmented:
    convolutions = sum(map(len, rows))
    return Fragmented(
        name=name,
        convolutions=convolutions,
        parallel=max(map(len, rows)),
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
        once = max(read) if place is None else prod(operations[place].output)  # each reader may take its own part of it
        total += max(0, sum(read) - once) * mine[0].dtype.itemsize
    return total
