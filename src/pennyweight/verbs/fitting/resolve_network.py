"""Resolve a network and its recipe together: each decides fields of the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pennyweight import data, zoo
from pennyweight.core.errors import InputError
from pennyweight.core.frame import Size, side_of
from pennyweight.train import Recipe
from pennyweight.train.precision import batch_norms
from pennyweight.verbs.fitting.choose_recipe import Setting, choose_recipe
from pennyweight.verbs.fitting.first_weights import SMALL_INPUT

__all__ = ["resolve_network"]


def resolve_network(
    source: data.Source,
    name: str,
    checkpoint: zoo.Checkpoint | None,
    size: Size,
    recipe: Recipe | Mapping[str, Any] | str | None,
    *,
    pictures: int,
    stem: zoo.Stem | None,
    config: Mapping[str, Any],
    setting: Setting,
) -> tuple[dict[str, Any], Recipe, str | None, tuple[str, ...]]:
    """Return the arguments of `zoo.build`, the recipe for that network, its name and the reasons."""
    usual = zoo.form(name)
    told = {} if checkpoint is None else zoo.fields_of(checkpoint, name)
    sized = zoo.settle(name, {}, size=size)  # a ViT's positions are fitted to --input
    small = "cifar" if side_of(size) < SMALL_INPUT and ":" not in name else usual.stem

    def settled_with(depth: Mapping[str, Any]) -> dict[str, Any]:
        return zoo.settle(name, {**told, **sized, **depth, **config}, size=size)

    resolved: dict[str, Any] = {
        "name": name,
        "num_classes": len(source.labels),
        "in_channels": source.channels,
        "stem": stem or (small if checkpoint is None else checkpoint.stem or usual.stem),
        "config": settled_with({}),
    }
    normed, fresh = any(batch_norms(zoo.sketch(**resolved))), checkpoint is None
    settled, recipe_name, reasons = choose_recipe(
        source, recipe, pictures, name, fresh=fresh, setting=setting, batch_norm=normed
    )
    resolved["config"] = settled_with(_depth(name, settled))
    if recipe_name is not None and not _grows(resolved, min(settled.sides(size, 1))):
        settled = replace(settled, first_size=1.0)
    return resolved, settled, recipe_name, reasons


def _depth(name: str, recipe: Recipe) -> dict[str, float]:
    """Return the recipe's stochastic depth as a field of the Config. Raises InputError for a network without it."""
    if not recipe.drop_path:
        return {}
    if ":" in name:
        raise InputError(
            f"recipe field 'drop_path' is for our own networks, not for {name}: --config sets it by the name "
            "that its library has for it, such as timm's drop_path_rate=0.2"
        )
    if not hasattr(zoo.variant(name).config, "drop_path"):
        raise InputError(
            f"recipe field 'drop_path' is for networks with blocks to leave out, such as resnet18: {name} has none"
        )
    return {"drop_path": recipe.drop_path}


def _grows(model: Mapping[str, Any], side: int) -> bool:
    """Return True if a network takes pictures whose short side is `side` pixels, besides those of its input."""
    return "size" not in model["config"] and getattr(zoo.sketch(**model), "smallest_input", math.inf) <= side
