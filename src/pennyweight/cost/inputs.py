"""What a network is called with: tensors that were given, or numbers drawn for a shape."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves, tree_map_only

from pennyweight.core.errors import InputError, received
from pennyweight.cost.limits import dtype_name
from pennyweight.cost.places import Place

__all__ = ["Given", "Inputs", "random_input", "whole_sizes"]

Inputs = Tensor | tuple[Any, ...] | Mapping[str, Any]
"""A tensor, a tuple of what is passed by position, or what is passed by name; batch included."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a network is called with: random numbers of (batch, *input_shape), or `inputs`."""

    sizes: tuple[int, ...]
    """Of the first tensor, with the batch."""
    inputs: Inputs | None = None

    @classmethod
    def of(cls, input_shape: Sequence[int] | None, batch: int = 1, inputs: Inputs | None = None) -> Given:
        """From a shape and a batch, or from inputs alone. Raises InputError for what is neither."""
        if inputs is None:
            if input_shape is None:
                raise InputError("weighing a module needs its input shape, for example (3, 224, 224), or its inputs")
            return cls(sizes=whole_sizes(input_shape, batch))
        if input_shape is not None or batch != 1:
            raise InputError("inputs bring their own shape and batch; leave input_shape and batch out")
        if not isinstance(inputs, Tensor | tuple | Mapping) or not (found := _tensors(inputs)):
            raise InputError(
                "inputs are a tensor, a tuple of what is passed by position or a dictionary of what is passed by name, "
                f"with at least one tensor, not {received(inputs)}"
            )
        return cls(sizes=tuple(found[0].shape), inputs=inputs)

    def arguments(self, model: nn.Module, place: Place) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What to call a copy of the model with in `place`, by position and by name."""
        if self.inputs is None:
            return (random_input(model, self.sizes),), {}
        device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
        made = tree_map_only(Tensor, lambda tensor: place.made(tensor, device), self.inputs)
        if isinstance(made, Mapping):
            return (), dict(made)
        return (made if isinstance(made, tuple) else (made,)), {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known where a shape does not say it."""
        return () if self.inputs is None else (f"called with {self}",)

    def __str__(self) -> str:
        if self.inputs is None:
            return f"an input of {'x'.join(map(str, self.sizes[1:]))}"
        names = [f"{name}: " for name in self.inputs] if isinstance(self.inputs, Mapping) else []
        given = [f"{dtype_name(one.dtype)} {tuple(one.shape)}" for one in _tensors(self.inputs)]
        names = names if len(names) == len(given) else [""] * len(given)
        return ", ".join(map(operator.add, names, given))


def _tensors(inputs: Inputs) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)]


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
    device, dtype = None, torch.float32
    for parameter in (one for one in model.parameters() if not is_lazy(one)):
        device = device or parameter.device
        if parameter.is_floating_point() or parameter.is_complex():
            dtype = parameter.dtype
            break  # a listing of all of them takes longer than many layers' counts
    return torch.rand(*sizes, device=device).to(dtype)
