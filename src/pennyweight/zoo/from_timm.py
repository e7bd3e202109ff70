"""timm's classifiers by name: `timm:convnext_tiny`, also with a tag: `timm:resnet50.a1_in1k` (extra `timm`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from pennyweight.core.errors import DownloadError, InputError
from pennyweight.core.frame import Frame, Size
from pennyweight.core.labels import imagenet_labels
from pennyweight.core.offline import keep_hub_offline, require_network
from pennyweight.core.preprocess import Preprocess
from pennyweight.nn.ends import ends
from pennyweight.zoo.weights.checkpoint import Checkpoint
from pennyweight.zoo.weights.published import BEST

__all__ = ["checkpoint", "input_shape", "make", "names", "num_classes", "params", "size_setting", "tags"]


FRAMES: Mapping[str, Frame] = {"center": "crop", "squash": "stretch"}
"""timm's `crop_mode` -> ours."""


def names() -> list[str]:
    """Return the names that can follow `timm:`."""
    return list(timm.list_models())


def tags(name: str) -> dict[str, float | None]:
    """Return the tags of a network's published weights, each with None: timm publishes no accuracy with them."""
    return dict.fromkeys(_all_tags().get(name.partition(".")[0], ()))


@cache
def _all_tags() -> dict[str, list[str]]:
    """Return the tags of every network, in timm's order."""
    tags: dict[str, list[str]] = {}
    for full in timm.list_pretrained():
        architecture, _, tag = full.partition(".")
        tags.setdefault(architecture, []).append(tag)
    return tags


def params() -> dict[str, int]:
    """Return nothing: timm does not publish parameter counts with its names."""
    return {}


def input_shape(name: str) -> tuple[int, int, int]:
    """Return the (C, H, W) that the network is published for."""
    channels, height, width = _published(name).input_size
    return (channels, height, width)


def size_setting(name: str, size: Size) -> dict[str, Any]:
    """Return the constructor argument for a network of fixed input size; empty for any other network."""
    return {"img_size": size} if _published(name).fixed_input_size else {}


def num_classes(name: str) -> int:
    """Return the number of classes that the network is published with; 0 if it has no head."""
    return int(_published(name).num_classes)


FETCHING = {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"}
"""timm's arguments that would read other files or contact servers; a config may come from a stranger's run."""


def make(name: str, *, num_classes: int | None, in_channels: int, config: Mapping[str, Any]) -> nn.Module:
    """Make a fresh network; `config` holds arguments of timm's own constructor.

    Without `num_classes` the head, or its absence, is that of `timm.create_model(name)`.
    """
    head_of: dict[str, Any] = {} if num_classes is None else {"num_classes": num_classes}
    if named := FETCHING & config.keys():
        raise InputError(f"the config of '{name}' names weights ({', '.join(sorted(named))}); give them by --weights")
    network: nn.Module = timm.create_model(name, pretrained=False, in_chans=in_channels, **head_of, **config)
    if not num_classes:
        return network
    heads = ends(network).heads
    head = network.get_submodule(heads[0]) if heads else None
    if getattr(head, "out_features", None) != num_classes and getattr(head, "out_channels", None) != num_classes:
        raise InputError(f"timm's '{name}' is not a classifier: it encodes pictures and has no head for classes")
    return network


def checkpoint(name: str, tag: str) -> Checkpoint:
    """Load the published weights of a tag ("imagenet": timm's default), which timm downloads and caches."""
    architecture = name.partition(".")[0]
    if tag != BEST:
        name = f"{architecture}.{tag}"
    keep_hub_offline()
    place = _published(name).hf_hub_id or _published(name).url
    if not _published(name).hf_hub_id:  # torch downloads it, and has no offline setting
        _require_kept(name, _published(name).url or "")
    try:
        network = timm.create_model(name, pretrained=True)
    # The library that downloads for timm raises errors of its own.
    except Exception as error:
        require_network(f"{place} for timm's '{name}'", instead="give a file: --weights FILE")
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DownloadError(
            f"timm cannot fetch the weights of '{name}': {reason}; without a network connection, download "
            f"{place} elsewhere and give the file: --weights FILE"
        ) from error
    transform: dict[str, Any] = timm.data.resolve_model_data_config(network)  # type: ignore[attr-defined,no-untyped-call]
    _, height, width = transform["input_size"]
    frame = FRAMES.get(transform["crop_mode"])
    if frame is None or height != width:
        raise InputError(
            f"timm's {name} takes {height}×{width} pictures cropped by '{transform['crop_mode']}', and weights of timm "
            "are used here on squares that are cropped or stretched, so its published accuracy would not hold"
        )
    return Checkpoint(
        name=f"timm's {name}",
        state=network.state_dict(),
        layout="timm",
        preprocess=Preprocess(
            size=height,
            resize=max(height, int(height / transform["crop_pct"])),
            frame=frame,
            interpolation=transform["interpolation"],
            mean=tuple(transform["mean"]),
            std=tuple(transform["std"]),
        ),
        labels=imagenet_labels() if network.num_classes == len(imagenet_labels()) else None,
    )


def _require_kept(name: str, url: str) -> None:
    """Raise DownloadError if downloads are forbidden and torch's cache lacks the file of this address."""
    if not Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2]).exists():
        require_network(f"{url} for timm's '{name}'", instead="give a file: --weights FILE")


def _published(name: str) -> Any:
    """Return timm's configuration of a network, or the default one for a network without weights."""
    found = timm.get_pretrained_cfg(name)
    return found if found is not None else timm.models.PretrainedCfg()
