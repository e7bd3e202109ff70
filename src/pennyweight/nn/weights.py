"""Weights on disk: safetensors files, which hold numbers and text and no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.core.files import atomic

__all__ = [
    "check_values",
    "read_metadata",
    "read_weights",
    "require_same_shapes",
    "save_weights",
    "storage_fault",
    "take_weights",
    "values_fault",
]


def save_weights(path: Path, model: nn.Module, metadata: Mapping[str, str]) -> None:
    """Write every parameter and buffer of `model`; the file is whole or absent, and equal weights give equal bytes."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic(path) as temporary:
        temporary.write_bytes(_ordered(save(state, metadata=dict(metadata))))


def _ordered(data: bytes) -> bytes:
    """Sort a file's metadata, because safetensors writes it in the order of its hash map."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # tensors are aligned to eight bytes
    return len(text).to_bytes(8, "little") + text + data[end:]


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read every tensor of a safetensors file, by name. Raises InputError with the file's name."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read weights from {path}: {error}") from error


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata of a safetensors file. Raises InputError with the file's name."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read weights from {path}: {error}") from error


def require_same_shapes(own: Mapping[str, Tensor], state: Mapping[str, Tensor], *, name: str) -> None:
    """Raise InputError with the first difference unless `state` has the keys and shapes of `own`."""
    odd = [key for key in own if key not in state or state[key].shape != own[key].shape]
    odd += [key for key in state if key not in own]
    if odd:
        raise InputError(
            f"{name} holds another network's weights, or those of an earlier form of this one (train it again): "
            f"{len(odd)} of {len({*own, *state})} keys differ, first '{odd[0]}'"
        )


def take_weights(model: nn.Module, state: Mapping[str, Tensor], *, name: str) -> None:
    """Load all of `state` into `model`. Raises InputError with the keys or shapes that differ."""
    own = model.state_dict()
    require_same_shapes(own, state, name=name)
    check_values(state, own, name=name)
    own.update(state)  # the model's own dictionary has the modules' versions
    model.load_state_dict(own)


def storage_fault(tensor: Tensor) -> str:
    """Return why a tensor is not plain numbers in memory; empty if it is."""
    if tensor.is_quantized:
        return f"is quantized ({tensor.dtype}): dequantize the network before you save its weights"
    if tensor.layout != torch.strided or tensor.is_nested:
        return "is sparse or nested: save it dense (tensor.to_dense())"
    if tensor.is_meta:
        return "has a shape and no values (it is on the meta device)"
    return ""


def check_values(state: Mapping[str, Tensor], own: Mapping[str, Tensor], *, name: str) -> None:
    """Raise InputError if weights hold values that make a network useless, such as NaN; see `values_fault`."""
    if fault := values_fault(state, own):
        raise InputError(f"{name} cannot be used: {fault}")


def values_fault(state: Mapping[str, Tensor], own: Mapping[str, Tensor], names: Mapping[str, str] | None = None) -> str:
    """Return the first tensor of `state` with unusable values, and its fault; empty if there is none.

    A tensor is unusable if it is not plain numbers in memory, or has complex numbers, integers or booleans in place of
    weights. NaN and infinity are unusable too, also if only the conversion to the dtype of the network's `own` tensor
    gives them. `names` maps keys of `own` to names in the file.
    """
    faults = {key: fault for key in state if (fault := _value_fault(state[key], own[key]))}
    if not faults:
        return ""
    key, fault = next(iter(faults.items()))
    more = f" (the first of {len(faults)} such tensors)" if len(faults) > 1 else ""
    return f"'{(names or {}).get(key, key)}' {fault}{more}"


def _value_fault(tensor: Tensor, own: Tensor) -> str:
    if fault := storage_fault(tensor):
        return fault
    if tensor.is_complex():
        return f"holds complex numbers ({tensor.dtype}), and the network's weights are real"
    if own.is_floating_point() and not tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        return f"holds {kind} in place of floating-point weights, as quantized weights without their scale"
    if not tensor.is_floating_point():
        return ""
    converted = tensor.to(own.dtype) if own.is_floating_point() else tensor
    if bool(torch.isfinite(converted).all()):
        return ""
    if converted.isnan().any():
        return "holds NaN: its training diverged; take an earlier checkpoint"
    if bool(torch.isfinite(tensor).all()):
        return f"holds numbers beyond the range of {own.dtype}"
    return "holds infinite numbers: its training diverged; take an earlier checkpoint"
