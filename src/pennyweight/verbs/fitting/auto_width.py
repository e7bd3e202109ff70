"""Choose the width of the network that auto trains on many small pictures with `--minutes`: the widest that fits."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from statistics import fmean

import torch

from pennyweight import zoo
from pennyweight.core.frame import Size, sides_of
from pennyweight.core.heap import keeping_memory
from pennyweight.train import RECIPES, Ranks, Recipe, reproducible
from pennyweight.train.autotune import HOPELESS
from pennyweight.train.precision import apply_memory_format, autocast
from pennyweight.train.recipe import Layout, Precision

__all__ = ["ENOUGH", "SHARE", "WIDTHS", "widest"]

WIDTHS = ("resnet_9_x0_25", "resnet_9_x0_375", "resnet_9_x0_5", "resnet_9")
ENOUGH = 10
"""Epochs that the widest choice must reach; with fewer, a narrower network learns more in equal time."""
SHARE = 0.85
"""Share of the time for training steps; reading, measuring, validation and the test split take the rest."""
BATCH = 64
WARM_UP, TIMED = 2, 3


def widest(
    minutes: float,
    *,
    pictures: int,
    size: Size,
    channels: int,
    classes: int,
    ranks: Ranks,
    ways: Sequence[tuple[Layout, Precision]],
) -> tuple[str, str]:
    """Return (a name of WIDTHS, the reason): the widest that trains on `pictures` of `size` pixels for ENOUGH epochs.

    The narrowest is timed here for some steps in each of these `ways`, and wider ones, until one has too few epochs, in
    the quickest. Every rank must call it, and gets the first one's answer.
    """
    recipe = replace(RECIPES["sprint"], epochs=ENOUGH)
    grown = fmean(prod(recipe.sides(size, epoch)) / prod(sides_of(size)) for epoch in range(1, ENOUGH + 1))
    limit_s = SHARE * minutes * 60 * ranks.count / (ENOUGH * pictures * grown)  # that a picture may take

    def timed(name: str, way: tuple[Layout, Precision], best_s: float) -> float:
        layout, precision = way
        return _picture_s(
            name, replace(recipe, layout=layout, precision=precision), size, channels, classes, ranks, best_s
        )

    name, picture_s, quickest = WIDTHS[0], math.inf, ways[0]
    for way in ways:
        picture_s, quickest = min((picture_s, quickest), (timed(name, way, picture_s), way))
    picture_s, quickest = ranks.gather((picture_s, quickest))[0]
    for wider in WIDTHS[1:]:
        wider_s = ranks.gather(timed(wider, quickest, limit_s))[0]
        if wider_s > limit_s:
            break
        name, picture_s = wider, wider_s
    epochs = ENOUGH * limit_s / picture_s
    return name, f"network {name}: about {epochs:.0f} epochs of many small pictures fit {minutes:g} minutes here"


@keeping_memory()
def _picture_s(
    name: str, recipe: Recipe, size: Size, channels: int, classes: int, ranks: Ranks, best_s: float = math.inf
) -> float:
    """Seconds that one picture takes a step, forward and backward, as the recipe has it.

    Of fewer steps where `best_s` is out of reach.
    """
    with reproducible(0):
        network = zoo.create(name, num_classes=classes, in_channels=channels, stem="cifar").to(ranks.device)
    apply_memory_format(network, recipe)
    dtype = next(network.parameters()).dtype
    x = torch.zeros(BATCH, channels, *sides_of(size), device=ranks.device, dtype=dtype)
    if recipe.layout == "channels_last":
        x = x.to(memory_format=torch.channels_last)
    spent = []
    for _ in range(WARM_UP + TIMED):
        started = time.perf_counter()
        with autocast(recipe, ranks.device):
            loss = network(x).sum()
        loss.backward()
        loss.item()  # an accelerator has finished by then
        spent.append(time.perf_counter() - started)
        if len(spent) == WARM_UP and spent[-1] > HOPELESS * best_s * BATCH:
            break
    return min(spent[WARM_UP:] or spent[1:]) / BATCH
