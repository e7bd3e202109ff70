"""Inputs that a network is called with: given tensors, or random numbers of a given shape."""

from __future__ import annotations

import copy
import operator
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_map_only

from pennyweight.core.errors import InputError, received
from pennyweight.cost.counting.devices import DeviceMode
from pennyweight.cost.counting.traffic import dtype_name

__all__ = ["CallInputs", "Inputs", "input_dtype", "input_sizes", "random_input"]

Inputs = Tensor | tuple[Any, ...] | Mapping[str, Any]
"""A tensor, a tuple of positional arguments, or a mapping of keyword arguments; batch included."""


@dataclass(frozen=True, kw_only=True)
class CallInputs:
    """Inputs of a call: random numbers of (batch, *input_shape), or given `inputs`."""

    sizes: tuple[int, ...]
    """Shape of the first tensor, batch included."""
    inputs: Inputs | None = None

    @classmethod
    def of(cls, input_shape: Sequence[int] | None, batch: int = 1, inputs: Inputs | None = None) -> CallInputs:
        """Make call inputs from a shape and a batch, or from tensors alone. Raises InputError for both or neither."""
        if inputs is None:
            if input_shape is None:
                raise InputError("weighing a module needs its input shape, for example (3, 224, 224), or its inputs")
            return cls(sizes=input_sizes(input_shape, batch))
        if input_shape is not None or batch != 1:
            raise InputError("inputs have their own shape and batch; leave out input_shape and batch")
        if not isinstance(inputs, Tensor | tuple | Mapping) or not (found := _tensors(inputs)):
            raise InputError(
                "inputs are a tensor, a tuple of what is passed by position or a dictionary of what is passed by name, "
                f"with at least one tensor, not {received(inputs)}"
            )
        if isinstance(inputs, Mapping) and not all(isinstance(name, str) for name in inputs):
            raise InputError(f"a dictionary of inputs has their names as keys, not {received(next(iter(inputs)))}")
        return cls(sizes=tuple(found[0].shape), inputs=inputs)

    def arguments(self, model: nn.Module, device_mode: DeviceMode) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the positional and keyword arguments for a copy of the model on `device_mode`.

        Args:
            model: The model, whose first parameter gives the device of the inputs.
            device_mode: Kind of tensors to make: meta, fake or real.

        Returns:
            Arguments by position, and arguments by name.
        """
        if self.inputs is None:
            return (random_input(model, self.sizes),), {}
        device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
        made = _each(self.inputs, lambda tensor: device_mode.make_input(tensor, device))
        if isinstance(made, Mapping):
            return (), dict(made)
        return (made if isinstance(made, tuple) else (made,)), {}

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on given inputs."""
        return () if self.inputs is None else (f"called with {self}",)

    def dtype_notes(self, model: nn.Module) -> tuple[str, ...]:
        """Return a note on the dtype of random inputs if the weights of `model` have several."""
        weights = (one for one in model.parameters() if not is_lazy(one) and _inexact(one.dtype))
        types = sorted({dtype_name(weight.dtype) for weight in weights})
        if self.inputs is not None or len(types) < 2:
            return ()
        chosen = dtype_name(input_dtype(model))
        return (f"its weights are {', '.join(types)}; called with {chosen} numbers; give inputs for another type",)

    def __str__(self) -> str:
        if self.inputs is None:
            return f"an input of {'x'.join(map(str, self.sizes[1:]))}"
        names = [f"{name}: " for name in self.inputs] if isinstance(self.inputs, Mapping) else []
        given = [f"{dtype_name(one.dtype)} {tuple(one.shape)}" for one in _tensors(self.inputs)]
        names = names if len(names) == len(given) else [""] * len(given)
        return ", ".join(map(operator.add, names, given))


def _each(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """Return `value` with `change` applied to each tensor, also in mappings of other libraries (transformers)."""
    if isinstance(value, Tensor):
        return change(value)
    if type(value) in (tuple, list):
        return type(value)(_each(item, change) for item in value)
    if isinstance(value, Mapping):
        changed = copy.copy(value) if isinstance(value, MutableMapping) else dict(value)
        for key, item in value.items():
            changed[key] = _each(item, change)
        return changed
    return tree_map_only(Tensor, change, value)


def _tensors(inputs: Inputs) -> list[Tensor]:
    found: list[Tensor] = []
    _each(inputs, found.append)
    return found


def input_sizes(input_shape: Sequence[int], batch: int = 1) -> tuple[int, ...]:
    """Return (batch, *input_shape) as Python integers. Raises InputError unless all are integers of at least 1."""
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
    """Draw numbers from [0, 1) on the model's device, in the dtype that the model takes images in."""
    device = next((one.device for one in model.parameters() if not is_lazy(one)), None)
    return torch.rand(*sizes, device=device).to(input_dtype(model))


LAYERS = (nn.modules.conv._ConvNd, nn.Linear)
"""Layers that compute in the dtype of their weights and take no other."""


def input_dtype(model: nn.Module) -> torch.dtype:
    """Return the dtype in which a network takes an image, derived from its weights.

    It is the dtype of the first convolution or linear layer; without one, the real dtype of most weights; else float32.
    Other parameters may have any dtype: complex filters, float64 scales, integer tables.
    """
    for layer in model.modules():
        weight = layer._parameters.get("weight") if isinstance(layer, LAYERS) else None
        if weight is not None and not is_lazy(weight) and _inexact(weight.dtype):
            return weight.dtype
    sizes: Counter[torch.dtype] = Counter()
    for one in model.parameters():
        if not is_lazy(one) and one.is_floating_point() and _inexact(one.dtype):
            sizes[one.dtype] += one.numel()
    return sizes.most_common(1)[0][0] if sizes else torch.float32


def _inexact(dtype: torch.dtype) -> bool:
    """Return whether random numbers of a dtype can be drawn: real types of more than one byte, or complex types."""
    return dtype.is_complex or (dtype.is_floating_point and dtype.itemsize > 1)
