"""Autotune: measure which layout, precision and compilation of a step is quickest, and cache the result.

Each way is checked against float32. A step's time decides the throughput of the training.
"""

from __future__ import annotations

import copy
import math
import shutil
import statistics
import time
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Batch
from pennyweight.train.callbacks import NullCallback
from pennyweight.train.checkpointer import Checkpointer
from pennyweight.train.compile_errors import CompilerError, explaining_compile_errors
from pennyweight.train.distributed import Ranks
from pennyweight.train.interrupts import interruptible_backward
from pennyweight.train.precision import apply_memory_format, autocast, disable_dropout, make_inputs, set_train_mode
from pennyweight.train.recipe import Layout, Precision, Recipe
from pennyweight.train.trainer import Trainer
from pennyweight.train.trials import Trial, TrialCache, Trials

__all__ = ["WARM_UP", "measure"]

WARM_UP = 2
TIMED = 5
ORDER: Sequence[tuple[Layout, Precision]] = (
    ("channels_last", "float32"), ("channels_first", "float32"),
    ("channels_last", "bfloat16"), ("channels_first", "bfloat16"),
)  # fmt: skip
"""Ways in the order of the trials."""
HOPELESS = 3.0
"""A way whose second and third step take this many times the quickest way's is timed no further. Its precision is not
tried in another layout: this processor has no fast code for it."""


def measure(
    model: nn.Module,
    batches: Sequence[Batch],
    recipe: Recipe,
    *,
    preprocess: Preprocess,
    ranks: Ranks,
    compiling: bool,
    memory: Path,
    within_s: float = math.inf,
    settled: Collection[str] = (),
) -> Trials:
    """Time steps of a copy of `model` in each layout and precision, then compile the quickest way and time it.

    Every rank takes part; rank 0's times and cache decide for all.

    Args:
        model: The network.
        batches: Batches to step on, in turn.
        recipe: The recipe; its layout, precision and compile are varied.
        preprocess: Preprocessing that makes the network's input.
        ranks: The processes of the training.
        compiling: True to try torch.compile, which may take minutes.
        memory: Folder of the cache. Its key is machine, ranks, versions, network, batch, input and optimizer.
        within_s: Seconds after which no further way is tried.
        settled: Fields among layout, precision and compile that keep the recipe's value.

    Returns:
        The trials; they are cached if none is missing.

    Raises:
        CompilerError: torch.compile fails though `settled` asks for it, or fails within a step of several ranks.
    """
    order = [(layout, precision) for layout, precision in ORDER if "layout" not in settled or layout == recipe.layout]
    if "precision" in settled:
        order = [(layout, recipe.precision) for layout in dict.fromkeys(layout for layout, _ in order)]
    compiled = recipe.compile and "compile" in settled
    compiling = compiling and "compile" not in settled
    ways = (order, compiled, compiling)
    cache = TrialCache(memory, model, ranks, (ways, recipe.accumulate, recipe.optimizer, batches[0].pixels.shape))
    if remembered := cache.recall():
        return remembered
    bench = _Bench(model, batches, recipe, preprocess=preprocess, ranks=ranks, within_s=within_s)
    for layout, precision in order:
        if bench.is_hopeless(precision):
            continue
        if bench.is_late():
            return bench.trials()  # not cached: some are missing
        bench.try_way(replace(recipe, layout=layout, precision=precision, compile=compiled))
    compilers = ranks.device.type != "cpu" or shutil.which("g++") or shutil.which("clang++")
    if all(ranks.gather(bool(compiling and compilers))):
        if bench.is_late():
            return bench.trials()
        try:
            bench.try_way(replace(bench.trials().applied_to(recipe), compile=True))
        except CompilerError as error:
            if ranks.count > 1 and not error.everywhere:  # other ranks may be in the middle of a step
                raise
            return bench.trials(f"compiling fails here ({error.reason})")  # not cached: the user may repair it
    return cache.keep(bench.trials())


class _Bench:
    """Trials of a network so far, and float32's gradient, with which each trial's is compared."""

    def __init__(
        self,
        model: nn.Module,
        batches: Sequence[Batch],
        recipe: Recipe,
        *,
        preprocess: Preprocess,
        ranks: Ranks,
        within_s: float,
    ) -> None:
        self._model, self._batches, self._preprocess, self._ranks = model, batches, preprocess, ranks
        self._within_s, self._started = within_s, time.perf_counter()
        self._tried: list[Trial] = []
        exact = replace(recipe, layout="channels_first", precision="float32", compile=False)
        self._part = next(iter(batches[0].parts(recipe.accumulate)))  # as much as a step holds in memory at once
        self._reference = _gradient(model, self._part, exact, preprocess)
        moved = _gradient(model, _move_pixels(self._part), exact, preprocess)
        self._own: float = ranks.gather(float(F.cosine_similarity(moved, self._reference, dim=0)))[0]

    def try_way(self, recipe: Recipe) -> None:
        """Check and time the recipe's layout, precision and compilation."""
        gradient = self._try_gradient(recipe)
        finite = torch.isfinite(gradient).all()
        alike = float(F.cosine_similarity(gradient, self._reference, dim=0)) if finite else -1.0
        best_ms = min((each.step_ms for each in self._tried), default=math.inf)
        step_ms = _step_ms(self._model, self._batches, recipe, self._preprocess, self._ranks, best_ms)
        alike, step_ms = self._ranks.gather((alike, step_ms))[0]
        layout, precision, compiled = recipe.layout, recipe.precision, recipe.compile
        self._tried.append(Trial(layout=layout, precision=precision, compile=compiled, step_ms=step_ms, alike=alike))

    def _try_gradient(self, recipe: Recipe) -> Tensor:
        """Compute the gradient; raise CompilerError on every rank if any rank cannot compile."""
        gradient, reason = self._reference, ""
        try:
            gradient = _gradient(self._model, self._part, recipe, self._preprocess)
        except CompilerError as error:
            reason = error.reason
        if reason := next(filter(None, self._ranks.gather(reason)), ""):
            raise CompilerError(reason, everywhere=True)
        return gradient

    def is_hopeless(self, precision: Precision) -> bool:
        """Return True if a trial in this precision took HOPELESS times the first trial's time."""
        limit_ms = HOPELESS * self._tried[0].step_ms if self._tried else math.inf
        return any(each.precision == precision and each.step_ms > limit_ms for each in self._tried)

    def is_late(self) -> bool:
        """Return True on every rank once rank 0's time is over and there is a trial."""
        return bool(self._tried and self._ranks.gather(time.perf_counter() - self._started > self._within_s)[0])

    def trials(self, untried: str = "") -> Trials:
        """Return the trials so far; `untried` says what failed."""
        return Trials(ways=tuple(self._tried), own=self._own, remembered=False, untried=untried)


def _gradient(model: nn.Module, batch: Batch, recipe: Recipe, preprocess: Preprocess) -> Tensor:
    """Compute the gradient of one batch in float32, without dropout, as one row.

    Dropout would differ in a compiled network. Random layers that `disable_dropout` does not know draw the same numbers
    each time, in one layout and uncompiled.
    """
    copied = copy.deepcopy(model)
    apply_memory_format(copied, recipe)
    set_train_mode(copied, recipe)
    disable_dropout(copied)
    device = next(copied.parameters()).device
    x, targets = make_inputs(preprocess, recipe, device)(batch)
    with explaining_compile_errors(recipe), torch.random.fork_rng():
        torch.manual_seed(0)
        forward: Any = torch.compile(copied) if recipe.compile else copied
        with autocast(recipe, device):
            logits = forward(x)
        with nullcontext() if recipe.compile else interruptible_backward(copied):
            F.cross_entropy(logits.float(), targets).backward()  # type: ignore[no-untyped-call]
    return torch.cat([p.grad.float().flatten() for p in copied.parameters() if p.grad is not None])


def _move_pixels(batch: Batch) -> Batch:
    """Return the batch with each pixel moved up or down by at most one of 256 levels."""
    pixels = np.asarray(torch.as_tensor(batch.pixels).cpu())
    moves = np.random.default_rng(0).integers(-1, 2, pixels.shape)
    return batch._replace(pixels=np.clip(pixels + moves, 0, 255).astype(np.uint8))


def _step_ms(
    model: nn.Module, batches: Sequence[Batch], recipe: Recipe, preprocess: Preprocess, ranks: Ranks, best_ms: float
) -> float:
    """Return the median time of TIMED steps in ms, or the quickest of the first if they are hopeless."""
    training = Trainer(
        copy.deepcopy(model),
        training=_Few(batches),
        recipe=recipe,
        seed=0,
        callback=NullCallback(),
        preprocess=preprocess,
        checkpointer=Checkpointer(),
        teacher=None,
        ranks=ranks,
    )
    set_train_mode(training.network, recipe)
    spent = []
    for number in range(WARM_UP + TIMED):
        started = time.perf_counter()
        training.step(batches[number % len(batches)])
        spent.append((time.perf_counter() - started) * 1000)
        if number == WARM_UP and not recipe.compile and ranks.gather(min(spent[1:]) > HOPELESS * best_ms)[0]:
            return min(spent[1:])
    return statistics.median(spent[WARM_UP:])


class _Few:
    """A few batches as a training set."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return sum(len(batch.targets) for batch in self.batches)

    def steps(self, batch: int) -> int:
        return len(self.batches)

    def epoch(self, epoch: int, *, batch: int, seed: int, augment: Any, device: Any = None, start: int = 0) -> Any:
        return iter(self.batches[start:])

    def in_order(self, batch: int) -> Any:
        return iter(self.batches)
