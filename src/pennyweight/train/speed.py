"""The quickest way to step, measured: a few steps of each, checked against float32, remembered for this machine."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import shutil
import statistics
import time
from collections.abc import Collection, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pennyweight.core.errors import PennyweightError
from pennyweight.core.files import read_json, write_json
from pennyweight.core.machine import versions
from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Batch
from pennyweight.train.compiling import CompilerError, said_by_a_compiler
from pennyweight.train.epoch import Watcher
from pennyweight.train.hearing import hearing
from pennyweight.train.keeper import Keeper
from pennyweight.train.loop import Training
from pennyweight.train.path import arithmetic, leave_out_chance, make_inputs, put_in_layout, put_in_training
from pennyweight.train.ranks import Ranks
from pennyweight.train.recipe import Layout, Precision, Recipe

__all__ = ["WARM_UP", "Measured", "Nobody", "Way", "measure"]

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
ALIKE = 0.9
"""Cosine between a way's gradient and float32's, below which it is refused, unless float32 itself agrees less with what
it gives when each pixel moves by at most one level of 256: the gradients of deep fresh networks are that sensitive."""
SLACK = 0.1
"""How far below that a way may stay."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to step, and what it took."""

    layout: str
    precision: str
    compile: bool
    step_ms: float
    """Median of a few whole steps."""
    alike: float
    """Cosine between its gradient and that of float32 in the usual layout, on one batch."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was tried. `recipe` has the quickest way that agrees with float32."""

    ways: tuple[Way, ...]
    own: float
    """Cosine between float32's gradient and that of pictures moved by at most a level."""
    remembered: bool
    """Whether it was measured in an earlier run."""
    untried: str = ""
    """What could not be tried, and why."""

    @property
    def quickest(self) -> Way:
        """Of those that agree with float32; of all if none does, where the recipe leaves no other."""
        return min(filter(self.sound, self.ways), key=_step_of, default=min(self.ways, key=_step_of))

    def sound(self, way: Way) -> bool:
        """Whether a way agrees with float32 as far as can be asked. Float32's own ways do, if nothing compiled them."""
        own = way.precision in ("float32", "float64") and not way.compile
        return own or way.alike >= min(ALIKE, self.own - SLACK)

    def applied_to(self, recipe: Recipe) -> Recipe:
        """The recipe with the quickest way."""
        way = self.quickest
        return replace(recipe, layout=way.layout, precision=way.precision, compile=way.compile)  # type: ignore[arg-type]

    @property
    def note(self) -> str:
        """The outcome in a line."""
        chosen = self.quickest
        tried = ", ".join(
            f"{way.layout} {way.precision}{' compiled' if way.compile else ''} {way.step_ms:.0f} ms"
            + ("" if self.sound(way) else f" ({'refused: ' * (way != chosen)}not as float32)")
            for way in sorted(self.ways, key=_step_of)
        )
        outcome = "; ".join(filter(None, (tried, self.untried)))
        return f"step path{' (measured before)' if self.remembered else ''}: {outcome}"

    def to_dict(self) -> dict[str, Any]:
        """As run.json keeps it."""
        return {
            "ways": [asdict(way) for way in self.ways],
            "own": self.own,
            "remembered": self.remembered,
            "untried": self.untried,
        }


def _step_of(way: Way) -> float:
    return way.step_ms


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
) -> Measured:
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
    known = memory / f"{_key(model, batches, recipe, ranks, (order, compiled, compiling))}.json"
    remembered = None
    with suppress(PennyweightError, TypeError, KeyError):
        kept = read_json(known)
        remembered = Measured(ways=tuple(Way(**way) for way in kept["ways"]), own=kept["own"], remembered=True)
    if found := ranks.gather(remembered)[0]:
        return found
    started = time.perf_counter()
    usual = replace(recipe, layout="channels_first", precision="float32", compile=False)
    part = next(iter(batches[0].parts(recipe.accumulate)))  # no more than memory is asked to hold
    reference = _gradient(model, part, usual, preprocess)
    own = float(F.cosine_similarity(_gradient(model, _moved(part), usual, preprocess), reference, dim=0))

    tried: list[Way] = []

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
        layout, precision = changed.layout, changed.precision
        tried.append(Way(layout=layout, precision=precision, compile=changed.compile, step_ms=step_ms, alike=alike))

    def so_far(untried: str = "") -> Measured:
        return Measured(ways=tuple(tried), own=own, remembered=False, untried=untried)

    def late() -> bool:
        return bool(tried and ranks.gather(time.perf_counter() - started > within_s)[0])

    for layout, precision in order:
        hopeless = any(each.precision == precision and each.step_ms > HOPELESS * tried[0].step_ms for each in tried)
        if ranks.gather(hopeless)[0]:
            continue
        if late():
            return so_far()  # and not kept: some are missing
        way(replace(recipe, layout=layout, precision=precision, compile=compiled))
    compilers = ranks.device.type != "cpu" or shutil.which("g++") or shutil.which("clang++")
    if compiling and all(ranks.gather(bool(compilers))):
        if late():
            return so_far()
        try:
            way(replace(so_far().applied_to(recipe), compile=True))
        except CompilerError as error:
            if ranks.count > 1 and not error.everywhere:  # others may be in the midst of a step
                raise
            return so_far(f"compiling fails here ({error.reason})")  # not kept: it may be mended
    found = so_far()
    with suppress(OSError):  # a machine without a place to remember measures each time
        memory.mkdir(parents=True, exist_ok=True)
        write_json(known, found.to_dict())
    return found


def _gradient(model: nn.Module, batch: Batch, recipe: Recipe, preprocess: Preprocess) -> Tensor:
    """The gradient of one batch as one row, in float32, with nothing left out by chance, which compiled is another.

    Layers of chance that nobody knows draw alike each time, where they are not compiled.
    """
    copied = copy.deepcopy(model)
    put_in_layout(copied, recipe)
    put_in_training(copied, recipe)
    leave_out_chance(copied)
    device = next(copied.parameters()).device
    x, targets = make_inputs(preprocess, recipe, device)(batch)
    with said_by_a_compiler(recipe), torch.random.fork_rng():
        torch.manual_seed(0)
        forward: Any = torch.compile(copied) if recipe.compile else copied
        with arithmetic(recipe, device):
            logits = forward(x)
        with nullcontext() if recipe.compile else hearing(copied):
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
    training = Training(
        copy.deepcopy(model),
        training=_Few(batches),
        recipe=recipe,
        seed=0,
        watcher=Nobody(),
        preprocess=preprocess,
        keeper=Keeper(),
        teacher=None,
        ranks=ranks,
    )
    put_in_training(training.network, recipe)
    spent = []
    for number in range(WARM_UP + TIMED):
        started = time.perf_counter()
        training.step(batches[number % len(batches)])
        spent.append((time.perf_counter() - started) * 1000)
        if number == WARM_UP and not recipe.compile and ranks.gather(min(spent[1:]) > HOPELESS * best_ms)[0]:
            return min(spent[1:])
    return statistics.median(spent[WARM_UP:])


def _key(model: nn.Module, batches: Sequence[Batch], recipe: Recipe, ranks: Ranks, ways: Any) -> str:
    """What a measurement depends on, as a file's name."""
    asked = (ways, recipe.accumulate, recipe.optimizer)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    known = [ranks.machine, versions(), asked, batches[0].pixels.shape, sorted(shapes.items())]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]


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


class Nobody(Watcher):
    """Is told, and says nothing."""

    def epoch_started(self, epoch: int, steps: int, done: int = 0) -> None: ...
    def step(self, loss: float, images: int, *, right: float | None = None, waited_s: float | None = None) -> None: ...
    def epoch_finished(self, metrics: Any) -> None: ...
