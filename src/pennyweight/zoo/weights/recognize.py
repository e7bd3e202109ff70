"""Recognize the network that weights belong to, by the names and shapes of their tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from pennyweight.core.errors import InputError
from pennyweight.zoo.libraries import open_library
from pennyweight.zoo.registry import Stem, form, names, variant
from pennyweight.zoo.shapes import sketch
from pennyweight.zoo.weights.checkpoint import Checkpoint
from pennyweight.zoo.weights.weight_sets import fitting, require_part

__all__ = ["Likeness", "look_alike", "recognize"]

FARTHEST = 8
"""Ratio of parameter counts beyond which networks are not compared; other heads and second sets explain less."""
MOST = 24
"""Most networks of a library to make and compare, the nearest in parameter count first."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class Likeness(NamedTuple):
    """Network whose tensor names match a file's."""

    name: str
    stem: Stem | None
    """Small-image stem if the file has it, else None."""
    exact: bool
    """True if the shapes match too, apart from the number of classes and of input channels."""
    reason: str

    @property
    def hint(self) -> str:
        """End of an error message about weights that did not fit."""
        if not self.exact:
            return f"; it has the names of {self.name}, in another width: --model {self.name} --config width=…"
        stem = f" --stem {self.stem}" if self.stem else ""
        return f"; it has the names and shapes of {self.name}: try --model {self.name}{stem}"


def recognize(checkpoint: Checkpoint) -> Likeness:
    """Return the network that a file's metadata names, else the network that its tensors look like.

    Raises InputError if neither gives a network. The candidates are our networks and torchvision's.
    """
    if checkpoint.network is not None:
        try:
            form(checkpoint.network)
            return Likeness(checkpoint.network, None, exact=True, reason=f"{checkpoint.name} names it in its metadata")
        except InputError:  # other programs use the same key for other values
            pass
    require_part(checkpoint)  # this error comes before "looks like none"
    found = look_alike(checkpoint)
    if found is None or not found.exact:
        near = found.hint if found else ": name it with --model"
        raise InputError(f"{checkpoint.name} does not say which network it is for, and looks like none of ours{near}")
    return found


def look_alike(checkpoint: Checkpoint) -> Likeness | None:
    """Return the network with the tensors' names and shapes; else the one with their names; else None."""
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
    options: dict[str, Any] = {"num_classes": usual.num_classes, "in_channels": usual.input_shape[0]}
    try:
        fits = fitting(sketch(name, **options, stem=stem, config={}), checkpoint)[0]
    except InputError:  # the family lacks this stem, or the tensors are unusable
        return None
    if not fits:
        return None
    reason = f"{checkpoint.name} has its names and shapes"
    return Likeness(name, stem, exact=fits[0].other_shapes == 0, reason=reason)


def _by_size(checkpoint: Checkpoint) -> Iterator[str]:
    """Yield names of networks, the nearest parameter count first; the first one is usually the match."""
    total = sum(tensor.numel() for key, tensor in checkpoint.state.items() if not key.endswith(STATISTICS))

    def distance(params: int) -> float:
        return abs(math.log(params / max(total, 1)))

    ours = {name: variant(name).params for name in names()}
    torchvisions = {f"torchvision:{name}": params for name, params in open_library("torchvision").params().items()}
    for known in (ours, torchvisions):
        near = {name: distance(params) for name, params in known.items() if distance(params) < math.log(FARTHEST)}
        yield from sorted(near, key=lambda name: near[name])[:MOST]
