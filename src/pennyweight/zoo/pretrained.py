"""A name with weights: `create(name, weights=...)`, and networks that classify as they come."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import nn

from pennyweight.core.download import cache_folder, fetch
from pennyweight.core.errors import InputError
from pennyweight.core.files import split_part
from pennyweight.core.labels import imagenet
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run
from pennyweight.core.settings import override
from pennyweight.core.usage import Usage
from pennyweight.zoo.libraries import foreign
from pennyweight.zoo.registry import Stem, build, form, on_meta, require_tag, settle, sketch, tags, variant
from pennyweight.zoo.weights.checkpoint import SUFFIXES, Checkpoint, metadata, open_file
from pennyweight.zoo.weights.load import put_weights, require_fit, shape_of, warn_of
from pennyweight.zoo.weights.pickles import read_pickle
from pennyweight.zoo.weights.published import BEST, Published, published

__all__ = [
    "Pretrained",
    "create",
    "describe",
    "fields_of",
    "open_checkpoint",
    "open_pretrained",
    "open_published",
    "published_file",
]

Weights = str | os.PathLike[str]
MOST_PICTURE_CHANNELS = 4
"""Networks of more are for cubes."""
SMALL_INPUT = 32
"""Pixels a side where the small-image stem was asked for, and no size."""


def create(
    name: str,
    *,
    num_classes: int | None = None,
    in_channels: int = 3,
    stem: Stem | None = None,
    weights: Weights | None = None,
    **config: Any,
) -> nn.Module:
    """Make a network: (B, in_channels, H, W) float -> (B, num_classes) logits; freshly initialised, or with `weights`.

    `name` is one of `names()`, or `torchvision:NAME`, `timm:NAME`. Without `num_classes` there are 1000, or as many as
    another library publishes the network with: `timm:NAME` is then that of `timm.create_model(NAME)`. `stem="cifar"`
    keeps small images large enough, None is the network's own ("imagenet" for those that papers score on it). `config`
    overrides fields of the family's Config: `create("mobilenet_v2", width=0.5)`. `weights` is a file, whose metadata
    may say which Config it needs, one set of it (`FILE#state_dict`), a run's folder, or a published tag ("imagenet":
    the best), downloaded once; other classes leave the head fresh, other channels fit the stem, and a warning says so.
    Raises InputError for an unknown name, stem or field, with the nearest one, and for weights of another network, with
    the one that they look like.
    """
    if num_classes is None and foreign(name) is None:
        num_classes = 1000
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
    return build(name, **how, config={**fields_of(checkpoint, name), **config})


def open_checkpoint(weights: Weights, network: str, *, words: Iterable[str] = ()) -> Checkpoint:
    """Return a file of weights, a run's best, or those published for `network` under a tag ("imagenet": the best).

    Raises InputError where there is none of them; the nearest tag, or the nearest of the `words` that the caller takes
    beside tags, is named.
    """
    weights = os.fspath(weights)  # of a Run its folder
    path = split_part(weights)[0]
    usual_size = form(network).input_shape[1]
    # A folder that happens to be called like a tag is none of ours.
    if path.is_dir() and ((path / "run.json").exists() or weights not in (BEST, *tags(network))):
        run = Run(path)
        return open_file(run.whole(run.weights_path), usual_size=usual_size)
    if path.is_file():
        return open_file(Path(weights), usual_size=usual_size)
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        raise InputError(f"no weights at {weights}: there is no such file")
    require_tag(network, weights, words=words)
    if (other := foreign(network)) is not None:
        return other.library.checkpoint(other.name, weights)
    return open_published(network, weights)


def published_file(network: str, tag: str = BEST) -> tuple[Published, Path]:
    """Return the row of published weights, and where their file is kept."""
    row = published(network, tag)
    return row, cache_folder("weights") / row.file


def open_published(network: str, tag: str = BEST, *, within_s: float = math.inf) -> Checkpoint:
    """Return the weights published for `network`, fetched within so many seconds unless they are here.

    Raises DownloadError where they cannot be had.
    """
    row, path = published_file(network, tag)
    return Checkpoint(
        name=row.file,
        state=read_pickle(fetch(row.url, path, checksum=row.checksum, within_s=within_s)).state,
        network=network,
        layout="torchvision",
        # A ViT's positions are learned for one size.
        config={"size": row.size} if network.startswith("vit_") else {},
        preprocess=row.preprocess,
        labels=imagenet(),
    )


def fields_of(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    """Return the Config that a checkpoint asks for; families whose padding is always the same have no field for it.

    Raises InputError for another network's weights, before a field is blamed that the network does not have.
    """
    plain = checkpoint.config.get("padding") == "same" and foreign(name) is None
    without = plain and not hasattr(variant(name).config, "padding")
    config = {key: value for key, value in checkpoint.config.items() if not (without and key == "padding")}
    usual = form(name)
    how: dict[str, Any] = {"num_classes": usual.num_classes or 1, "in_channels": usual.input_shape[0], "stem": None}
    if config:
        try:
            sketch(name, **how, config=config)
        except InputError as error:
            require_fit(sketch(name, **how, config={}), checkpoint)
            raise InputError(f"{checkpoint.name} asks for what '{name}' is not: {error}") from error
    return config


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
    origin: Path | None = None
    """The file or the run that they come from, where they were not published."""


def open_pretrained(name: str, weights: Weights, **said: Unpack[Usage]) -> Pretrained:
    """The network `name` as its weights were trained: their classes, channels, Config and preprocessing.

    What the user `said` of them counts first, labels as a list of names. Raises InputError for another network's
    weights, DownloadError for published ones that cannot be fetched.
    """
    usual = form(name)
    if usual.input_shape[0] > MOST_PICTURE_CHANNELS:
        raise InputError(
            f"'{name}' takes windows of a hyperspectral cube, not pictures; a run of `fit` has its weights"
        )
    stem, config = said.get("stem"), said.get("config") or {}
    classes = usual.num_classes or len(imagenet())  # a network without a head is sketched with one
    model: dict[str, Any] = {"name": name, "num_classes": classes, "in_channels": usual.input_shape[0]}
    sketch(**model, stem=stem, config=config)  # what cannot be made is said before anything is downloaded
    checkpoint = open_checkpoint(weights, name)
    checkpoint = replace(checkpoint, config={**checkpoint.config, **config})
    model |= {"stem": stem or checkpoint.stem or usual.stem, "config": {}}
    model["num_classes"], model["in_channels"] = shape_of(on_meta(lambda: make_for(checkpoint, **model)), checkpoint)
    preprocess, notes = _preprocess(checkpoint, model, said)
    labels, more = _labels(checkpoint, model["num_classes"], said.get("labels"))
    sized = {} if said.get("input_size") is None else settle(name, {}, size=preprocess.size)
    model["config"] = settle(name, {**fields_of(checkpoint, name), **sized, **config}, size=preprocess.size)
    with torch.random.fork_rng():  # what is drawn is overwritten
        network = make_for(checkpoint, **model)
    return Pretrained(
        model=model,
        weights=checkpoint.name,
        notes=(*notes, *more, *put_weights(network, checkpoint)),
        network=network.eval(),
        preprocess=preprocess,
        labels=labels,
        data=checkpoint.data,
        origin=Path(weights) if Path(weights).exists() else None,
    )


def _preprocess(checkpoint: Checkpoint, model: Mapping[str, Any], said: Usage) -> tuple[Preprocess, tuple[str, ...]]:
    """How pictures are prepared, and what had to be taken for it. Raises InputError where that does not fit."""
    size, mean, std = said.get("input_size"), said.get("mean"), said.get("std")
    channels, usual = model["in_channels"], form(model["name"])
    if checkpoint.preprocess is None:
        small = model["stem"] == "cifar" != usual.stem
        unsaid = SMALL_INPUT if small else usual.input_shape[1]
        preprocess = Preprocess.for_input(unsaid if size is None else size, channels=channels)
    else:
        preprocess = checkpoint.preprocess if size is None else checkpoint.preprocess.at(size)
    mean, std = (values if values is None or len(values) > 1 else (*values,) * channels for values in (mean, std))
    preprocess = replace(preprocess, mean=tuple(mean or preprocess.mean), std=tuple(std or preprocess.std))
    if preprocess.channels != channels:
        raise InputError(f"{checkpoint.name} prepares {preprocess.channels} channels for a stem of {channels}")
    if checkpoint.preprocess is not None or None not in (size, mean, std):
        return preprocess, ()
    return preprocess, (
        f"{checkpoint.name} does not say how its pictures were prepared (--stem, --input, --mean, --std say it); "
        f"taken, with the {model['stem']} stem: {preprocess}",
    )


def _labels(
    checkpoint: Checkpoint, classes: int, said: Sequence[str] | str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the classes are called, and what had to be taken for it. Raises InputError where that does not fit."""
    labels = checkpoint.labels if said is None else tuple(said)
    if labels is None:
        known = classes == len(imagenet())
        labels = imagenet() if known else tuple(f"class {number}" for number in range(classes))
        taken = "its 1,000 are taken for ImageNet's" if known else f"they are called {labels[0]} to {labels[-1]}"
        return labels, (f"{checkpoint.name} does not say what its classes are (--labels says it); {taken}",)
    who = checkpoint.name if said is None else "labels"
    if len(set(labels)) != len(labels):
        raise InputError(f"{who} names a label twice: {next(x for x in labels if labels.count(x) > 1)}")
    if len(labels) != classes:
        raise InputError(f"{who} names {len(labels)} labels for {classes} classes")
    return labels, ()


def describe(
    *, model: Mapping[str, Any], preprocess: Preprocess, labels: Sequence[str], data: Mapping[str, Any]
) -> dict[str, str]:
    """What a file of weights says of itself, so that `create`, `fit` and `load` use it as it was trained."""
    name = model["name"]
    settings = None if foreign(name) is not None else override(variant(name).config, model["config"], what="Config")
    return metadata(model=model, settings=settings, preprocess=preprocess, labels=labels, data=data)
