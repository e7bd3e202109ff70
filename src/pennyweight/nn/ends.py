"""Where a network of any library begins, and where it answers."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

__all__ = ["Ends", "ends"]


class Ends(NamedTuple):
    """The names of the layers that see the input's channels, and of those that answer for the classes."""

    stems: tuple[str, ...]
    heads: tuple[str, ...]


def ends(model: nn.Module) -> Ends:
    """As timm says it of its own, some of which have several of either; of others the first layer and the last."""
    layers = [name for name, module in model.named_modules() if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.Linear))]
    said = getattr(model, "pretrained_cfg", None) or {}
    found = []
    for key, otherwise in (("first_conv", layers[0]), ("classifier", layers[-1])):
        names = said.get(key) or ()
        known = tuple(name for name in ([names] if isinstance(names, str) else names) if name in layers)
        found.append(known or (otherwise,))
    return Ends(*found)
