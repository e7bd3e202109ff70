"""Measure the real latency of networks, between runs of the microbenchmarks behind the machine profile.

A machine drifts: other work, heat. The ratio of the microbenchmarks' time now to their time in the profile scales the
prediction.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from pennyweight.core.errors import InputError
from pennyweight.core.figures import number, several, spread
from pennyweight.core.heap import keeping_memory
from pennyweight.core.summary import Facts, Summary
from pennyweight.core.turns import WARM_UP, time_in_turns
from pennyweight.cost.counting.inputs import random_input
from pennyweight.cost.counting.meta_copy import copy_with_values
from pennyweight.cost.counting.restore import preserve_random_state, restore_on_exit
from pennyweight.cost.timing.machine_profile import MachineProfile
from pennyweight.cost.timing.microbenchmarks import Case, Microbenchmarks
from pennyweight.cost.timing.predict import operation_seconds

__all__ = ["EAGER", "Timed", "Timing", "time_networks"]

EAGER = f"torch {torch.__version__.partition('+')[0]}, eager"
ANCHORS = 0.02
"""Share of the microbenchmarks that is timed again between the networks."""


class Timed(NamedTuple):
    """Network on an engine of its own: the call to time, and the engine's name."""

    call: Callable[[], object]
    engine: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Timing(Summary):
    """Measured latency of a forward pass in milliseconds, without gradients."""

    engine: str
    """Name of the engine, such as "torch 2.14.0, eager"."""
    median_ms: float
    quartiles_ms: tuple[float, float]
    repeats: int
    warm_up: int
    threads: int
    batch: int
    drift: float | None
    """Time of the profile's operators now, over their time in the profile; None without a profile."""

    def _facts(self) -> Facts:
        yield "median", f"{number(self.median_ms)} ms"
        yield "quartiles", f"{spread(self.quartiles_ms)} ms"
        yield "engine", self.engine
        yield "", f"{several(self.repeats, 'repeat')} after {number(self.warm_up)} to warm up"
        yield "", f"batch {number(self.batch)}, {several(self.threads, 'thread')}"
        if self.drift is not None:
            yield "drift since the machine profile", number(self.drift)


@keeping_memory()
def time_networks(
    models: Sequence[nn.Module | Timed],
    shapes: Sequence[Sequence[int]],
    *,
    batch: int = 1,
    repeats: int = 20,
    profile: MachineProfile | None = None,
) -> tuple[Timing, ...]:
    """Time eval-mode copies of models on random inputs, in turn. The models stay unchanged.

    Args:
        models: Modules on a real device, or `Timed` calls, which run as given.
        shapes: Input shape of each model, without the batch.
        batch: Inputs per call.
        repeats: Timed calls of each model, at least 2.
        profile: Machine profile, to report the machine's drift since it was measured.

    Returns:
        Median and quartiles in milliseconds for each model.

    Raises:
        InputError: A model's weights are on the meta device, or `repeats` is below 2.
    """
    if repeats < 2:
        raise InputError(f"a median and a spread need at least 2 repeats, not {repeats}")
    modules = [model for model in models if isinstance(model, nn.Module)]
    if any(tensor.is_meta for model in modules for tensor in (*model.parameters(), *model.buffers())):
        raise InputError("a model on the meta device has no values to compute with; make it on a real device")
    anchors = Microbenchmarks(ANCHORS) if profile is not None else None
    with torch.no_grad(), preserve_random_state(), restore_on_exit(*modules):
        ready = [_timed(model, (batch, *shape)) for model, shape in zip(models, shapes, strict=True)]
        refresh = None if anchors is None else lambda kept: anchors.round(keep=kept)
        times = time_in_turns([timed.call for timed in ready], repeats=repeats, before_round=refresh)
    drift = None if anchors is None or profile is None else _drift(anchors.cases, profile)
    return tuple(_timing(timed.engine, spent, batch, drift) for timed, spent in zip(ready, times, strict=True))


def _timed(model: nn.Module | Timed, shape: Sequence[int]) -> Timed:
    """Return a module as an eager call on a random input."""
    if isinstance(model, Timed):
        return model
    module = copy_with_values(model).module.eval()
    return Timed(partial(module, random_input(module, shape)), EAGER)


def _timing(engine: str, spent: Sequence[float], batch: int, drift: float | None) -> Timing:
    low, middle, high = statistics.quantiles(spent, n=4, method="inclusive")
    return Timing(
        engine=engine,
        median_ms=middle,
        quartiles_ms=(low, high),
        repeats=len(spent),
        warm_up=WARM_UP,
        threads=torch.get_num_threads(),
        batch=batch,
        drift=drift,
    )


def _drift(cases: Sequence[Case], profile: MachineProfile) -> float:
    """Return the median time of a round of operators now, over the profile's prediction of a round."""
    rounds = statistics.median(map(sum, zip(*(case.times for case in cases), strict=True)))
    return float(rounds / sum(operation_seconds(case.operation, profile) for case in cases))
