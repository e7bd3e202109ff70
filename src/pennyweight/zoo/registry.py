"""From a name to a network. A family is one row here; its variants stand in its own file."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from pennyweight.core.errors import InputError, nearest
from pennyweight.core.settings import override
from pennyweight.nn import Network
from pennyweight.zoo import (
    efficientnet,
    hybrid_sn,
    mobilenet_v1,
    mobilenet_v2,
    resnet,
    resnet_9,
    resnext,
    shufflenet_v1,
    shufflenet_v2,
    vgg,
    vit,
)
from pennyweight.zoo.variant import Variant
from pennyweight.zoo.weights import open_checkpoint, put_weights

__all__ = ["FAMILIES", "Family", "Stem", "build", "create", "names", "variant"]

Stem = Literal["imagenet", "cifar"]


@dataclass(frozen=True)
class Family:
    """A family's title, its network and its table of variants."""

    title: str
    network: Callable[..., Network]
    variants: Mapping[str, Variant[Any]]


FAMILIES = (
    Family("MobileNetV1", mobilenet_v1.MobileNetV1, mobilenet_v1.VARIANTS),
    Family("MobileNetV2", mobilenet_v2.MobileNetV2, mobilenet_v2.VARIANTS),
    Family("ShuffleNetV1", shufflenet_v1.ShuffleNetV1, shufflenet_v1.VARIANTS),
    Family("ShuffleNetV2", shufflenet_v2.ShuffleNetV2, shufflenet_v2.VARIANTS),
    Family("EfficientNet", efficientnet.EfficientNet, efficientnet.VARIANTS),
    Family("ResNet-9", resnet_9.ResNet9, resnet_9.VARIANTS),
    Family("ResNet", resnet.ResNet, resnet.VARIANTS),
    Family("ResNeXt", resnext.ResNeXt, resnext.VARIANTS),
    Family("VGG", vgg.VGG, vgg.VARIANTS),
    Family("ViT", vit.ViT, vit.VARIANTS),
    Family("HybridSN", hybrid_sn.HybridSN, hybrid_sn.VARIANTS),
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
    name: str,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem: Stem | None = None,
    weights: str | os.PathLike[str] | None = None,
    **config: Any,
) -> Network:
    """A network: (B, in_channels, H, W) float -> (B, num_classes) logits; freshly initialised, or with `weights`.

    `stem="cifar"` keeps small images large enough, None is the variant's own ("imagenet" for those that papers score
    on it). `config` overrides fields of the family's Config: `create("mobilenet_v2", width=0.5)`. `weights` is a file,
    whose metadata may say which Config it needs, or a published tag ("imagenet": the best), downloaded once; other
    classes leave the head fresh, other channels fit the stem, and a warning says so. Raises InputError for an unknown
    name, stem or field, with the nearest one, and for weights of another network.
    """
    if weights is None:
        return build(name, num_classes=num_classes, in_channels=in_channels, stem=stem, config=config)
    variant(name)  # an unknown network is said before unknown weights
    checkpoint = open_checkpoint(weights, name)
    network = build(
        name, num_classes=num_classes, in_channels=in_channels, stem=stem, config={**checkpoint.config, **config}
    )
    put_weights(network, checkpoint)
    return network


def build(name: str, *, num_classes: int, in_channels: int, stem: str | None, config: Mapping[str, Any]) -> Network:
    """The same from values, as run.json keeps them; a field of `config` never stands for another argument."""
    row = variant(name)
    stem = row.stem if stem is None else stem
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
