"""Weights on disk: safetensors, which hold numbers and text and nothing that can run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.core.files import atomic

__all__ = ["read_metadata", "read_weights", "save_weights", "take_weights"]


def save_weights(path: Path, model: nn.Module, metadata: Mapping[str, str]) -> None:
    """Write every parameter and buffer of `model`; the file is whole or absent, and equal weights give equal bytes."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic(path) as temporary:
        temporary.write_bytes(_ordered(save(state, metadata=dict(metadata))))


def _ordered(data: bytes) -> bytes:
    """The same file with its metadata in order: safetensors writes it as its hash map happens to hold it."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # tensors begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text + data[end:]


def read_weights(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file, by name. Raises InputError that names the file."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read weights from {path}: {error}") from error


def read_metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself. Raises InputError that names the file."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read weights from {path}: {error}") from error


def take_weights(model: nn.Module, state: Mapping[str, Tensor], *, name: str) -> None:
    """Put `state` into `model`, all of it. Raises InputError that says which keys or shapes differ."""
    own = model.state_dict()
    odd = [key for key in own if key not in state or state[key].shape != own[key].shape]
    odd += [key for key in state if key not in own]
    if odd:
        raise InputError(
            f"{name} holds another network's weights, or those of an earlier form of this one, which is to be trained "
            f"anew: {len(odd)} of {len({*own, *state})} keys differ, first '{odd[0]}'"
        )
    own.update(state)  # the model's own dictionary knows which version of the module it is
    model.load_state_dict(own)
