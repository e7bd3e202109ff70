"""Load weights into a network: translate the keys of torchvision and timm, and adapt the first and last layer."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.core.run import Run
from pennyweight.core.settings import override
from pennyweight.nn import Network
from pennyweight.nn.ends import ends
from pennyweight.nn.weights import values_fault
from pennyweight.zoo.weights.checkpoint import Checkpoint, open_file
from pennyweight.zoo.weights.layouts import Layout
from pennyweight.zoo.weights.pickles import flatten
from pennyweight.zoo.weights.positions import fit_positions, patches_of
from pennyweight.zoo.weights.recognize import look_alike
from pennyweight.zoo.weights.weight_sets import Chosen, choose

ADAPTABLE = ("dropout", "drop_path", "size", "output_stride")
"""Settings that a network may have unlike its weights: they matter only in training, or the weights serve both."""

__all__ = ["AdaptedWeights", "load_weights", "put_weights", "require_fit", "shape_of", "warn_adapted"]


class AdaptedWeights(UserWarning):
    """Warning that weights did not fit unchanged; the message says what was initialized or converted."""


def load_weights(
    model: nn.Module, path_or_state_dict: str | os.PathLike[str] | Mapping[str, Tensor], *, source: Layout = "auto"
) -> nn.Module:
    """Load weights into a network, in place, and return it.

    Our networks take our keys and those of torchvision and timm; any other module takes its own keys. Wrappers such as
    `module.` are removed. If a file has weights and their moving average, the average is loaded. Four differences are
    adapted, each with the warning AdaptedWeights: another number of classes leaves the last layer fresh; another number
    of input channels adapts the first layer (one channel: the sum; more: repeated and scaled); a ViT's positions are
    interpolated for another input size; other precisions are converted.

    Args:
        model: Network to change. If an error is raised, it keeps its weights.
        path_or_state_dict: Safetensors or .pth file, one set of weights in it (`FILE#state_dict`), folder of a run, or
            state dict.
        source: Layout of the keys: "pennyweight", "torchvision", "timm", or "auto" to detect it.

    Returns:
        The same network.

    Raises:
        InputError: The weights belong to another network; the message has the number of differing keys and the first
            one. Or they hold NaN, infinity or integers, need another Config, or come in a file that could run code.
    """
    if isinstance(path_or_state_dict, Mapping):
        name = "the state dict"
        checkpoint = Checkpoint(name=name, **flatten(path_or_state_dict, name)._asdict())
    else:
        path = Path(path_or_state_dict)
        checkpoint = open_file(Run(path).weights_path if path.is_dir() else path)
    _check_config(model, checkpoint)
    warn_adapted(put_weights(model, checkpoint if source == "auto" else replace(checkpoint, layout=source)))
    return model


def _check_config(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Raise InputError if the weights were trained with other settings, because the answers would be wrong."""
    if not isinstance(model, Network):
        if checkpoint.config.get("padding", "same") != "same":
            raise InputError(
                f"{checkpoint.name} wants padding={checkpoint.config['padding']}, which this module does not have"
            )
        return
    if checkpoint.stem and model.stem_form and checkpoint.stem != model.stem_form:
        raise InputError(
            f"{checkpoint.name} is for the stem '{checkpoint.stem}', and this network has '{model.stem_form}'"
        )
    config = model.config
    if config is None:
        return
    trained_with = {
        field: value for field, value in checkpoint.config.items() if hasattr(config, field) and field not in ADAPTABLE
    }
    wanted = override(config, trained_with, what="Config")
    for field in trained_with:
        has, wants = getattr(config, field), getattr(wanted, field)
        if has != wants:
            raise InputError(
                f"{checkpoint.name} wants {field}={wants}, and this network has {has}; create it with {field}={wants}, "
                f"or by create(NAME, weights=FILE), which does so"
            )


def warn_adapted(adapted: tuple[str, ...]) -> None:
    """Warn about what `put_weights` adapted, at the caller of the public function."""
    for message in adapted:
        warnings.warn(message, AdaptedWeights, stacklevel=3)


def put_weights(model: nn.Module, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Load a checkpoint into `model`, in place, as `load_weights` does; return a line for each adaptation."""
    own, chosen = model.state_dict(), _choose(model, checkpoint)
    state = chosen.match.found
    if fault := values_fault(state, own, chosen.match.names):
        sound = [path for path, other in chosen.others if not values_fault(other.found, own)]
        hint = f"; the weights of {checkpoint.name}#{sound[0]} hold only finite numbers" if sound else ""
        raise InputError(f"{checkpoint.name} cannot be used: {fault}{hint}")
    stems, heads, _ = ends(model)
    adapted = [*chosen.notes, *_conversions(state, own)]
    channels = own[f"{stems[0]}.weight"].shape[1]
    for stem in (f"{name}.weight" for name in stems):
        if state[stem].shape[1] != channels and state[stem].shape[2:] == own[stem].shape[2:]:
            state[stem] = _adapt_channels(state[stem], channels)
            adapted.append(f"the stem was adapted to {channels} input channels")
    for head in heads:
        has, wants = state.get(f"{head}.weight"), own[f"{head}.weight"].shape[0]
        if has is None or has.shape[0] != wants:
            why = "there is none" if has is None else f"{has.shape[0]} classes became {wants}"
            adapted.append(f"the head is new, because {why}")
            state |= {key: own[key] for key in own if key.startswith(f"{head}.")}
    trained = None if checkpoint.preprocess is None else checkpoint.preprocess.sides
    adapted += fit_positions(state, own, patches=patches_of(model), trained=trained)
    wrong = [key for key in own if state[key].shape != own[key].shape]
    if wrong:
        key = wrong[0]
        meant = f"; its metadata names {checkpoint.network}" if checkpoint.network else _hint(checkpoint)
        raise InputError(
            f"{checkpoint.name} holds weights of other shapes: {len(wrong)} of {len(own)}, first '{key}', "
            f"{tuple(state[key].shape)} in place of {tuple(own[key].shape)}{meant}"
        )
    own.update(state)  # the model's own dictionary has the modules' versions
    model.load_state_dict(own)
    # Several heads or stems are adapted in the same way, which is reported once.
    return tuple(f"{checkpoint.name}: {line}" for line in dict.fromkeys(adapted))


def require_fit(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Raise InputError for another network's weights; `model` may be on the meta device."""
    _choose(model, checkpoint)


def shape_of(model: nn.Module, checkpoint: Checkpoint) -> tuple[int, int]:
    """Return (classes, input channels) of a checkpoint for `model`, which may be on the meta device."""
    state = _choose(model, checkpoint).match.found
    stems, heads, _ = ends(model)
    head = state.get(f"{heads[0]}.weight")
    if head is None:
        raise InputError(f"{checkpoint.name} has no head, so it names nothing; `fit --weights` trains one on it")
    return head.shape[0], state[f"{stems[0]}.weight"].shape[1]


def _choose(model: nn.Module, checkpoint: Checkpoint) -> Chosen:
    """Choose the tensors of `model` in a checkpoint. Raises InputError if it has none."""
    chosen = choose(model, checkpoint)
    if not chosen.match.fits:
        where = f" under '{chosen.path}'" if chosen.path else ""
        raise InputError(f"{checkpoint.name} holds{where} {chosen.match.misfit(chosen.received)}{_hint(checkpoint)}")
    return chosen


def _hint(checkpoint: Checkpoint) -> str:
    """Return the end of an error message: the network that the weights look like, if any."""
    alike = look_alike(checkpoint)
    return alike.hint if alike else ""


def _conversions(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return a line for each dtype that loading converts."""
    kinds = {
        (str(tensor.dtype), str(own[key].dtype))
        for key, tensor in state.items()
        if own[key].is_floating_point() and tensor.dtype != own[key].dtype
    }
    return tuple(
        f"{was.removeprefix('torch.')} weights were converted to {now.removeprefix('torch.')}"
        for was, now in sorted(kinds)
    )


def _adapt_channels(weight: Tensor, channels: int) -> Tensor:
    """Adapt (c_out, c_in, K, K) to other input channels: the sum for one, else repeated and scaled."""
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    c_in = weight.shape[1]
    return weight[:, torch.arange(channels) % c_in] * (c_in / channels)
