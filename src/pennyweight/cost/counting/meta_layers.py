"""Layers of one or two operators: which operators, with what arguments, so that a count can skip torch's path.

Between a layer's call and its operator lie its forward, a checking function, and the modes on both; with shapes alone
they take most of the time. The table holds only torch's own layers with their own forward, for tensors on the meta
device. Any other call goes through torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Direct", "operator_of"]

aten = torch.ops.aten

Call = tuple[Any, tuple[Any, ...]]
"""Overload of an operator, and its arguments."""
Calls = tuple[Call, ...]
"""Operators that a layer calls, in order; the last one gives the layer's output."""

HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


def _convolution(layer: Any, x: Tensor) -> Calls | None:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return None
    own = layer._parameters
    stride, padding, dilation = layer.stride, layer.padding, layer.dilation
    call = (x, own["weight"], own["bias"], stride, padding, dilation, False, (0,) * len(stride), layer.groups)
    return ((aten.convolution.default, call),)


def _batch_norm(layer: Any, x: Tensor) -> Calls | None:
    """Return the calls of a batch norm. In train mode it first counts its batches.

    A cumulative moving average (momentum None) needs the value of that count, so torch runs it.
    """
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
    """Return the mean over all positions, which is also torch's implementation."""
    whole = layer.output_size in (1, (1, 1)) and x.dim() == 4
    return ((aten.mean.dim, (x, (-1, -2), True)),) if whole else None


Direct = Callable[[Any, Tensor], Calls | None]
"""Function from a layer and its input to the layer's operators; None if torch has to run the layer."""

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
"""Layer -> the forward that torch gave it, and the function that returns its operators."""


def operator_of(layer: nn.Module) -> Direct | None:
    """Return the function that lists the operators of `layer`; None for another or a modified layer."""
    kind = type(layer)
    forward, direct = OPERATORS.get(kind, (None, None))
    if direct is None or kind.forward is not forward:
        return None
    own = layer.__dict__
    return None if "forward" in own or any(map(own.__getitem__, HOOKS)) else direct
