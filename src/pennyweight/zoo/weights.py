"""Weights for a network: read safely, translated from other libraries' names, fitted to other classes and channels."""

from __future__ import annotations

import json
import os
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from pennyweight.core.download import cache_folder, fetch
from pennyweight.core.errors import InputError
from pennyweight.core.preprocess import Interpolation, Preprocess
from pennyweight.nn import Network
from pennyweight.nn.weights import read_metadata, read_weights
from pennyweight.zoo.layouts import Layout, translate
from pennyweight.zoo.published import published

__all__ = ["AdaptedWeights", "Checkpoint", "load_weights", "open_checkpoint", "open_file", "put_weights"]

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


class AdaptedWeights(UserWarning):
    """Weights did not fit as they were; the message says what was made new or changed."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights, and how they say that they want to be used."""

    name: str
    state: Mapping[str, Tensor]
    layout: Layout = "auto"
    config: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the family's Config that they were trained with."""
    preprocess: Preprocess | None = None
    labels: tuple[str, ...] | None = None


def load_weights(
    model: nn.Module, path_or_state_dict: str | os.PathLike[str] | Mapping[str, Tensor], *, source: Layout = "auto"
) -> nn.Module:
    """Put weights into one of our networks, in place, and return it.

    They come as a safetensors or .pth file, or as a state dict, under our names or those of torchvision or timm.
    Another number of classes leaves the head fresh; another number of input channels fits the stem (one channel: the
    sum; more: repeated and scaled). Both are said by a warning, AdaptedWeights. Raises InputError for another network's
    weights (how many keys differ, and the first) and for a file that could run code; the model is then as it was.
    """
    if isinstance(path_or_state_dict, Mapping):
        checkpoint = Checkpoint(name="the state dict", state=path_or_state_dict)
    else:
        checkpoint = open_file(Path(path_or_state_dict))
    if not isinstance(model, Network):
        raise InputError(f"weights are loaded into Pennyweight's own networks, not into a {type(model).__name__}")
    put_weights(model, checkpoint if source == "auto" else replace(checkpoint, layout=source))
    return model


def put_weights(model: Network, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's weights into `model`, in place, as `load_weights` does."""
    own = model.state_dict()
    state = translate(model, checkpoint.state, checkpoint.layout, name=checkpoint.name)
    stem, head = first_convolution(model), "head.linear.weight"
    if state[stem].shape[1] != own[stem].shape[1]:
        state[stem] = _other_channels(state[stem], own[stem].shape[1])
        _say(f"{checkpoint.name}: the stem was fitted to {own[stem].shape[1]} input channels")
    if state[head].shape[0] != own[head].shape[0]:
        _say(f"{checkpoint.name}: the head is new, because {state[head].shape[0]} classes became {own[head].shape[0]}")
        for key in (head, "head.linear.bias"):
            state[key] = own[key]
    wrong = [key for key in own if state[key].shape != own[key].shape]
    if wrong:
        first = wrong[0]
        raise InputError(
            f"{checkpoint.name} holds weights of other shapes: {len(wrong)} of {len(own)}, first '{first}', "
            f"{tuple(state[first].shape)} in place of {tuple(own[first].shape)}"
        )
    model.load_state_dict(state)


def first_convolution(model: Network) -> str:
    """The key of the weight that sees the input's channels."""
    return next(
        f"stem.{name}.weight" if name else "stem.weight"
        for name, module in model.stem.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Conv3d))
    )


def _other_channels(weight: Tensor, channels: int) -> Tensor:
    """(c_out, c_in, K, K) for another c_in: the sum for one, else repeated in turn and scaled to the same total."""
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    c_in = weight.shape[1]
    return weight[:, torch.arange(channels) % c_in] * (c_in / channels)


def _say(message: str) -> None:
    warnings.warn(message, AdaptedWeights, stacklevel=4)


def open_checkpoint(weights: str | os.PathLike[str], network: str) -> Checkpoint:
    """A file of weights, or those published for `network` under a tag ("imagenet": the best), downloaded once."""
    path = Path(weights)
    if path.is_file():
        return open_file(path)
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        raise InputError(f"no weights at {weights}: there is no such file")
    row = published(network, str(weights))
    from torchvision.models import MobileNet_V2_Weights  # the class names of all of them

    file = fetch(row.url, cache_folder("weights") / row.file, checksum=row.checksum)
    return Checkpoint(
        name=row.file,
        state=_read_pickle(file),
        layout="torchvision",
        # A ViT's positions are learned for one size.
        config={"size": row.size} if network.startswith("vit_") else {},
        preprocess=row.preprocess,
        labels=tuple(MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"]),
    )


def open_file(path: Path) -> Checkpoint:
    """A safetensors file with what its metadata says, or a .pth file. Raises InputError that names the file."""
    if path.suffix != ".safetensors":
        return Checkpoint(name=path.name, state=_read_pickle(path))
    said = read_metadata(path)
    try:
        return Checkpoint(
            name=path.name,
            state=read_weights(path),
            layout=said.get("layout", "auto"),  # type: ignore[arg-type]
            config=_config(said),
            preprocess=_preprocess(said),
            labels=_labels(said.get("labels")),
        )
    except (ValueError, KeyError) as error:
        raise InputError(f"{path} has metadata that cannot be used: {error}") from error


def _config(said: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a Config that weights need to be as they were in training."""
    config: dict[str, Any] = {key: said[key] for key in ("padding", "activation") if key in said}
    return config | ({"bn_eps": float(said["bn_eps"])} if "bn_eps" in said else {})


def _preprocess(said: Mapping[str, str]) -> Preprocess | None:
    """From `input`, `resize`, `interpolation`, `mean` and `std`; one number stands for every channel."""
    if "input" not in said:
        return None
    size = int(said["input"])
    mean, std = (tuple(map(float, said[key].split(","))) if key in said else None for key in ("mean", "std"))
    usual = Preprocess.for_input(size, channels=max(len(mean or ()), len(std or ())) if "channels" in said else 3)
    channels = usual.channels
    return replace(
        usual,
        resize=int(said.get("resize", usual.resize)),
        interpolation=cast("Interpolation", said.get("interpolation", usual.interpolation)),
        mean=usual.mean if mean is None else mean * channels if len(mean) == 1 else mean,
        std=usual.std if std is None else std * channels if len(std) == 1 else std,
    )


def _labels(said: str | None) -> tuple[str, ...] | None:
    """A JSON list, or the name of a list that is known."""
    if said is None:
        return None
    if said == "imagenet-1k":
        from torchvision.models import MobileNet_V2_Weights

        return tuple(MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"])
    return tuple(json.loads(said))


def _read_pickle(path: Path) -> Mapping[str, Tensor]:
    """A .pth file's state dict, read by torch's restricted unpickler, which runs nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch remarks on the pickle's protocol
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"cannot read weights from {path}: {reason}; nothing in it was run") from error
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise InputError(f"{path} holds no state dict, but a {type(loaded).__name__}")
    return {key.removeprefix("module."): value for key, value in loaded.items()}
