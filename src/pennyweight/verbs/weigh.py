"""`weigh`: what a network costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from pennyweight import cost, zoo
from pennyweight.core.errors import InputError

__all__ = ["weigh"]

SMALL_INPUT = (32, 32)


def weigh(
    model_or_name: nn.Module | str,
    input_shape: Sequence[int] | None = None,
    *,
    batch: int = 1,
    stem: zoo.Stem | None = None,
    config: Mapping[str, Any] | None = None,
) -> cost.Cost:
    """Count parameters and multiply-accumulates of a network on (batch, *input_shape).

    `model_or_name` is a module, which needs its input shape and is counted in its own mode, or a name for `create`
    with its `stem` and `config`, which brings its usual input shape (C, H, W), 32 pixels with the small-image stem, and
    is counted in eval mode.
    Raises InputError for an input that the network does not take.
    """
    if isinstance(model_or_name, nn.Module):
        if input_shape is None:
            raise InputError("weighing a module needs its input shape, for example (3, 224, 224)")
        return cost.count(model_or_name, input_shape, batch=batch)
    usual = zoo.form(model_or_name)
    small = stem == "cifar" and stem != usual.stem
    shape = tuple(input_shape or ((usual.input_shape[0], *SMALL_INPUT) if small else usual.input_shape))
    how = zoo.settle(model_or_name, config or {}, size=shape[-1])
    network = zoo.sketch(model_or_name, num_classes=usual.num_classes, in_channels=shape[0], stem=stem, config=how)
    return cost.count(network, shape, batch=batch)
