"""Work of a network by kind of operator: what an engine's milliseconds are predicted from.

An engine folds batch norm and cheap activations into convolutions. What is left is told apart by kind, and of each kind
by calls, multiply-accumulates, bytes of weights and bytes of activations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import prod

from pennyweight.cost.counting.operation import Operation
from pennyweight.cost.timing.operator_kinds import kind_of

__all__ = ["COLUMNS", "work_of"]

GROUPS: Mapping[str, str] = {
    "first": "dense",
    "dense": "dense",
    "pointwise": "pointwise",
    "depthwise": "depthwise",
    "depthwise 1×1": "depthwise",
    "wide depthwise": "depthwise",
    "grouped": "grouped",
    "multiplied": "grouped",
    "matrix product": "matrix",
    "stack of products": "attention",
    "attention": "attention",
    "batch norm": "",
    "relu": "",
    "addition": "addition",
    "broadcast": "broadcast",
    "join": "move",
    "reorder": "move",
    "mean": "pool",
    "max pool": "pool",
    "average pool": "pool",
}
"""Kind of operator -> group; "" is folded into the convolution before it."""
OTHERS = "activation"
"""Group of every other kind: activations that are not folded, norms of layers, softmax."""
PRODUCTS = ("dense", "pointwise", "depthwise", "grouped", "matrix", "attention")
MOVES = ("addition", "broadcast", "move", "pool", OTHERS)
COLUMNS = (
    "call",
    *(f"{group}.{what}" for group in PRODUCTS for what in ("calls", "macs", "weights", "activations")),
    *(f"{group}.{what}" for group in MOVES for what in ("calls", "activations")),
)
"""Quantities of a network's work: calls, multiply-accumulates, and bytes of weights and of activations."""


def work_of(operations: Iterable[Operation]) -> dict[str, float]:
    """Return the work of a counted network, by the names in COLUMNS; a quantity that is 0 may be missing."""
    found: Counter[str] = Counter({"call": 1})
    for operation in operations:
        group = GROUPS.get(kind_of(operation).name, OTHERS)
        if not group:
            continue
        moved = operation.bytes_read + operation.bytes_written
        weights = 0
        if group in PRODUCTS:
            weights = operation.dtype.itemsize * prod(operation.inputs[1]) if len(operation.inputs) > 1 else 0
            found[f"{group}.macs"] += operation.macs
            found[f"{group}.weights"] += weights
        found[f"{group}.calls"] += 1
        found[f"{group}.activations"] += max(0, moved - weights)
    return {name: float(value) for name, value in found.items()}
