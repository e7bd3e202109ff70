"""What `fit` decides before the first step: everything that was not said, chosen by the source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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

    @property
    def note(self) -> str:
        """The plan in a line."""
        size = self.preprocess.size
        config = "".join(f" {name}={value}" for name, value in self.model["config"].items())
        return (
            f"{self.model['name']}{config}, {self.model['stem']} stem, input {self.preprocess.channels}×{size}×{size}, "
            f"{self.recipe.epochs} epochs of {self.recipe.optimizer}"
        )

    def make(self) -> nn.Module:
        """The fresh network, drawn from the seed."""
        with reproducible(self.seed):
            return zoo.build(**self.model)


def make_plan(
    source: data.Source,
    model: str,
    *,
    recipe: Recipe | Mapping[str, Any] | None,
    input_size: int | None,
    stem: zoo.Stem | None,
    config: Mapping[str, Any],
    seed: int,
) -> Plan:
    """Decide what `fit` was not told. Raises InputError for what cannot be used."""
    if not 0 <= seed < 2**63:
        raise InputError(f"seed must be at least 0 and below 2^63, not {seed}")
    name = DEFAULT_MODEL if model == "auto" else model
    row = zoo.variant(name)
    size = source.size if input_size is None else input_size
    if size < 1:
        raise InputError(f"the input needs at least 1 pixel a side, not {size}; {source.size} suits {source.name}")
    if not isinstance(recipe, Recipe):
        recipe = override(Recipe(flip=source.mirrors), recipe or {}, what="recipe")
    if hasattr(row.config, "size") and "size" not in config:
        config = {**config, "size": size}  # a network whose input has one size, such as ViT
    resolved = override(row.config, config, what="Config")
    return Plan(
        model={
            "name": name,
            "num_classes": len(source.labels),
            "in_channels": source.channels,
            "stem": stem or ("cifar" if size < SMALL_INPUT else row.stem),
            "config": {field: getattr(resolved, field) for field in config},
        },
        preprocess=Preprocess.for_input(size, channels=source.channels, decoding="draft"),
        recipe=recipe,
        seed=seed,
    )
