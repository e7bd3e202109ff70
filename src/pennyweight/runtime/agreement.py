"""Agreement of a bundle's graph with its manifest: the same input, classes and types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pennyweight.core.errors import BundleError

__all__ = ["Port", "require_agreement"]


class Port(NamedTuple):
    """Input or output of a graph: the type of its values and its shape, each side a number or a name."""

    kind: str
    sides: Sequence[int | str | None]


def require_agreement(where: object, graph: Mapping[str, Port], manifest: Mapping[str, Port]) -> None:
    """Raise BundleError if the graph of `where` lacks a port of its manifest, or has another type or shape there.

    A side that is a name matches any number.
    """
    for name, wanted in manifest.items():
        found = graph.get(name)
        if found is None:
            raise BundleError(f"{where} has no '{name}' in its graph; export it again")
        alike = len(found.sides) == len(wanted.sides) and all(
            not (isinstance(a, int) and isinstance(b, int)) or a == b
            for a, b in zip(found.sides, wanted.sides, strict=True)
        )
        if not alike or found.kind != wanted.kind:
            raise BundleError(
                f"the graph of {where} does not match its manifest: '{name}' is {_describe(found)} in the graph and "
                f"{_describe(wanted)} in the manifest; export it again"
            )


def _describe(port: Port) -> str:
    return f"{port.kind.removeprefix('tensor(').rstrip(')')} {'×'.join(str(side) for side in port.sides)}"
