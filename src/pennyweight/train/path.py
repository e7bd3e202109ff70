"""The path of a step: how pictures lie in memory, and in which arithmetic the network computes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Batch
from pennyweight.nn import FromPixels
from pennyweight.train.recipe import Recipe

__all__ = ["Inputs", "arithmetic", "make_inputs", "put_in_layout"]

Inputs = Callable[[Batch], tuple[Tensor, Tensor]]


def put_in_layout(model: nn.Module, recipe: Recipe) -> None:
    """Put the weights into the recipe's layout and precision, in place."""
    if recipe.precision == "float64":
        model.double()
    order = torch.channels_last if recipe.layout == "channels_last" else torch.contiguous_format
    # Weights in the order of the pictures spare a copy at every convolution.
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=order)


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


def arithmetic(recipe: Recipe, device: torch.device) -> AbstractContextManager[object]:
    """The recipe's precision, to compute a forward pass in."""
    return torch.autocast(device.type, torch.bfloat16) if recipe.precision == "bfloat16" else nullcontext()
