"""Checkpoint files: weights on disk with metadata about their layout, training and classes.

A safetensors file holds these facts in its metadata, all of them text and optional:

layout          naming scheme of the tensors: pennyweight, torchvision, timm
network, stem   network that the weights belong to, and its stem
config          fields of its Config that differ from the network's defaults, a JSON object
activation, padding, bn_eps     such fields too, each by itself, as other libraries' files need them
input           pixels a side, or height x width (96x384); resize, interpolation, decoding, channels and frame if they
                are not the default
mean, std       for pixels in 0..1: one number, or one for each channel, joined by commas
levels          black and white of 16-bit pictures, a JSON list of pairs: one, or one for each channel
labels          the class names, a JSON list; or imagenet-1k
data            name, fingerprint, group_by and twins of the training data, a JSON object
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
from pennyweight.core.frame import Frame, as_size, show_size
from pennyweight.core.labels import imagenet_labels
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
    """Weights and their metadata; None means that the metadata does not say."""

    name: str
    state: Mapping[str, Tensor]
    """All tensors of the file by dotted name; `choose` finds a network's tensors among them."""
    unnamed: Mapping[str, str] = field(default_factory=dict)
    """Dotted path -> description of tensors in the file that cannot be used because they have no names."""
    part: str | None = None
    """Path of the requested set of weights: `state_dict` in FILE#state_dict."""
    layout: Layout = "auto"
    network: str | None = None
    stem: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the family's Config in training."""
    preprocess: Preprocess | None = None
    labels: tuple[str, ...] | None = None
    data: Mapping[str, Any] | None = None
    """name, fingerprint, group_by and twins of the training data."""


def open_file(path: Path, *, usual_size: int = 224) -> Checkpoint:
    """Open a safetensors file with its metadata, or a .pth file; `FILE#state_dict` means one set of weights in it.

    `usual_size` is the input side in pixels if the metadata has other preprocessing values but no `input`. Raises
    InputError with the file's name.
    """
    path, part = split_part(path)
    if path.suffix != ".safetensors":
        tensors = read_pickle(path)
        return Checkpoint(name=path.name, state=tensors.state, unnamed=tensors.unnamed, part=part)
    facts = read_metadata(path)
    try:
        return Checkpoint(
            name=path.name,
            state=read_weights(path),
            part=part,
            layout=_layout(facts),
            network=facts.get("network"),
            stem=facts.get("stem"),
            config=_config(facts),
            preprocess=_preprocess(facts, usual_size),
            labels=_labels(facts),
            data=json.loads(facts["data"]) if "data" in facts else None,
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
    """Return the metadata of our own files.

    `model` is the dictionary that run.json saves; `settings` is the whole Config, None for another library's network.
    """
    library = model["name"].rpartition(":")[0]
    return {
        "layout": library or "pennyweight",
        "network": model["name"],
        "stem": model["stem"],
        "config": json.dumps(model["config"], ensure_ascii=False),
        **{name: str(getattr(settings, name)) for name in STYLE if hasattr(settings, name)},
        "input": show_size(preprocess.size, "x"),
        "resize": show_size(preprocess.resize, "x"),
        "interpolation": preprocess.interpolation,
        "decoding": preprocess.decoding,
        "channels": str(preprocess.channels),
        "mean": ",".join(map(str, preprocess.mean)),
        "std": ",".join(map(str, preprocess.std)),
        **({} if preprocess.frame == "crop" else {"frame": preprocess.frame}),
        **({"levels": json.dumps(preprocess.levels)} if preprocess.levels else {}),
        "labels": json.dumps(list(labels), ensure_ascii=False),
        "data": json.dumps(dict(data), ensure_ascii=False),
    }


def _layout(facts: Mapping[str, str]) -> Layout:
    layout = facts.get("layout", "auto")
    if layout not in get_args(Layout):
        hint = nearest(layout, get_args(Layout), otherwise=f"; there are {', '.join(get_args(Layout))}")
        raise ValueError(f"unknown layout '{layout}'{hint}")
    return cast("Layout", layout)


def _config(facts: Mapping[str, str]) -> dict[str, Any]:
    """Return the Config fields with which the weights were trained."""
    config = json.loads(facts.get("config", "{}"))
    if not isinstance(config, dict):
        raise TypeError(f"config is not a JSON object, but {facts['config']}")
    return config | {key: facts[key] for key in STYLE if key in facts}


def _preprocess(facts: Mapping[str, str], usual_size: int) -> Preprocess | None:
    if not facts.keys() & {"input", "resize", "interpolation", "decoding", "channels", "mean", "std", "frame"}:
        return None
    usual = Preprocess.for_input(
        as_size(facts.get("input", usual_size), "input"),
        channels=int(facts.get("channels", 3)),
        frame=cast("Frame", facts.get("frame", "crop")),
    )

    def values(key: str, otherwise: tuple[float, ...]) -> tuple[float, ...]:
        given = tuple(map(float, facts[key].split(","))) if key in facts else otherwise
        return given * usual.channels if len(given) == 1 else given

    return replace(
        usual,
        resize=as_size(facts.get("resize", usual.resize), "resize"),
        interpolation=cast("Interpolation", facts.get("interpolation", usual.interpolation)),
        decoding=cast("Decoding", facts.get("decoding", usual.decoding)),
        mean=values("mean", usual.mean),
        std=values("std", usual.std),
        levels=json.loads(facts.get("levels", "[]")),
    )


def _labels(facts: Mapping[str, str]) -> tuple[str, ...] | None:
    if "labels" not in facts:
        return None
    if facts["labels"] == IMAGENET:
        return imagenet_labels()
    labels = json.loads(facts["labels"])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise TypeError(f"labels are not a JSON list of names, but {facts['labels'][:40]}")
    return tuple(labels)
