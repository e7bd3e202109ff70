"""Networks on the meta device: shapes without values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from pennyweight.nn.init import meta_device
from pennyweight.zoo.libraries import foreign
from pennyweight.zoo.registry import build

__all__ = ["on_meta", "sketch"]

MOST = 8
_KEPT: dict[str, nn.Module] = {}
"""Networks of ours that `sketch` made, by its arguments; the one used last stands last."""


def sketch(
    name: str, *, num_classes: int | None, in_channels: int | None, stem: str | None, config: Mapping[str, Any]
) -> nn.Module:
    """Return the network on the meta device, in eval mode. Callers share it, and only read it.

    `fit` asks for one network several times. Networks of other libraries are made each time.
    """
    key = json.dumps([name, num_classes, in_channels, stem, dict(config)], sort_keys=True, default=repr)
    network = _KEPT.pop(key, None) or on_meta(
        lambda: build(name, num_classes=num_classes, in_channels=in_channels, stem=stem, config=config)
    )
    if foreign(name) is None:
        _KEPT[key] = network
    while len(_KEPT) > MOST:
        del _KEPT[next(iter(_KEPT))]
    return network.eval()


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    """Call `make` on the meta device, or move its result there."""
    try:
        with meta_device():  # allocates nothing and draws no random numbers
            return make()
    except NotImplementedError:  # another library's constructor that computes with values
        with torch.random.fork_rng():
            return make().to("meta")
