"""torchvision's classifiers by name: `torchvision:resnet50`.

torchvision builds the network. This module downloads its weights and verifies their checksum.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from torch import nn
from torchvision import models

from pennyweight.core.cache import cached_file
from pennyweight.core.download import fetch
from pennyweight.core.errors import InputError
from pennyweight.core.frame import Size, show_size, side_of, sides_of
from pennyweight.core.preprocess import Preprocess
from pennyweight.nn.ends import ends
from pennyweight.zoo.weights.checkpoint import Checkpoint
from pennyweight.zoo.weights.pickles import read_pickle
from pennyweight.zoo.weights.published import BEST

__all__ = ["cached", "checkpoint", "input_shape", "make", "names", "num_classes", "params", "size_setting", "tags"]

# Auxiliary classifiers help only training, and make the output more than logits.
FIXED: Mapping[str, Mapping[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}
# These two were published with another normalization; `transform_input` converts ImageNet's mean and deviation to it.
PUBLISHED_WITH: Mapping[str, dict[str, Any]] = {key: {"transform_input": True} for key in FIXED}
# Keys of older files: pattern, replacement; None drops the key.
RENAMED = (
    (re.compile(r"^(AuxLogits|aux1|aux2)\..*"), None),
    (re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\."), r"\1\2."),
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."),
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."),
)


def names() -> list[str]:
    """Return the names that can follow `torchvision:`."""
    return list(models.list_models(module=models))


def tags(name: str) -> dict[str, float]:
    """Return the tags of a network's published weights, best first, with their ImageNet accuracy in %."""
    accuracy = {row.name: row.meta["_metrics"]["ImageNet-1K"]["acc@1"] for row in models.get_model_weights(name)}
    return dict(sorted(accuracy.items(), key=lambda item: -item[1]))


def cached() -> list[tuple[str, str]]:
    """Return (name, tag) of the best weights of each network whose file is in the cache."""
    found = []
    for name in names():
        files = {row.name: cached_file("weights", row.url.rpartition("/")[2]) for row in models.get_model_weights(name)}
        here = [tag for tag in tags(name) if files[tag].is_file()]
        found += [(name, here[0])] if here else []
    return found


def params() -> dict[str, int]:
    """Return the number of parameters of every network with published weights."""
    counts = {name: [row.meta["num_params"] for row in models.get_model_weights(name)] for name in names()}
    return {name: found[0] for name, found in counts.items() if found}


def input_shape(name: str) -> tuple[int, int, int]:
    """Return the (C, H, W) at which the best published weights were scored."""
    weights = models.get_model_weights(name)
    best = next(iter(tags(name)), None)
    size = 224 if best is None else weights[best].transforms().crop_size[0]
    return (3, size, size)


def size_setting(name: str, size: Size) -> dict[str, Any]:
    """Return the constructor argument for a network of fixed input size; empty for any other network.

    Raises InputError for a rectangle and a network of squares.
    """
    if name.startswith("vit_"):
        if not isinstance(size, int):
            raise InputError(
                f"torchvision's '{name}' takes square inputs, not {show_size(size)}; give it {side_of(size)} and the "
                f"frame pad, or take our own '{name}', which takes rectangles"
            )
        return {"image_size": size}
    return {"input_size": sides_of(size)} if name.startswith("maxvit") else {}


def num_classes(name: str) -> int:
    """Return the number of classes that the network is published with."""
    return 1000


def make(name: str, *, num_classes: int | None, in_channels: int, config: Mapping[str, Any]) -> nn.Module:
    """Make a fresh network; `config` holds arguments of torchvision's own constructor."""
    classes = num_classes or 1000
    network: nn.Module = models.get_model(name, weights=None, num_classes=classes, **FIXED.get(name, {}), **config)
    if in_channels != 3:
        _replace_stem(network, in_channels)
    if num_classes == 0:
        _remove_head(network)
    return network


def _replace_stem(network: nn.Module, channels: int) -> None:
    """Replace the first convolution by a fresh one for `channels` input channels."""
    place, old = next((key, module) for key, module in network.named_modules() if isinstance(module, nn.Conv2d))
    given = inspect.signature(nn.Conv2d).parameters.keys() & old.__constants__
    settings = {key: getattr(old, key) for key in given} | {"in_channels": channels, "bias": old.bias is not None}
    fresh = nn.Conv2d(**settings, device=old.weight.device)
    nn.init.kaiming_normal_(fresh.weight, mode="fan_out", nonlinearity="relu")
    parent, _, child = place.rpartition(".")
    setattr(network.get_submodule(parent), child, fresh)


def _remove_head(network: nn.Module) -> None:
    """Replace the last layer by one that passes the features on, and note its name for weights that have it."""
    heads = ends(network).heads
    for head in heads:
        network.set_submodule(head, nn.Identity())
    vars(network).update(num_classes=0, removed_heads=heads)


def checkpoint(name: str, tag: str) -> Checkpoint:
    """Download once, verify and read the published weights of a tag ("imagenet": the best)."""
    known = tags(name)
    row = models.get_model_weights(name)[next(iter(known)) if tag == BEST else tag]
    file = row.url.rpartition("/")[2]
    digits = file.rpartition("-")[2].removesuffix(".pth")
    path = fetch(row.url, cached_file("weights", file), checksum=f"sha256:{digits}")
    transform = row.transforms()
    state = {}
    for key, tensor in read_pickle(path).state.items():
        new = _renamed(key)
        if new is not None:
            state[new] = tensor
    return Checkpoint(
        name=file,
        state=state,
        layout="torchvision",
        config=size_setting(name, transform.crop_size[0]) | PUBLISHED_WITH.get(name, {}),
        preprocess=Preprocess(
            size=transform.crop_size[0],
            resize=transform.resize_size[0],
            interpolation=transform.interpolation.value,
            mean=tuple(transform.mean),
            std=tuple(transform.std),
        ),
        labels=tuple(row.meta["categories"]),
    )


def _renamed(key: str) -> str | None:
    for was, now in RENAMED:
        if was.search(key):
            return None if now is None else was.sub(now, key)
    return key
