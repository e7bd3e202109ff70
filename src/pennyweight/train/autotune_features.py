"""Measure the quickest precision for computing features, in the recipe's memory layout."""

from __future__ import annotations

import copy
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Batch
from pennyweight.train.distributed import Ranks
from pennyweight.train.linear_probe import BATCH, compute_features
from pennyweight.train.precision import apply_memory_format, make_inputs
from pennyweight.train.recipe import Precision, Recipe
from pennyweight.train.trials import Trial, TrialCache, Trials

__all__ = ["measure_features"]


def measure_features(
    model: nn.Module,
    batch: Batch,
    recipe: Recipe,
    *,
    preprocess: Preprocess,
    ranks: Ranks,
    memory: Path,
    settled: Collection[str] = (),
) -> Trials:
    """Time the forward pass of `model` in eval mode in float32 and in bfloat16.

    Args:
        model: The network; a copy of it is timed.
        batch: Pictures, of which the first 16 are used.
        recipe: The recipe that gives the layout.
        preprocess: Preprocessing that makes the network's input.
        ranks: The processes of the training.
        memory: Folder of the cache.
        settled: Recipe fields that stay; with "precision" only the recipe's own is timed.

    Returns:
        The trials. `step_ms` is the time for all these pictures; `alike` is the cosine with float32's features, both
        less float32's mean over the pictures.
    """
    few = batch.rows(np.arange(min(BATCH, len(batch.targets))))
    precisions: Sequence[Precision] = (recipe.precision,) if "precision" in settled else ("float32", "bfloat16")
    known = TrialCache(memory, model, ranks, ("features", precisions, recipe.layout, few.pixels.shape))
    if remembered := known.recall():
        return remembered
    copied = copy.deepcopy(model).eval()
    apply_memory_format(copied, recipe)

    def time_precision(precision: Precision) -> tuple[Tensor, float]:
        changed = replace(recipe, precision=precision)
        x, _ = make_inputs(preprocess, changed, ranks.device)(few)
        compute_features(copied, x, changed)  # warms up
        started = time.perf_counter()
        features = compute_features(copied, x, changed)
        return features, (time.perf_counter() - started) * 1000

    exact: Precision = "float32" if precisions[0] == "bfloat16" else precisions[0]
    tried = {precision: time_precision(precision) for precision in dict.fromkeys((exact, *precisions))}
    ways = [
        Trial(
            layout=recipe.layout,
            precision=precision,
            compile=False,
            step_ms=step_ms,
            alike=_alike(features, tried[exact][0]),
        )
        for precision, (features, step_ms) in tried.items()
        if precision in precisions
    ]
    return known.keep(Trials(ways=tuple(ways), own=1.0, remembered=False))


def _alike(features: Tensor, reference: Tensor) -> float:
    """Return the cosine between features, less the reference's mean over the pictures; -1 for NaN or infinity."""
    if not torch.isfinite(features).all():
        return -1.0
    mean = reference.mean(0)
    return float(F.cosine_similarity((features - mean).flatten(), (reference - mean).flatten(), dim=0))
