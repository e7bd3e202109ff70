"""A name with weights: `create(name, weights=...)`, and networks that classify as they come."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pennyweight.core.download import cache_folder, fetch
from pennyweight.core.errors import InputError
from pennyweight.core.labels import imagenet
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run
from pennyweight.core.settings import override
from pennyweight.zoo.checkpoint import SUFFIXES, Checkpoint, metadata, open_file, read_pickle
from pennyweight.zoo.libraries import foreign
from pennyweight.zoo.published import BEST, published
from pennyweight.zoo.registry import Stem, build, form, on_meta, settle, sketch, tags, variant
from pennyweight.zoo.weights import put_weights, shape_of, warn_of

__all__ = ["Pretrained", "create", "describe", "fields_of", "open_checkpoint", "open_pretrained"]

Weights = str | os.PathLike[str]
MOST_PICTURE_CHANNELS = 4
"""Networks of more are for cubes."""


def create(
    name: str,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem: Stem | None = None,
    weights: Weights | None = None,
    **config: Any,
) -> nn.Module:
    """A network: (B, in_channels, H, W) float -> (B, num_classes) logits; freshly initialised, or with `weights`.

    `name` is one of `names()`, or `torchvision:NAME`, `timm:NAME`. `stem="cifar"` keeps small images large enough, None
    is the network's own ("imagenet" for those that papers score on it). `config` overrides fields of the family's
    Config: `create("mobilenet_v2", width=0.5)`. `weights` is a file, whose metadata may say which Config it needs, a
    run's folder, or a published tag ("imagenet": the best), downloaded once; other classes leave the head fresh, other
    channels fit the stem, and a warning says so. Raises InputError for an unknown name, stem or field, with the nearest
    one, and for weights of another network.
    """
    how: dict[str, Any] = {"num_classes": num_classes, "in_channels": in_channels, "stem": stem, "config": config}
    if weights is None:
        return build(name, **how)
    sketch(name, **how)  # what cannot be made is said before anything is downloaded
    checkpoint = open_checkpoint(weights, name)
    stem_said = checkpoint.stem if stem is None else stem
    network = make_for(checkpoint, name, **how | {"stem": stem_said})
    warn_of(put_weights(network, checkpoint))
    return network


def make_for(checkpoint: Checkpoint, name: str, *, config: Mapping[str, Any], **how: Any) -> nn.Module:
    """A network with the Config that a checkpoint asks for and `config`. Raises InputError when it is another's."""
    try:
        return build(name, **how, config={**fields_of(checkpoint, name), **config})
    except InputError as error:
        # Fields that the family does not have: then the keys are another's too, which is the better answer.
        shape_of(sketch(name, **how, config=config), checkpoint)
        raise InputError(f"{checkpoint.name} asks for what '{name}' is not: {error}") from error


def open_checkpoint(weights: Weights, network: str) -> Checkpoint:
    """A file of weights, a run's best, or those published for `network` under a tag ("imagenet": the best)."""
    path = Path(weights)
    usual_size = form(network).input_shape[1]
    # A folder that happens to be called like a tag is none of ours.
    if path.is_dir() and ((path / "run.json").exists() or str(weights) not in (BEST, *tags(network))):
        return open_file(Run(path).weights_path, usual_size=usual_size)
    if path.is_file():
        return open_file(path, usual_size=usual_size)
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        raise InputError(f"no weights at {weights}: there is no such file")
    if (other := foreign(network)) is not None:
        return other.library.checkpoint(other.name, str(weights))
    row = published(network, str(weights))
    file = fetch(row.url, cache_folder("weights") / row.file, checksum=row.checksum)
    return Checkpoint(
        name=row.file,
        state=read_pickle(file),
        layout="torchvision",
        # A ViT's positions are learned for one size.
        config={"size": row.size} if network.startswith("vit_") else {},
        preprocess=row.preprocess,
        labels=imagenet(),
    )


def fields_of(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    """The Config that a checkpoint asks for; families whose padding is always the same have no field for it."""
    plain = checkpoint.config.get("padding") == "same" and foreign(name) is None
    without = plain and not hasattr(variant(name).config, "padding")
    return {key: value for key, value in checkpoint.config.items() if not (without and key == "padding")}


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A network by name that classifies with weights from elsewhere."""

    model: dict[str, Any]
    """As `build` takes it, and run.json keeps it."""
    weights: str
    """The file's name."""
    network: nn.Module
    """In eval mode."""
    preprocess: Preprocess
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    """What the weights did not say, and what was taken for it."""
    data: Mapping[str, Any] | None
    """What they were trained on, as their metadata says it."""


def open_pretrained(name: str, weights: Weights) -> Pretrained:
    """The network `name` as its weights were trained: their classes, channels, Config and preprocessing.

    Raises InputError for another network's weights, DownloadError for published ones that cannot be fetched.
    """
    usual = form(name)
    if usual.input_shape[0] > MOST_PICTURE_CHANNELS:
        raise InputError(
            f"'{name}' takes windows of a hyperspectral cube, not pictures; a run of `fit` has its weights"
        )
    checkpoint = open_checkpoint(weights, name)
    model: dict[str, Any] = {
        "name": name,
        "num_classes": usual.num_classes,
        "in_channels": usual.input_shape[0],
        "stem": checkpoint.stem or usual.stem,
        "config": {},
    }
    model["num_classes"], model["in_channels"] = shape_of(on_meta(lambda: make_for(checkpoint, **model)), checkpoint)
    notes = []
    preprocess, labels = checkpoint.preprocess, checkpoint.labels
    if preprocess is None:
        preprocess = Preprocess.for_input(usual.input_shape[1], channels=model["in_channels"])
        notes.append(
            f"{checkpoint.name} does not say how its pictures were prepared; the usual is taken, with the "
            f"{model['stem']} stem: {preprocess}"
        )
    if labels is None:
        known = model["num_classes"] == len(imagenet())
        labels = imagenet() if known else tuple(f"class {number}" for number in range(model["num_classes"]))
        taken = "its 1,000 are taken for ImageNet's" if known else f"they are called {labels[0]} to {labels[-1]}"
        notes.append(f"{checkpoint.name} does not say what its classes are; {taken}")
    if len(set(labels)) != len(labels):
        raise InputError(f"{checkpoint.name} names a label twice: {next(x for x in labels if labels.count(x) > 1)}")
    if len(labels) != model["num_classes"]:
        raise InputError(f"{checkpoint.name} names {len(labels)} labels for {model['num_classes']} classes")
    if preprocess.channels != model["in_channels"]:
        raise InputError(
            f"{checkpoint.name} prepares {preprocess.channels} channels for a stem of {model['in_channels']}"
        )
    with torch.random.fork_rng():  # what is drawn is overwritten
        network = make_for(checkpoint, **model)
    put_weights(network, checkpoint)
    model["config"] = settle(name, fields_of(checkpoint, name), size=preprocess.size)
    return Pretrained(
        model=model,
        weights=checkpoint.name,
        network=network.eval(),
        preprocess=preprocess,
        labels=labels,
        notes=tuple(notes),
        data=checkpoint.data,
    )


def describe(
    *, model: Mapping[str, Any], preprocess: Preprocess, labels: Sequence[str], data: Mapping[str, Any]
) -> dict[str, str]:
    """What a file of weights says of itself, so that `create`, `fit` and `load` use it as it was trained."""
    name = model["name"]
    settings = None if foreign(name) is not None else override(variant(name).config, model["config"], what="Config")
    return metadata(model=model, settings=settings, preprocess=preprocess, labels=labels, data=data)
