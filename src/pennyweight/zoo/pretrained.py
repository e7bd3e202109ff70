"""Pretrained networks: a name with weights, as `create(name, weights=...)`, or ready to classify."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import nn

from pennyweight.core.cache import cached_file
from pennyweight.core.download import fetch
from pennyweight.core.errors import InputError
from pennyweight.core.files import split_part
from pennyweight.core.frame import as_size
from pennyweight.core.labels import imagenet_labels
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run
from pennyweight.core.run_folder import is_run_folder
from pennyweight.core.settings import override
from pennyweight.core.usage import Usage
from pennyweight.zoo.libraries import foreign
from pennyweight.zoo.registry import Stem, build, form, require_tag, settle, tags, variant
from pennyweight.zoo.shapes import on_meta, sketch
from pennyweight.zoo.weights.checkpoint import SUFFIXES, Checkpoint, metadata, open_file
from pennyweight.zoo.weights.load import put_weights, require_fit, shape_of, warn_adapted
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
"""Most input channels of a network for pictures; networks with more take hyperspectral cubes."""
SMALL_INPUT = 32
"""Default input side in pixels for the small-image stem."""


def create(
    name: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    stem: Stem | None = None,
    weights: Weights | None = None,
    **config: Any,
) -> nn.Module:
    """Make a network, freshly initialized or with `weights`: (B, in_channels, H, W) float -> (B, num_classes) logits.

    If the head or the stem of the weights does not fit, a warning says what was changed: another number of classes
    makes the head fresh, another number of channels adapts the stem.

    Args:
        name: One of `names()`, or `torchvision:NAME`, or `timm:NAME`.
        num_classes: Number of classes; by default the published number, as `names` lists it: 1000 for ImageNet. 0
            leaves the last layer out: the network returns pooled features, (B, C).
        in_channels: Input channels; by default the published number: 3, or a scene's number of bands.
        stem: "imagenet", or "cifar" for images of about 32 pixels, which the stem then reduces less; None is the stem
            that the network was published with.
        weights: File, one set of weights in it (`FILE#state_dict`), folder of a run, or published tag ("imagenet": the
            best), which is downloaded once. The metadata of a file may set Config fields and the stem.
        config: Fields of the family's Config to override: `create("mobilenet_v2", width=0.5)`.

    Returns:
        The network, in train mode.

    Raises:
        InputError: The name, stem or field is unknown; the message has the nearest one. Or the weights belong to
            another network; the message has the one that they look like.
        DownloadError: The published weights cannot be downloaded.
    """
    options: dict[str, Any] = {"num_classes": num_classes, "in_channels": in_channels, "stem": stem, "config": config}
    if weights is None:
        return build(name, **options)
    sketch(name, **options)  # raises errors before anything is downloaded
    checkpoint = open_checkpoint(weights, name)
    own_stem = checkpoint.stem if stem is None else stem
    network = make_for(checkpoint, name, **options | {"stem": own_stem})
    warn_adapted(put_weights(network, checkpoint))
    return network


def make_for(checkpoint: Checkpoint, name: str, *, config: Mapping[str, Any], **options: Any) -> nn.Module:
    """Make a network with the Config of a checkpoint, overridden by `config`.

    Raises InputError if the checkpoint belongs to another network.
    """
    return build(name, **options, config={**fields_of(checkpoint, name), **config})


def open_checkpoint(weights: Weights, network: str, *, words: Iterable[str] = ()) -> Checkpoint:
    """Open weights: a file, a run's best weights, or those published for `network` under a tag ("imagenet": the best).

    Raises InputError if there are none, with the nearest tag, or the nearest of the other `words` that the caller
    accepts.
    """
    weights = os.fspath(weights)  # a Run gives its folder
    path = split_part(weights)[0]
    usual_size = form(network).input_shape[1]
    # A folder with the name of a tag counts only if it is a run.
    if path.is_dir() and (is_run_folder(path) or weights not in (BEST, *tags(network))):
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
    """Return the row of published weights, and the path of their downloaded file."""
    row = published(network, tag)
    return row, cached_file("weights", row.file)


def open_published(network: str, tag: str = BEST, *, within_s: float = math.inf) -> Checkpoint:
    """Return the weights published for `network`, downloaded within `within_s` seconds unless already here.

    Raises DownloadError if they cannot be downloaded.
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
        labels=imagenet_labels(),
    )


def fields_of(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    """Return the Config fields that a checkpoint needs, without a padding field for families of fixed padding.

    Raises InputError for another network's weights, before an error blames a field that the network does not have.
    """
    plain = checkpoint.config.get("padding") == "same" and foreign(name) is None
    without = plain and not hasattr(variant(name).config, "padding")
    config = {key: value for key, value in checkpoint.config.items() if not (without and key == "padding")}
    usual = form(name)
    options: dict[str, Any] = {"num_classes": usual.num_classes or 1, "in_channels": usual.input_shape[0], "stem": None}
    if config:
        try:
            sketch(name, **options, config=config)
        except InputError as error:
            require_fit(sketch(name, **options, config={}), checkpoint)
            raise InputError(f"{checkpoint.name} needs a Config that '{name}' cannot have: {error}") from error
    return config


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Network by name, ready to classify with given weights."""

    model: dict[str, Any]
    """Arguments of `build`, as run.json saves them."""
    weights: str
    """Name of the weights' file."""
    network: nn.Module
    """Network in eval mode."""
    preprocess: Preprocess
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    """Assumptions about facts that the weights do not state."""
    data: Mapping[str, Any] | None
    """Training data, from the weights' metadata."""
    origin: Path | None = None
    """File or run of the weights; None for published weights."""


def open_pretrained(name: str, weights: Weights, **usage: Unpack[Usage]) -> Pretrained:
    """Return the network `name` as its weights were trained: with their classes, channels, Config and preprocessing.

    The user's settings (`usage`) override those of the weights; labels are a list of names. Raises InputError for
    another network's weights, DownloadError for published weights that cannot be downloaded.
    """
    usual = form(name)
    if usual.input_shape[0] > MOST_PICTURE_CHANNELS:
        raise InputError(
            f"'{name}' takes windows of a hyperspectral cube, not pictures; a run of `fit` has its weights"
        )
    stem, config = usage.get("stem"), usage.get("config") or {}
    classes = usual.num_classes or len(imagenet_labels())  # a network without a head gets one for the sketch
    model: dict[str, Any] = {"name": name, "num_classes": classes, "in_channels": usual.input_shape[0]}
    sketch(**model, stem=stem, config=config)  # raises errors before anything is downloaded
    checkpoint = open_checkpoint(weights, name)
    checkpoint = replace(checkpoint, config={**checkpoint.config, **config})
    model |= {"stem": stem or checkpoint.stem or usual.stem, "config": {}}
    model["num_classes"], model["in_channels"] = shape_of(on_meta(lambda: make_for(checkpoint, **model)), checkpoint)
    preprocess, notes = _preprocess(checkpoint, model, usage)
    labels, more = _labels(checkpoint, model["num_classes"], usage.get("labels"))
    sized = {} if usage.get("input_size") is None else settle(name, {}, size=preprocess.size)
    model["config"] = settle(name, {**fields_of(checkpoint, name), **sized, **config}, size=preprocess.size)
    with torch.random.fork_rng():  # the weights overwrite what is drawn
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


def _preprocess(checkpoint: Checkpoint, model: Mapping[str, Any], usage: Usage) -> tuple[Preprocess, tuple[str, ...]]:
    """Return the preprocessing, and notes on assumed values. Raises InputError if it does not fit the stem."""
    given, mean, std = usage.get("input_size"), usage.get("mean"), usage.get("std")
    size = None if given is None else as_size(given)
    channels, usual = model["in_channels"], form(model["name"])
    if checkpoint.preprocess is None:
        small = model["stem"] == "cifar" != usual.stem
        default = SMALL_INPUT if small else usual.input_shape[1]
        preprocess = Preprocess.for_input(default if size is None else size, channels=channels)
    else:
        preprocess = checkpoint.preprocess if size is None else checkpoint.preprocess.at(size)
    mean, std = (values if values is None or len(values) > 1 else (*values,) * channels for values in (mean, std))
    preprocess = replace(preprocess, mean=tuple(mean or preprocess.mean), std=tuple(std or preprocess.std))
    if preprocess.channels != channels:
        raise InputError(f"{checkpoint.name} prepares {preprocess.channels} channels for a stem of {channels}")
    if checkpoint.preprocess is not None or None not in (size, mean, std):
        return preprocess, ()
    return preprocess, (
        f"{checkpoint.name} does not say how its pictures were prepared (--stem, --input, --mean, --std set it); "
        f"assumed, with the {model['stem']} stem: {preprocess}",
    )


def _labels(
    checkpoint: Checkpoint, classes: int, given: Sequence[str] | str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the class names, and notes on assumed ones. Raises InputError if their number does not fit."""
    labels = checkpoint.labels if given is None else tuple(given)
    if labels is None:
        known = classes == len(imagenet_labels())
        labels = imagenet_labels() if known else tuple(f"class {number}" for number in range(classes))
        taken = "its 1,000 are assumed to be ImageNet's" if known else f"they are named {labels[0]} to {labels[-1]}"
        return labels, (f"{checkpoint.name} does not name its classes (--labels names them); {taken}",)
    who = checkpoint.name if given is None else "labels"
    if len(set(labels)) != len(labels):
        raise InputError(f"{who} names a label twice: {next(x for x in labels if labels.count(x) > 1)}")
    if len(labels) != classes:
        raise InputError(f"{who} names {len(labels)} labels for {classes} classes")
    return labels, ()


def describe(
    *, model: Mapping[str, Any], preprocess: Preprocess, labels: Sequence[str], data: Mapping[str, Any]
) -> dict[str, str]:
    """Return metadata for a file of weights, from which `create`, `fit` and `load` use it as it was trained."""
    name = model["name"]
    settings = None if foreign(name) is not None else override(variant(name).config, model["config"], what="Config")
    return metadata(model=model, settings=settings, preprocess=preprocess, labels=labels, data=data)
