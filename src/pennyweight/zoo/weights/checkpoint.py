"""Weights on disk with what they say of themselves: how they are named, what they were trained with, what they name.

A safetensors file says it in its metadata, all of it text and optional:

layout          whose names the tensors have: pennyweight, torchvision, timm
network, stem   for which network they are
config          fields of its Config that are not the network's usual, a JSON object
activation, padding, bn_eps     such fields too, each by itself, as other libraries' files need them
input           pixels a side; resize, interpolation, decoding, channels where they are not usual
mean, std       for pixels in 0..1: one number, or one for each channel, joined by commas
levels          black and white of 16-bit pictures, a JSON list of pairs: one, or one for each channel
labels          the class names, a JSON list; or imagenet-1k
data            name, fingerprint and group_by of what they were trained on, a JSON object
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast, get_args

from torch import Tensor

from pennyweight.core.errors import InputError, nearest
from pennyweight.core.files import split_part
from pennyweight.core.labels import imagenet
from pennyweight.core.preprocess import Decoding, Interpolation, Preprocess
from pennyweight.nn.weights import read_metadata, read_weights
from pennyweight.zoo.weights.layouts import Layout
from pennyweight.zoo.weights.pickles import read_pickle

__all__ = ["SUFFIXES", "Checkpoint", "metadata", "open_file"]

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
STYLE = ("activation", "padding", "bn_eps")
IMAGENET = "imagenet-1k"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights, and how they want to be used. What is None was not said."""

    name: str
    state: Mapping[str, Tensor]
    """All tensors of the file by dotted name; `choose` finds a network's among them."""
    unnamed: Mapping[str, str] = field(default_factory=dict)
    """Dotted place -> a description of tensors of the file that cannot be taken, because nothing names them."""
    part: str | None = None
    """Place of the set that was asked for: `state_dict` of FILE#state_dict."""
    layout: Layout = "auto"
    network: str | None = None
    stem: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the family's Config that they were trained with."""
    preprocess: Preprocess | None = None
    labels: tuple[str, ...] | None = None
    data: Mapping[str, Any] | None = None
    """name, fingerprint and group_by of what they were trained on."""


def open_file(path: Path, *, usual_size: int = 224) -> Checkpoint:
    """Open a safetensors file with what its metadata says, or a .pth file; `FILE#state_dict` means one set in it.

    `usual_size` stands for an `input` that is not said where other parts of the preprocessing are. Raises InputError
    that names the file.
    """
    path, part = split_part(path)
    if path.suffix != ".safetensors":
        tensors = read_pickle(path)
        return Checkpoint(name=path.name, state=tensors.state, unnamed=tensors.unnamed, part=part)
    said = read_metadata(path)
    try:
        return Checkpoint(
            name=path.name,
            state=read_weights(path),
            part=part,
            layout=_layout(said),
            network=said.get("network"),
            stem=said.get("stem"),
            config=_config(said),
            preprocess=_preprocess(said, usual_size),
            labels=_labels(said),
            data=json.loads(said["data"]) if "data" in said else None,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} has metadata that cannot be used: {error}") from error


def metadata(
    *,
    model: Mapping[str, Any],
    settings: Any,
    preprocess: Preprocess,
    labels: Sequence[str],
    data: Mapping[str, Any],
) -> dict[str, str]:
    """What our own files say; `model` as run.json keeps it, `settings` the whole Config (None for a library's)."""
    library = model["name"].rpartition(":")[0]
    return {
        "layout": library or "pennyweight",
        "network": model["name"],
        "stem": model["stem"],
        "config": json.dumps(model["config"], ensure_ascii=False),
        **{name: str(getattr(settings, name)) for name in STYLE if hasattr(settings, name)},
        "input": str(preprocess.size),
        "resize": str(preprocess.resize),
        "interpolation": preprocess.interpolation,
        "decoding": preprocess.decoding,
        "channels": str(preprocess.channels),
        "mean": ",".join(map(str, preprocess.mean)),
        "std": ",".join(map(str, preprocess.std)),
        **({"levels": json.dumps(preprocess.levels)} if preprocess.levels else {}),
        "labels": json.dumps(list(labels), ensure_ascii=False),
        "data": json.dumps(dict(data), ensure_ascii=False),
    }


def _layout(said: Mapping[str, str]) -> Layout:
    layout = said.get("layout", "auto")
    if layout not in get_args(Layout):
        hint = nearest(layout, get_args(Layout), otherwise=f"; there are {', '.join(get_args(Layout))}")
        raise ValueError(f"unknown layout '{layout}'{hint}")
    return cast("Layout", layout)


def _config(said: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a Config that weights need to be as they were in training."""
    config = json.loads(said.get("config", "{}"))
    if not isinstance(config, dict):
        raise TypeError(f"config is no JSON object, but {said['config']}")
    return config | {key: said[key] for key in STYLE if key in said}


def _preprocess(said: Mapping[str, str], usual_size: int) -> Preprocess | None:
    if not said.keys() & {"input", "resize", "interpolation", "decoding", "channels", "mean", "std"}:
        return None
    usual = Preprocess.for_input(int(said.get("input", usual_size)), channels=int(said.get("channels", 3)))

    def values(key: str, otherwise: tuple[float, ...]) -> tuple[float, ...]:
        given = tuple(map(float, said[key].split(","))) if key in said else otherwise
        return given * usual.channels if len(given) == 1 else given

    return replace(
        usual,
        resize=int(said.get("resize", usual.resize)),
        interpolation=cast("Interpolation", said.get("interpolation", usual.interpolation)),
        decoding=cast("Decoding", said.get("decoding", usual.decoding)),
        mean=values("mean", usual.mean),
        std=values("std", usual.std),
        levels=json.loads(said.get("levels", "[]")),
    )


def _labels(said: Mapping[str, str]) -> tuple[str, ...] | None:
    if "labels" not in said:
        return None
    if said["labels"] == IMAGENET:
        return imagenet()
    labels = json.loads(said["labels"])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise TypeError(f"labels are no JSON list of names, but {said['labels'][:40]}")
    return tuple(labels)
