"""Layers that are an operator or two: which, and with what arguments, so that a count need not go torch's way to them.

Between a layer's call and its operator lie its forward, a function with its checks, and the modes on both; on shapes
alone that is most of the time. Only torch's own layers with their own forward are here, of tensors on the meta device;
where one is called in another way, torch's way is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Direct", "operator_of"]

aten = torch.ops.aten

Call = tuple[Any, tuple[Any, ...]]
"""An overload of an operator, and its arguments."""
Calls = tuple[Call, ...]
"""What a layer calls; the last gives its output."""

HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


def _convolution(layer: Any, x: Tensor) -> Calls | None:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return None
    own = layer._parameters
    stride, padding, dilation = layer.stride, layer.padding, layer.dilation
    call = (x, own["weight"], own["bias"], stride, padding, dilation, False, (0,) * len(stride), layer.groups)
    return ((aten.convolution.default, call),)


def _batch_norm(layer: Any, x: Tensor) -> Calls | None:
    """In train mode it counts its batches first; a moving average that is none needs the number itself."""
    own, kept, training = layer._parameters, layer._buffers, layer.training
    seen = kept["num_batches_tracked"]
    if kept["running_mean"] is None or x.dim() != 4 or x.shape[1] != layer.num_features:
        return None
    if training and (seen is None or layer.momentum is None or x.numel() == x.shape[1]):
        return None
    mean, variance = kept["running_mean"], kept["running_var"]
    call = (x, own["weight"], own["bias"], mean, variance, training, layer.momentum, layer.eps)
    norm = (aten.native_batch_norm.default, call)
    return ((aten.add_.Tensor, (seen, 1)), norm) if training else (norm,)


def _silu(layer: Any, x: Tensor) -> Calls:
    return (((aten.silu_ if layer.inplace else aten.silu).default, (x,)),)


def _relu(layer: Any, x: Tensor) -> Calls:
    return (((aten.relu_ if layer.inplace else aten.relu).default, (x,)),)


def _sigmoid(layer: Any, x: Tensor) -> Calls:
    return ((aten.sigmoid.default, (x,)),)


def _pool(layer: Any, x: Tensor) -> Calls | None:
    """The mean over all places, which is how torch finds it too."""
    whole = layer.output_size in (1, (1, 1)) and x.dim() == 4
    return ((aten.mean.dim, (x, (-1, -2), True)),) if whole else None


Direct = Callable[[Any, Tensor], Calls | None]
"""A layer and its input -> its operators; None where torch's way to it is not known here."""

OPERATORS: dict[type, tuple[Any, Direct]] = {
    kind: (kind.forward, call)
    for kind, call in (
        (nn.Conv2d, _convolution),
        (nn.BatchNorm2d, _batch_norm),
        (nn.SiLU, _silu),
        (nn.ReLU, _relu),
        (nn.Sigmoid, _sigmoid),
        (nn.AdaptiveAvgPool2d, _pool),
    )
}
"""Layer -> the forward that torch gave it, and its operators."""


def operator_of(layer: nn.Module) -> Direct | None:
    """What gives the operators of `layer` for its input; None for one that is more, or that somebody changed."""
    kind = type(layer)
    forward, direct = OPERATORS.get(kind, (None, None))
    if direct is None or kind.forward is not forward:
        return None
    own = layer.__dict__
    return None if "forward" in own or any(map(own.__getitem__, HOOKS)) else direct
