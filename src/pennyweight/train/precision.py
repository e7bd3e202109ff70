"""Precision and memory layout of a step: mixed precision by autocast, channels last or first, train mode, dropout."""

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
    # Weights in the layout of the pictures save a copy at every convolution.
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=order)


def batch_norms(model: nn.Module) -> Iterator[nn.modules.batchnorm._BatchNorm]:
    """Return the batch norms: layers that use the statistics of the batch in train mode."""
    return (layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm))


RATES = ("drop_prob", "drop_rate", "dropout", "attention_dropout")
"""Attributes of layers, here and in other libraries, that hold the probability of dropping something."""
RATES_OF_DROP_LAYERS = ("p", "prob")
"""Such attributes of layers that do nothing else: Dropout, DropBlock2d, StochasticDepth and the like."""


def disable_dropout(model: nn.Module) -> None:
    """Set every rate of dropout and stochastic depth to 0, so that two computations of one network can be compared."""
    for module in model.modules():
        kind = type(module).__name__
        drops = "Drop" in kind or kind == "StochasticDepth"
        for name in (*RATES, *(RATES_OF_DROP_LAYERS if drops else ())):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def set_train_mode(model: nn.Module, recipe: Recipe) -> None:
    """Put the model into train mode, except its batch norms if the recipe freezes them."""
    model.train()
    if recipe.freeze_norms:
        for norm in batch_norms(model):
            norm.eval()


def make_inputs(preprocess: Preprocess | None, recipe: Recipe, device: torch.device) -> Inputs:
    """Make the function from a batch to (input, targets); without `preprocess` batches hold inputs already."""
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
    """Compute forward passes in the recipe's precision inside the context; bfloat16 is torch's autocast."""
    if recipe.precision != "bfloat16":
        yield
        return
    with torch.autocast(device.type, torch.bfloat16):
        if device.type != "cpu" or recipe.compile or not torch.is_grad_enabled():
            yield
            return
        with _FastDepthwise():
            yield


class _FastDepthwise(TorchFunctionMode):
    """Depthwise convolutions in bfloat16, in forms whose gradients a CPU computes fast and whose values are the same.

    With a stride, the gradient runs in a plain loop, 70 times slower (oneDNN 3, AVX-512). Here the convolution is
    computed without its stride, and the outputs between are dropped. A picture smaller than the kernel would run in
    the same loop, so it is computed in float32, whose extra time is negligible at that size.
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
