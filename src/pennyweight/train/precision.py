"""The path of a step: how pictures lie in memory, and in which arithmetic the network computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Batch
from pennyweight.nn import FromPixels
from pennyweight.train.recipe import Recipe

__all__ = [
    "Inputs",
    "apply_memory_format",
    "autocast",
    "batch_norms",
    "disable_dropout",
    "make_inputs",
    "set_train_mode",
]

Inputs = Callable[[Batch], tuple[Tensor, Tensor]]


def apply_memory_format(model: nn.Module, recipe: Recipe) -> None:
    """Put the weights into the recipe's layout and precision, in place."""
    if recipe.precision == "float64":
        model.double()
    order = torch.channels_last if recipe.layout == "channels_last" else torch.contiguous_format
    # Weights in the order of the pictures spare a copy at every convolution.
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=order)


def batch_norms(model: nn.Module) -> Iterator[nn.modules.batchnorm._BatchNorm]:
    """Its layers whose statistics are the batch's in train mode."""
    return (layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm))


CHANCE = ("drop_prob", "drop_rate", "dropout", "attention_dropout")
"""What layers, here and in other libraries, call how often they leave something out."""
CHANCE_OF_DROPS = ("p", "prob")
"""What those call it that do nothing else, such as Dropout, DropBlock2d and StochasticDepth."""


def disable_dropout(model: nn.Module) -> None:
    """Nothing is left out from now on: two computations of one network can be compared."""
    for module in model.modules():
        kind = type(module).__name__
        drops = "Drop" in kind or kind == "StochasticDepth"
        for name in (*CHANCE, *(CHANCE_OF_DROPS if drops else ())):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def set_train_mode(model: nn.Module, recipe: Recipe) -> None:
    """Train mode, but for the norms where the recipe freezes them."""
    model.train()
    if recipe.freeze_norms:
        for norm in batch_norms(model):
            norm.eval()


def make_inputs(preprocess: Preprocess | None, recipe: Recipe, device: torch.device) -> Inputs:
    """From a batch to (what the network takes, targets); without `preprocess` batches hold that already."""
    from_pixels = nn.Identity() if preprocess is None else FromPixels(preprocess.mean, preprocess.std).to(device)
    if recipe.precision == "float64":
        from_pixels.double()

    def inputs(batch: Batch) -> tuple[Tensor, Tensor]:
        stored, targets = (torch.as_tensor(array).to(device) for array in batch[:2])
        x = from_pixels(stored)
        return x if recipe.layout == "channels_last" else x.contiguous(), targets

    return inputs


@contextmanager
def autocast(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """The recipe's precision, to compute a forward pass in."""
    if recipe.precision != "bfloat16":
        yield
        return
    with torch.autocast(device.type, torch.bfloat16):
        if device.type != "cpu" or recipe.compile or not torch.is_grad_enabled():
            yield
            return
        with _WholeStrides():
            yield


class _WholeStrides(TorchFunctionMode):
    """Depthwise convolutions in a form whose gradient a processor has quick code for in bfloat16: the same values.

    With a stride it takes a plain loop, 70 times slower (oneDNN 3, AVX-512): here it is computed without, and every
    other answer taken. So does a picture smaller than the kernel: it stays in float32, which costs nothing there.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return (_conv2d if func is F.conv2d else func)(*args, **(kwargs or {}))


def _conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    down, across = (stride, stride) if isinstance(stride, int) else stride
    if groups == 1 or groups != x.shape[1]:
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    if min(x.shape[2:]) < max(weight.shape[2:]):
        with torch.autocast(x.device.type, enabled=False):
            bias = None if bias is None else bias.float()
            return F.conv2d(x.float(), weight.float(), bias, stride, padding, dilation, groups)
    if max(down, across) == 1:
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    order = torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    whole = F.conv2d(x, weight, bias, 1, padding, dilation, groups)
    return whole[:, :, ::down, ::across].contiguous(memory_format=order)
