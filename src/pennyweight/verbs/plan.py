"""What `fit` decides before the first step: everything that was not said, chosen by the source."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from torch import nn

from pennyweight import data, zoo
from pennyweight.core.errors import InputError
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.settings import override
from pennyweight.train import Recipe, reproducible

__all__ = ["Plan", "make_plan"]

DEFAULT_MODEL = "mobilenet_v2"
SMALL_INPUT = 96
"""Inputs below this many pixels take the small-image stem unless told otherwise."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A network, its input and its training, fully decided."""

    model: dict[str, Any]
    """name, num_classes, in_channels, stem and the changed fields of its Config."""
    preprocess: Preprocess
    recipe: Recipe
    seed: int
    checkpoint: zoo.Checkpoint | None
    """The weights that training starts from; None for a fresh network."""

    @property
    def note(self) -> str:
        """The plan in a line."""
        size = self.preprocess.size
        config = "".join(f" {name}={value}" for name, value in self.model["config"].items())
        weights = "" if self.checkpoint is None else f" with {self.checkpoint.name}"
        return (
            f"{self.model['name']}{config}{weights}, {self.model['stem']} stem, "
            f"input {self.preprocess.channels}×{size}×{size}, {self.recipe.epochs} epochs of {self.recipe.optimizer}"
        )

    def make(self) -> tuple[nn.Module, tuple[str, ...]]:
        """The network, drawn from the seed, with its first weights; what of them had to be fitted, a line each."""
        with reproducible(self.seed):
            network = zoo.build(**self.model)
        return network, zoo.put_weights(network, self.checkpoint) if self.checkpoint is not None else ()

    def describe(self, labels: Sequence[str]) -> dict[str, str]:
        """What the weights that come of it say of themselves."""
        return zoo.describe(model=self.model, preprocess=self.preprocess, labels=labels)


def make_plan(
    source: data.Source,
    model: str,
    *,
    recipe: Recipe | Mapping[str, Any] | None,
    input_size: int | None,
    stem: zoo.Stem | None,
    config: Mapping[str, Any],
    weights: str | os.PathLike[str] | None,
    seed: int,
) -> Plan:
    """Decide what `fit` was not told. Raises InputError for what cannot be used."""
    if not 0 <= seed < 2**63:
        raise InputError(f"seed must be at least 0 and below 2^63, not {seed}")
    name = DEFAULT_MODEL if model == "auto" else model
    usual = zoo.form(name)
    checkpoint = None if weights is None else zoo.open_checkpoint(weights, name)
    preprocess = _preprocess(source, input_size, checkpoint)
    if not isinstance(recipe, Recipe):
        recipe = override(Recipe(flip=source.mirrors), recipe or {}, what="recipe")
    said = {} if checkpoint is None else checkpoint.config
    small = "cifar" if preprocess.size < SMALL_INPUT and ":" not in name else usual.stem
    return Plan(
        model={
            "name": name,
            "num_classes": len(source.labels),
            "in_channels": source.channels,
            "stem": stem or (small if checkpoint is None else checkpoint.stem or usual.stem),
            "config": zoo.settle(name, {**said, **config}, size=preprocess.size),
        },
        preprocess=preprocess,
        recipe=recipe,
        seed=seed,
        checkpoint=checkpoint,
    )


def _preprocess(source: data.Source, size: int | None, checkpoint: zoo.Checkpoint | None) -> Preprocess:
    """As the weights ask; else what suits the source. `size` changes the pixels a side alone."""
    asked = None if checkpoint is None else checkpoint.preprocess
    if size is None:
        size = source.size if asked is None else asked.size
    if size < 1:
        raise InputError(f"the input needs at least 1 pixel a side, not {size}; {source.size} suits {source.name}")
    usual = Preprocess.for_input(size, channels=source.channels, decoding="draft")
    if asked is None:
        return usual
    resize = asked.resize if size == asked.size else usual.resize
    means = [
        values if asked.channels == source.channels else (fmean(values),) * source.channels
        for values in (asked.mean, asked.std)
    ]
    return replace(asked, size=size, resize=resize, channels=source.channels, mean=means[0], std=means[1])
