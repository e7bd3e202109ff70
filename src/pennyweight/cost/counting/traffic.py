"""Memory traffic: bytes that each operator must read and write, each operand once, weights included.

No cache can save this traffic: eager execution runs operator by operator. A broadcast operand counts at its size in
memory. For a table lookup (an embedding), only the requested rows count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pennyweight.cost.counting.formulas import base_name, touches_no_values

__all__ = ["Traffic", "dtype_name", "parts", "tensors", "traffic"]


class Traffic(NamedTuple):
    """Memory traffic of one call of an operator, in bytes."""

    bytes_read: int
    bytes_written: int


LIKE = frozenset({"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "fill", "zero"})
RANDOM = frozenset({"bernoulli", "uniform", "normal", "exponential"})
OVERWRITES = LIKE | RANDOM
"""Operators that write their first operand without reading it."""

LOOKUPS = frozenset({"embedding", "index_select", "gather", "index", "take"})
"""Operators that read only the returned part of their first operand."""

BAGS = frozenset({"_embedding_bag", "_embedding_bag_forward_only"})
"""Operators that read and sum the rows of their first operand named by their second."""

SINGLE = frozenset({int, float, bool, NoneType})
"""Types of arguments that hold no tensor."""


def traffic(operator: Any, args: Sequence[Any], operands: Sequence[Tensor], made: Sequence[Tensor]) -> Traffic:
    """Return the bytes that a call of `operator` reads and writes.

    `operands` are the tensors that go in, `made` those that come out.
    """
    name = base_name(operator)
    if touches_no_values(operator):
        return Traffic(0, 0)
    written = sum(map(_bytes, made))
    if name.startswith("_foreach"):  # foreach operators write their first list in place and return nothing
        written = written or sum(map(_bytes, tensors(args[0])))
    if name == "copy" or name in OVERWRITES:
        return Traffic(sum(map(_bytes, operands[1:])), written)
    if name in LOOKUPS:
        return Traffic(written + sum(map(_bytes, operands[1:])), written)
    if name in BAGS:
        table, indices, *others = operands
        rows = indices.numel() * table.shape[1] * table.element_size()
        return Traffic(rows + sum(map(_bytes, (indices, *others))), written)
    return Traffic(sum(map(_bytes, operands)), written)


def tensors(value: Any) -> list[Tensor]:
    """Return all tensors in arguments or results, also inside lists and dictionaries."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return []
    found = []
    if type(value) not in (tuple, list) and isinstance(value, Mapping):
        value = value.values()
    for item in value:
        if type(item) in SINGLE:  # most arguments are; this test is faster than isinstance
            continue
        if isinstance(item, Tensor):
            found.append(item)
        elif type(item) not in (tuple, list) or not SINGLE.issuperset(map(type, item)):  # skips lists such as strides
            found += tensors(item)
    return found


PARTS: dict[torch.layout, Sequence[Callable[[Tensor], Tensor]]] = {
    torch.strided: (lambda tensor: tensor,),
    torch.jagged: (Tensor.values,),
    torch.sparse_coo: (Tensor._indices, Tensor._values),
    **dict.fromkeys((torch.sparse_csr, torch.sparse_bsr), (Tensor.crow_indices, Tensor.col_indices, Tensor.values)),
    **dict.fromkeys((torch.sparse_csc, torch.sparse_bsc), (Tensor.ccol_indices, Tensor.row_indices, Tensor.values)),
}
"""Layout -> functions that return the plain tensors a tensor of this layout consists of."""


def dtype_name(dtype: torch.dtype) -> str:
    """Return the name of a dtype: "bfloat16" for torch.bfloat16."""
    return str(dtype).removeprefix("torch.")


def parts(tensor: Tensor) -> list[Tensor]:
    """Return the plain tensors that make up `tensor`: itself, or the indices and values of a sparse tensor."""
    return [part(tensor) for part in PARTS[tensor.layout]]


def _bytes(tensor: Tensor) -> int:
    """Return the bytes a tensor covers in memory; an expanded tensor covers less than its elements."""
    if tensor.layout is not torch.strided:
        return sum(map(_bytes, parts(tensor)))
    if tensor.is_contiguous():
        return tensor.nbytes
    elements = tensor.numel()
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        if stride == 0 and size > 1:
            elements //= size
    return elements * tensor.element_size()
