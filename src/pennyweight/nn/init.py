"""Initialization of weights, in one place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["initialize", "meta_device"]

SETTERS: frozenset[Callable[..., Any]] = frozenset(
    [
        *(Tensor.erfinv_, Tensor.fill_, Tensor.normal_, Tensor.uniform_, Tensor.zero_),
        *(nn.init.constant_, nn.init.kaiming_normal_, nn.init.kaiming_uniform_, nn.init.normal_, nn.init.uniform_),
    ]
)
"""Functions that set every value of their first argument and return it."""


def initialize(network: nn.Module) -> None:
    """Initialize every layer's weights, in place; a module initializes its own parameters outside layers.

    Convolutions by He et al. 2015 (arXiv:1502.01852, fan-out); norms to identity; linear layers of modules with
    `glorot` (attention, feed-forward) by Glorot and Bengio 2010 (uniform); other linear layers normal with deviation
    0.01, as in VGG; embeddings of d numbers normal with deviation 1/√d; biases to zero.
    """
    attentive = {
        id(layer) for block in network.modules() if getattr(block, "glorot", False) for layer in block.modules()
    }
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            # Each output channel gets gradients only from its own group's channels. Without the division,
            # depthwise weights start so small that the signal vanishes after a few blocks.
            fan_out = module.weight[0, 0].numel() * module.out_channels / module.groups
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm)):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
        elif isinstance(module, nn.Linear):
            if id(module) in attentive:
                nn.init.xavier_uniform_(module.weight)
            else:
                nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)


@contextmanager
def meta_device() -> Iterator[None]:
    """Make tensors and modules on the meta device inside: shapes without values, so that none are drawn.

    torch computes the shape of each initialization in Python, which takes more than half of a sketch's time.
    """
    with torch.device("meta"), _NoValues():
        yield


class _NoValues(TorchFunctionMode):
    """Mode that skips the functions that only set values, for tensors on the meta device."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in SETTERS:
            tensor: Tensor = args[0] if args else kwargs["tensor"]
            if tensor.is_meta:
                return tensor
        return func(*args, **kwargs)
