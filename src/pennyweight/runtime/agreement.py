"""A bundle's graph and its manifest must speak of the same pictures and classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pennyweight.core.errors import BundleError

__all__ = ["Port", "require_agreement"]


class Port(NamedTuple):
    """An input or output of a graph: the type of its values, and its sides, each a number or a name."""

    kind: str
    sides: Sequence[int | str | None]


def require_agreement(where: object, graph: Mapping[str, Port], said: Mapping[str, Port]) -> None:
    """Raise BundleError where a graph lacks a port that its manifest `said`, or has another type or size there.

    A side without a number takes any.
    """
    for name, wanted in said.items():
        found = graph.get(name)
        if found is None:
            raise BundleError(f"{where} has no '{name}' in its graph; export it again")
        alike = len(found.sides) == len(wanted.sides) and all(
            not (isinstance(a, int) and isinstance(b, int)) or a == b
            for a, b in zip(found.sides, wanted.sides, strict=True)
        )
        if not alike or found.kind != wanted.kind:
            raise BundleError(
                f"the graph of {where} is unlike its manifest: '{name}' is {_shown(found)}, and "
                f"{_shown(wanted)} is said; export it again"
            )


def _shown(port: Port) -> str:
    return f"{port.kind.removeprefix('tensor(').rstrip(')')} {'×'.join(str(side) for side in port.sides)}"
