"""First and last layers of a network of any library."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

__all__ = ["Ends", "ends"]


class Ends(NamedTuple):
    """Names of the layers that take the input's channels, and names of the layers that return the classes."""

    stems: tuple[str, ...]
    heads: tuple[str, ...]


def ends(model: nn.Module) -> Ends:
    """Return the names from timm's configuration, which may list several; else the first and the last layer."""
    layers = [name for name, module in model.named_modules() if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.Linear))]
    settings = getattr(model, "pretrained_cfg", None) or {}
    found = []
    for key, otherwise in (("first_conv", layers[0]), ("classifier", layers[-1])):
        names = settings.get(key) or ()
        known = tuple(name for name in ([names] if isinstance(names, str) else names) if name in layers)
        found.append(known or (otherwise,))
    return Ends(*found)
