"""Recognize the network that weights belong to, by the names and shapes of their tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from pennyweight.core.errors import InputError
from pennyweight.zoo.libraries import open_library
from pennyweight.zoo.registry import Stem, form, names, sketch, variant
from pennyweight.zoo.weights.checkpoint import Checkpoint
from pennyweight.zoo.weights.weight_sets import fitting, require_part

__all__ = ["Likeness", "look_alike", "recognize"]

FARTHEST = 8
"""Ratio of parameters beyond which networks are not compared: other heads and second sets explain less."""
MOST = 24
"""Networks of a library that are made and compared, those nearest in parameters."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class Likeness(NamedTuple):
    """A network whose tensors have the names of those in a file."""

    name: str
    stem: Stem | None
    """The small-image stem where the file has it."""
    exact: bool
    """The shapes are alike too, but for the number of classes and of input channels."""
    reason: str

    @property
    def hint(self) -> str:
        """The end of an error message about weights that did not fit."""
        if not self.exact:
            return f"; it has the names of {self.name}, in another width: --model {self.name} --config width=…"
        stem = f" --stem {self.stem}" if self.stem else ""
        return f"; it has the names and shapes of {self.name}: try --model {self.name}{stem}"


def recognize(checkpoint: Checkpoint) -> Likeness:
    """Return the network that a file says it is for, else the one that its tensors look like.

    Raises InputError where it says nothing and looks like none of those that are compared: ours and torchvision's.
    """
    if checkpoint.network is not None:
        try:
            form(checkpoint.network)
            return Likeness(checkpoint.network, None, exact=True, reason=f"{checkpoint.name} says that it is for it")
        except InputError:  # files of other programs use the same word for other things
            pass
    require_part(checkpoint)  # before the file is said to look like nothing
    found = look_alike(checkpoint)
    if found is None or not found.exact:
        near = found.hint if found else ": name it with --model"
        raise InputError(f"{checkpoint.name} does not say which network it is for, and looks like none of ours{near}")
    return found


def look_alike(checkpoint: Checkpoint) -> Likeness | None:
    """Return the network whose names and shapes the tensors of a file have; else whose names alone; else None."""
    checkpoint = replace(checkpoint, layout="auto")
    near = None
    for name in _by_size(checkpoint):
        for stem in (None, "cifar") if ":" not in name else (None,):
            found = _compare(checkpoint, name, stem)
            if found is None:
                break
            if found.exact:
                return found
            near = near or found
    return near


def _compare(checkpoint: Checkpoint, name: str, stem: Stem | None) -> Likeness | None:
    usual = form(name)
    how: dict[str, Any] = {"num_classes": usual.num_classes, "in_channels": usual.input_shape[0]}
    try:
        fits = fitting(sketch(name, **how, stem=stem, config={}), checkpoint)[0]
    except InputError:  # a stem that the family does not have, tensors that cannot be used
        return None
    if not fits:
        return None
    reason = f"{checkpoint.name} has its names and shapes"
    return Likeness(name, stem, exact=fits[0].other_shapes == 0, reason=reason)


def _by_size(checkpoint: Checkpoint) -> Iterator[str]:
    """Yield names, first those whose count of parameters is the nearest: most often the first one is it."""
    total = sum(tensor.numel() for key, tensor in checkpoint.state.items() if not key.endswith(STATISTICS))

    def distance(params: int) -> float:
        return abs(math.log(params / max(total, 1)))

    ours = {name: variant(name).params for name in names()}
    torchvisions = {f"torchvision:{name}": params for name, params in open_library("torchvision").params().items()}
    for known in (ours, torchvisions):
        near = {name: distance(params) for name, params in known.items() if distance(params) < math.log(FARTHEST)}
        yield from sorted(near, key=lambda name: near[name])[:MOST]
