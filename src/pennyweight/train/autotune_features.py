"""The quickest way to compute features, by trial: the precision alone, in the recipe's layout."""

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
    """Time `model`, at rest, over some pictures of `batch` in float32 and in bfloat16,
    unless the precision is `settled`.

    A way's `step_ms` is of all these pictures; `alike` compares with float32 how features are apart from their mean.
    What was found is kept in the folder `memory`.
    """
    few = batch.rows(np.arange(min(BATCH, len(batch.targets))))
    precisions: Sequence[Precision] = (recipe.precision,) if "precision" in settled else ("float32", "bfloat16")
    known = TrialCache(memory, model, ranks, ("features", precisions, recipe.layout, few.pixels.shape))
    if remembered := known.recall():
        return remembered
    copied = copy.deepcopy(model).eval()
    apply_memory_format(copied, recipe)

    def timed(precision: Precision) -> tuple[Tensor, float]:
        changed = replace(recipe, precision=precision)
        x, _ = make_inputs(preprocess, changed, ranks.device)(few)
        compute_features(copied, x, changed)  # warms up
        started = time.perf_counter()
        features = compute_features(copied, x, changed)
        return features, (time.perf_counter() - started) * 1000

    exact: Precision = "float32" if precisions[0] == "bfloat16" else precisions[0]
    tried = {precision: timed(precision) for precision in dict.fromkeys((exact, *precisions))}
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
    """Cosine between the two, of what sets pictures apart; -1 of what is no number."""
    if not torch.isfinite(features).all():
        return -1.0
    mean = reference.mean(0)
    return float(F.cosine_similarity((features - mean).flatten(), (reference - mean).flatten(), dim=0))
