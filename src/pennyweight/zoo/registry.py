"""From a name to a network. A family is one row here; its variants stand in its own file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from torch import nn

from pennyweight.core.errors import InputError, nearest
from pennyweight.core.settings import override
from pennyweight.zoo import mobilenet_v1, mobilenet_v2
from pennyweight.zoo.variant import Variant

__all__ = ["FAMILIES", "Family", "Stem", "build", "create", "names", "variant"]

Stem = Literal["imagenet", "cifar"]


@dataclass(frozen=True)
class Family:
    """A family's title, its network and its table of variants."""

    title: str
    network: Callable[..., nn.Module]
    variants: Mapping[str, Variant[Any]]


FAMILIES = (
    Family("MobileNetV1", mobilenet_v1.MobileNetV1, mobilenet_v1.VARIANTS),
    Family("MobileNetV2", mobilenet_v2.MobileNetV2, mobilenet_v2.VARIANTS),
)
_BY_NAME = {name: family for family in FAMILIES for name in family.variants}


def names(pattern: str = "*") -> list[str]:
    """The names that `create` takes, in the order of the tables; `pattern` as in a shell (`*v2*`)."""
    return [name for name in _BY_NAME if fnmatchcase(name, pattern)]


def variant(name: str) -> Variant[Any]:
    """The table row of a name. Raises InputError with the nearest name."""
    if name not in _BY_NAME:
        hint = nearest(name, _BY_NAME, otherwise="; `pennyweight names` lists them")
        raise InputError(f"unknown network '{name}'{hint}")
    return _BY_NAME[name].variants[name]


def create(
    name: str, *, num_classes: int = 1000, in_channels: int = 3, stem: Stem = "imagenet", **config: Any
) -> nn.Module:
    """A freshly initialised network: (B, in_channels, H, W) float -> (B, num_classes) logits.

    `stem="cifar"` keeps small images large enough; `config` overrides fields of the family's Config:
    `create("mobilenet_v2", width=0.5)`. Raises InputError for an unknown name, stem or field, with the nearest one.
    """
    return build(name, num_classes=num_classes, in_channels=in_channels, stem=stem, config=config)


def build(name: str, *, num_classes: int, in_channels: int, stem: str, config: Mapping[str, Any]) -> nn.Module:
    """The same from values, as run.json keeps them; a field of `config` never stands for another argument."""
    row = variant(name)
    if stem not in get_args(Stem):
        hint = nearest(stem, get_args(Stem), otherwise=f"; there are {', '.join(get_args(Stem))}")
        raise InputError(f"unknown stem '{stem}'{hint}")
    for what, count in (("num_classes", num_classes), ("in_channels", in_channels)):
        if not isinstance(count, int) or count < 1:
            raise InputError(f"{what} must be a whole number of at least 1, not {count!r}")
    resolved = override(row.config, config, what="Config")
    _check(resolved)
    return _BY_NAME[name].network(resolved, num_classes=num_classes, in_channels=in_channels, stem=stem)


def _check(config: Any) -> None:
    """The rules that fields named alike share in every family."""
    width = getattr(config, "width", 1.0)
    if not (math.isfinite(width) and width > 0):
        raise InputError(f"Config field 'width' must be above 0, not {width}; 0.25 to 1.4 are usual")
    dropout = getattr(config, "dropout", 0.0)
    if not 0 <= dropout < 1:
        raise InputError(f"Config field 'dropout' must be at least 0 and below 1, not {dropout}")
