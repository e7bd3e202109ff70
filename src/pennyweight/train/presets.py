"""Presets: recipes with a name. The classic ones come from tutorials, but choose weights on validation, not on test."""

from __future__ import annotations

from collections.abc import Mapping

from pennyweight.core.errors import InputError, nearest
from pennyweight.train.recipe import Recipe

__all__ = ["MANY", "RECIPES", "get_recipe", "suggest_recipe"]

MANY = 5_000
"""Number of training pictures from which large batches at a high learning rate reach more in the same time."""

_CLASSIC = {"label_smoothing": 0.0, "flip": False, "shift": 0.0, "weight_decay": 0.0, "schedule": "constant"}

RECIPES: Mapping[str, Recipe] = {
    # From scratch on a few hundred to a few thousand pictures.
    "steady": Recipe(),
    # Many small pictures in little time: after Smith and Topin 2017, arXiv:1708.07120, and Page 2018 (DAWNBench).
    "quick": Recipe(
        epochs=16,
        batch=128,
        optimizer="sgd",
        lr=0.4,
        weight_decay=5e-4,
        schedule="one-cycle",
        label_smoothing=0.05,
        shift=0.0625,
        first_size=0.625,
    ),
    # The same for the dense convolutions of ResNet-9, after Jordan 2024 (airbench).
    "sprint": Recipe(
        epochs=14,
        batch=256,
        optimizer="muon",
        lr=0.11,
        momentum=0.6,
        weight_decay=5e-4,
        schedule="one-cycle",
        label_smoothing=0.1,
        first_size=0.5,
    ),
    # Networks without batch norm (VGG, Transformers): at the learning rates above they learn slowly or not at all.
    "careful": Recipe(epochs=30, batch=64, lr=5e-4, clip_norm=1.0),
    # Linear probe: the last layer on cached features.
    "probe": Recipe(
        mode="head", epochs=40, batch=64, lr=3e-3, weight_decay=0.01, warmup_epochs=0.0, label_smoothing=0.0
    ),
    # Few pictures: the last layer by logistic regression on cached features, its penalty chosen in folds.
    "logistic": Recipe(mode="head", epochs=1, optimizer="lbfgs", warmup_epochs=0.0, label_smoothing=0.0),
    # The last layer, then the whole network with layer-wise learning-rate decay: the stem moves slowest.
    "gentle": Recipe(
        mode="finetune",
        epochs=8,
        batch=32,
        lr=2e-4,
        weight_decay=0.01,
        warmup_epochs=1.0,
        rate_decay=0.7,
        freeze_norms=True,
    ),
    # The first network of many courses: Adam at 1e-3 for 10 epochs, without augmentation.
    "classic-cifar": Recipe(epochs=10, batch=128, optimizer="adam", lr=1e-3, warmup_epochs=0.0, **_CLASSIC),  # type: ignore[arg-type]
    # Cats and dogs with a frozen VGG-16: SGD at 1e-3 on the last layer, center crop.
    "classic-transfer": Recipe(
        mode="head",
        epochs=10,
        batch=64,
        optimizer="sgd",
        lr=1e-3,
        warmup_epochs=0.0,
        **_CLASSIC,  # type: ignore[arg-type]
    ),
}


def get_recipe(name: str) -> Recipe:
    """Return the preset called `name`. Raises InputError with the nearest name."""
    if name not in RECIPES:
        known = f"; there are {', '.join(RECIPES)}"
        raise InputError(f"unknown recipe '{name}'{nearest(name, RECIPES, otherwise=known)}")
    return RECIPES[name]


def suggest_recipe(
    mode: str, pictures: int, network: str, *, batch_norm: bool = True, folded: bool = False
) -> tuple[str, str]:
    """Suggest a preset for a mode, a number of training pictures and a network.

    Args:
        mode: scratch, head or finetune.
        pictures: Number of training pictures.
        network: Name of the network.
        batch_norm: False for a network without batch norm.
        folded: True where few pictures are scored in folds, which choose a penalty too.

    Returns:
        The preset's name, and the reason in a few words.
    """
    if mode == "head" and folded:
        return "logistic", "suits mode head and pictures in folds"
    if mode in ("head", "finetune"):
        return {"head": "probe", "finetune": "gentle"}[mode], f"suits mode {mode}"
    if not batch_norm:
        return "careful", f"{network} has no batch norm"
    if pictures < MANY:
        return "steady", f"suits fewer than {MANY:,} training pictures"
    if network.startswith("resnet_9"):
        return "sprint", f"suits ResNet-9 and {MANY:,} training pictures or more"
    return "quick", f"suits {MANY:,} training pictures or more"
