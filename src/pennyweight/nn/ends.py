"""First and last layers of a network of any library."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from torch import nn

__all__ = ["Ends", "ends"]


class Ends(NamedTuple):
    """Names of the layers that take the input's channels, and names of the layers that return the classes."""

    stems: tuple[str, ...]
    heads: tuple[str, ...]
    """Layers that return the classes; none if the network was made for 0 classes."""
    removed: tuple[str, ...]
    """Layers that would return the classes if the network had not been made for 0 classes."""


def ends(model: nn.Module) -> Ends:
    """Return the first and last layers: as timm's configuration names them, else the first and last in order."""
    layers = [name for name, module in model.named_modules() if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.Linear))]
    settings = getattr(model, "pretrained_cfg", None) or {}
    stems = tuple(name for name in _listed(settings.get("first_conv")) if name in layers) or (layers[0],)
    heads = _listed(settings.get("classifier"))
    if getattr(model, "num_classes", None) == 0:
        return Ends(stems, (), getattr(model, "removed_heads", heads))
    return Ends(stems, tuple(name for name in heads if name in layers) or (layers[-1],), ())


def _listed(names: str | Iterable[str] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())
