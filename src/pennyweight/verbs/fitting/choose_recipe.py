"""The recipe of a training, of what was said of it and of what suits the rest; what would do nothing is refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from pennyweight import data
from pennyweight.core.errors import InputError, received
from pennyweight.core.settings import override
from pennyweight.train import Recipe
from pennyweight.train.presets import get_recipe, suggest_recipe
from pennyweight.train.recipe import OF_STEPS, ONLY_IN_VIEWS

__all__ = ["AUTO", "Setting", "choose_recipe", "requested_fields", "trains_from_scratch"]

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Facts about a training, beyond its pictures and its network, that decide which recipe suits."""

    taught: bool = False
    """True with a teacher."""
    folded: bool = False
    """True where the pictures are scored in folds."""


def choose_recipe(
    source: data.Source,
    recipe: Recipe | Mapping[str, Any] | str | None,
    pictures: int,
    network: str,
    *,
    fresh: bool,
    setting: Setting,
    batch_norm: bool = True,
) -> tuple[Recipe, str | None, tuple[str, ...]]:
    """Return the resolved recipe, the name of the recipe it is based on, and the reasons for that choice."""
    if isinstance(recipe, Recipe):
        _require_use(recipe, requested_fields(recipe))
        return recipe, None, ()
    if recipe is not None and not isinstance(recipe, (str, Mapping)):
        raise InputError(f"a recipe is a Recipe, a name or a mapping of its fields, not {received(recipe)}")
    changes = {"name": recipe} if isinstance(recipe, str) else dict(recipe or {})
    name, mode = changes.pop("name", None), changes.get("mode", AUTO)
    why: tuple[str, ...] = ()
    if mode == AUTO:
        changes.pop("mode", None)
    if name is None:
        if mode == AUTO:
            mode, reason = _mode(fresh, setting.taught, changes)
            why = (f"mode {mode}: {reason}",)
        folded = setting.folded and not _idle_in("logistic", changes)
        name, reason = suggest_recipe(mode, pictures, network, batch_norm=batch_norm, folded=folded)
        why += (f"recipe {name}: {reason}",)
    base = get_recipe(name)
    if fresh and changes.get("mode", base.mode) != "scratch":
        why += ("the frozen layers are not trained: nothing said which weights to start from (--weights)",)
    settled = override(replace(base, flip=base.flip and source.mirrors), changes, what="recipe")
    _require_use(settled, changes)
    return settled, name, why


def requested_fields(recipe: Recipe | Mapping[str, Any] | str | None) -> frozenset[str]:
    """Return the fields that the user set: of a whole Recipe, those that differ from the defaults."""
    if isinstance(recipe, Recipe):
        usual = Recipe().to_dict()
        return frozenset(name for name, value in recipe.to_dict().items() if value != usual.get(name))
    return frozenset(recipe) if isinstance(recipe, Mapping) else frozenset()


def trains_from_scratch(recipe: Recipe | Mapping[str, Any] | str | None) -> str:
    """Return what of a recipe says to train a fresh network; nothing where the mode is left open, or is another."""
    if isinstance(recipe, Recipe):
        return "mode scratch was asked for" if recipe.mode == "scratch" else ""
    changes = {"name": recipe} if isinstance(recipe, str) else dict(recipe or {})
    name, mode = changes.get("name"), changes.get("mode", AUTO)
    if mode == AUTO and name is not None and get_recipe(name).mode == "scratch":
        return f"recipe {name} trains from scratch"
    return "mode scratch was asked for" if mode == "scratch" else ""


def _require_use(recipe: Recipe, asked: Collection[str]) -> None:
    """Raise InputError where what was asked for would do nothing, and stand in run.json as if it had."""
    idle = [name for name in recipe.idle if name in asked]
    if idle and recipe.optimizer == "lbfgs" and idle[0] in OF_STEPS:
        raise InputError(
            f"recipe field '{idle[0]}' does nothing with optimizer lbfgs, which has no steps and chooses its penalty: "
            "--recipe probe has it"
        )
    if idle:
        field, why, views = idle[0], "", ""
        if field in ONLY_IN_VIEWS:
            why = ", whose features are those of pictures as they are"
            views = ", or --set views=4, features of 4 changed views"
        having = "head or finetune" if field == "views" else "finetune"
        idly = f"recipe field '{field}' does nothing in mode {recipe.mode}{why}"
        raise InputError(f"{idly}: --mode {having} has it{views}")


def _mode(fresh: bool, taught: bool, changes: Mapping[str, Any]) -> tuple[str, str]:
    """Choose what to train, and say why; `changes` are the fields that were asked for."""
    if fresh:
        return "scratch", "there are no weights to start from"
    if taught:
        return "finetune", "there are weights to start from, and a teacher, which needs pictures"
    if torch.cuda.is_available():
        return "finetune", "there are weights to start from, and an accelerator"
    if idle := _idle_in("probe", changes):
        return "finetune", f"there are weights to start from, and '{idle[0]}' does nothing for the last layer alone"
    return "head", "there are weights to start from, and a CPU trains the last layer in seconds"


def _idle_in(name: str, changes: Mapping[str, Any]) -> list[str]:
    """Return the fields that were asked for and would do nothing in the preset `name`, of mode head."""
    if name == "logistic" and changes.get("optimizer", "lbfgs") != "lbfgs":
        return ["optimizer"]
    settled = override(get_recipe(name), {**changes, "mode": "head"}, what="recipe")
    return [name for name in settled.idle if name in changes]
