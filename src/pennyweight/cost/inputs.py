"""What a network is called with: drawn for a shape."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from pennyweight.core.errors import InputError, received

__all__ = ["random_input", "whole_sizes"]


def whole_sizes(input_shape: Sequence[int], batch: int = 1) -> tuple[int, ...]:
    """(batch, *input_shape), whatever kind of whole numbers they are. Raises InputError for anything else."""
    try:
        sizes = tuple(map(operator.index, (batch, *input_shape)))
    except TypeError:
        sizes = ()
    if len(sizes) < 2 or min(sizes) < 1:
        raise InputError(
            "an input's shape and a batch are whole numbers of at least 1, such as (3, 224, 224) and 1, not "
            f"{received(input_shape)} and {received(batch)}"
        )
    return sizes


def random_input(model: nn.Module, sizes: Sequence[int]) -> Tensor:
    """Numbers of [0, 1) on the model's device, of the type that its first parameter that is no whole number has."""
    known = [parameter for parameter in model.parameters() if not is_lazy(parameter)]
    kinds = (parameter.dtype for parameter in known if parameter.is_floating_point() or parameter.is_complex())
    device = known[0].device if known else None
    return torch.rand(*sizes, device=device).to(next(kinds, torch.float32))
