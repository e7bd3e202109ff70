"""`weigh`: what a network costs, counted; predicted and measured in milliseconds when asked."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from pennyweight import zoo
from pennyweight.core.errors import InputError
from pennyweight.core.figures import number
from pennyweight.core.summary import Facts, Summary
from pennyweight.cost import Cost, Finding, LayerTime, MachineProfile, Timing, count, lint, predict, time_networks
from pennyweight.cost.counting.inputs import CallInputs, Inputs
from pennyweight.cost.timing.machine_profile import explain_unused, profiled_threads
from pennyweight.cost.timing.predict import time_notes
from pennyweight.verbs.weighable import Weighable, open_weighable

__all__ = ["Weighed", "weigh", "weigh_all"]


def weigh(
    model_or_name: nn.Module | str | os.PathLike[str],
    input_shape: Sequence[int] | None = None,
    *,
    batch: int = 1,
    stem: zoo.Stem | None = None,
    config: Mapping[str, Any] | None = None,
    inputs: Inputs | None = None,
    training_step: bool = False,
) -> Cost:
    """Count the work, traffic and live memory of a network on (batch, *input_shape), or on `inputs`.

    `model_or_name` is a module, which needs its input shape and is counted in its own mode, or what stands for one and
    brings its usual input shape, 32 pixels with the small-image stem: a name for `create` with its `stem` and `config`,
    also `torchvision:NAME` and `timm:NAME`, a Run or its folder, a Bundle or its file; `module.path:callable` needs the
    shape.
    Those are counted in eval mode. `inputs` are what to call it with where a shape does not tell: a tensor, a tuple by
    position, a dictionary by name, with the batch; on the meta device they are shapes with a type. `training_step`
    follows the memory of a forward and backward pass as well. Raises InputError for an input that the network does not
    take.
    """
    if isinstance(model_or_name, nn.Module):
        if stem is not None or config:
            raise InputError(f"a stem or Config is for networks by name, not for a {type(model_or_name).__name__}")
        return count(model_or_name, input_shape, batch=batch, inputs=inputs, training_step=training_step)
    shape = input_shape if inputs is None else CallInputs.of(input_shape, batch, inputs).sizes[1:]
    opened = partial(open_weighable, model_or_name, shape, stem=stem, config=config)
    counted = partial(count, inputs=inputs, batch=batch, training_step=training_step)
    return _opened_and_counted(opened, counted, real=False)[1]


def _opened_and_counted(
    opened: Callable[..., Weighable], counted: partial[Cost], *, real: bool
) -> tuple[Weighable, Cost]:
    """A network, and its cost; made with values where they are wanted, or where it could not be counted without."""
    network = opened(real=real)
    try:
        cost = counted(network.model, None if counted.keywords.get("inputs") is not None else network.input_shape)
    except InputError:
        if real or network.name in zoo.names() or not any(p.is_meta for p in network.model.parameters()):
            raise
        return _opened_and_counted(opened, counted, real=True)
    return network, dataclasses.replace(cost, notes=(*network.notes, *cost.notes))


@dataclass(frozen=True, kw_only=True, repr=False)
class Weighed(Summary):
    """A network with all that is known of its cost; milliseconds only where they were asked for or can be predicted."""

    name: str
    cost: Cost
    times: tuple[LayerTime, ...]
    """A row for each of the cost's layers, or none without a machine profile; where the network was measured, times
    the drift of the machine since its profile was made."""
    findings: tuple[Finding, ...]
    timing: Timing | None

    @property
    def predicted_ms(self) -> float | None:
        """The sum of the rows."""
        return sum(row.predicted_ms for row in self.times) if self.times else None

    @property
    def guessed_share(self) -> float:
        """How much of the predicted time is of operators unlike any that was timed."""
        return sum(row.guessed_ms for row in self.times) / self.predicted_ms if self.predicted_ms else 0.0

    @property
    def measured_ms(self) -> float | None:
        return self.timing.median_ms if self.timing else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it: the cost's fields, and what is known beyond them."""
        return {
            "name": self.name,
            **self.cost.to_dict(),
            "predicted_ms": self.predicted_ms,
            "measured_ms": self.measured_ms,
            "times": [asdict(row) for row in self.times],
            "findings": [asdict(finding) for finding in self.findings],
            "timing": asdict(self.timing) if self.timing else None,
        }

    def _facts(self) -> Facts:
        yield "network", self.name
        yield from self.cost._facts()
        for kind, milliseconds in (("predicted", self.predicted_ms), ("measured", self.measured_ms)):
            if milliseconds is not None:
                yield f"{kind} time", f"{number(milliseconds)} ms"
        yield "guideline findings", number(len(self.findings))


def weigh_all(
    names: Sequence[str | os.PathLike[str]],
    input_shape: Sequence[int] | None = None,
    *,
    batch: int = 1,
    stem: zoo.Stem | None = None,
    config: Mapping[str, Any] | None = None,
    training_step: bool = False,
    measure: bool = False,
    repeats: int = 20,
) -> tuple[Weighed, ...]:
    """Weigh several networks alike: predicted where this machine has a profile, with `measure` timed turn by turn.

    A bundle is timed on its own engine, any other network as torch runs it.
    """
    profile = MachineProfile.load()
    missing = () if profile else _unprofiled()
    opened = [partial(open_weighable, name, input_shape, stem=stem, config=config) for name in names]
    counted = partial(count, batch=batch, training_step=training_step)
    both = [_opened_and_counted(one, counted, real=measure) for one in opened]
    networks, costs = [network for network, _ in both], [cost for _, cost in both]
    timings: Sequence[Timing | None] = [None] * len(networks)
    if measure:
        models = [network.timed(batch) if network.timed is not None else network.model for network in networks]
        shapes = [network.input_shape for network in networks]
        timings = time_networks(models, shapes, batch=batch, repeats=repeats, profile=profile)
    return tuple(
        Weighed(
            name=network.name,
            cost=dataclasses.replace(
                found, notes=(*found.notes, *(time_notes(found, profile) if profile else missing))
            ),
            times=_predicted(found, profile, timing) if profile else (),
            findings=lint(found, profile),
            timing=timing,
        )
        for network, found, timing in zip(networks, costs, timings, strict=True)
    )


def _unprofiled() -> tuple[str, ...]:
    """Say why no time is predicted where there are profiles: of other threads, versions or machines."""
    threads = torch.get_num_threads()
    known = [number for number in profiled_threads() if number != threads and not explain_unused(number)]
    reason = explain_unused(threads)
    if known and not reason:
        reason = f"this machine's profiles are for --threads {', '.join(map(str, known))}, not {threads}"
    if not reason:
        return ()
    return (f"no time is predicted: {reason}; `pennyweight bench --machine --threads {threads}` makes one",)


MILLISECONDS = ("predicted_ms", "guessed_ms", "roofline_ms")


def _predicted(cost: Cost, profile: MachineProfile, timing: Timing | None) -> tuple[LayerTime, ...]:
    drift = timing.drift if timing and timing.drift else 1.0
    return tuple(
        dataclasses.replace(row, **{name: drift * getattr(row, name) for name in MILLISECONDS})
        for row in predict(cost, profile)
    )
