"""The quickest way to step, measured: a few steps of each, checked against float32, remembered for this machine."""

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
"""Ways as they are tried: the usual one first."""
HOPELESS = 3.0
"""A way whose second and third step take this many times the quickest way's is timed no further; nor is another layout
in its precision, which this processor has no quick code for."""


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
    """Time steps on a copy of `model` over `batches` in each layout and precision, then the best of them compiled.

    What was found is kept in the folder `memory`, by machine, ranks, versions, network, batch, input and optimiser.
    `compiling` says whether compiling, which may take minutes, is worth a try. After `within_s` no other way is begun.
    Of layout, precision and compile, those that are `settled` stay as the recipe has them. Every rank takes part, and
    what the first one remembers serves all.
    """
    order = [(layout, precision) for layout, precision in ORDER if "layout" not in settled or layout == recipe.layout]
    if "precision" in settled:
        order = [(layout, recipe.precision) for layout in dict.fromkeys(layout for layout, _ in order)]
    compiled = recipe.compile and "compile" in settled
    compiling = compiling and "compile" not in settled
    ways = (order, compiled, compiling)
    known = TrialCache(memory, model, ranks, (ways, recipe.accumulate, recipe.optimizer, batches[0].pixels.shape))
    if remembered := known.recall():
        return remembered
    started = time.perf_counter()
    usual = replace(recipe, layout="channels_first", precision="float32", compile=False)
    part = next(iter(batches[0].parts(recipe.accumulate)))  # no more than memory is asked to hold
    reference = _gradient(model, part, usual, preprocess)
    own = float(F.cosine_similarity(_gradient(model, _moved(part), usual, preprocess), reference, dim=0))
    own = ranks.gather(own)[0]

    tried: list[Trial] = []

    def gradient_of(changed: Recipe) -> Tensor:
        """CompilerError on every rank where any of them cannot compile."""
        gradient, reason = reference, ""
        try:
            gradient = _gradient(model, part, changed, preprocess)
        except CompilerError as error:
            reason = error.reason
        if reason := next(filter(None, ranks.gather(reason)), ""):
            raise CompilerError(reason, everywhere=True)
        return gradient

    def way(changed: Recipe) -> None:
        gradient = gradient_of(changed)
        alike = float(F.cosine_similarity(gradient, reference, dim=0)) if torch.isfinite(gradient).all() else -1.0
        best_ms = min((each.step_ms for each in tried), default=math.inf)
        step_ms = _step_ms(model, batches, changed, preprocess, ranks, best_ms)
        alike, step_ms = ranks.gather((alike, step_ms))[0]
        layout, precision = changed.layout, changed.precision
        tried.append(Trial(layout=layout, precision=precision, compile=changed.compile, step_ms=step_ms, alike=alike))

    def so_far(untried: str = "") -> Trials:
        return Trials(ways=tuple(tried), own=own, remembered=False, untried=untried)

    def late() -> bool:
        return bool(tried and ranks.gather(time.perf_counter() - started > within_s)[0])

    for layout, precision in order:
        if any(each.precision == precision and each.step_ms > HOPELESS * tried[0].step_ms for each in tried):
            continue
        if late():
            return so_far()  # and not kept: some are missing
        way(replace(recipe, layout=layout, precision=precision, compile=compiled))
    compilers = ranks.device.type != "cpu" or shutil.which("g++") or shutil.which("clang++")
    if all(ranks.gather(bool(compiling and compilers))):
        if late():
            return so_far()
        try:
            way(replace(so_far().applied_to(recipe), compile=True))
        except CompilerError as error:
            if ranks.count > 1 and not error.everywhere:  # others may be in the midst of a step
                raise
            return so_far(f"compiling fails here ({error.reason})")  # not kept: it may be mended
    return known.keep(so_far())


def _gradient(model: nn.Module, batch: Batch, recipe: Recipe, preprocess: Preprocess) -> Tensor:
    """The gradient of one batch as one row, in float32, with nothing left out by chance, which compiled is another.

    Layers of chance that nobody knows draw alike each time, in one layout and where they are not compiled.
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


def _moved(batch: Batch) -> Batch:
    """The same pictures, each pixel higher or lower by at most one level."""
    pixels = np.asarray(torch.as_tensor(batch.pixels).cpu())
    moves = np.random.default_rng(0).integers(-1, 2, pixels.shape)
    return batch._replace(pixels=np.clip(pixels + moves, 0, 255).astype(np.uint8))


def _step_ms(
    model: nn.Module, batches: Sequence[Batch], recipe: Recipe, preprocess: Preprocess, ranks: Ranks, best_ms: float
) -> float:
    """The median of a few steps; of fewer where the best way is out of reach."""
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
    """Some batches as a training set."""

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
