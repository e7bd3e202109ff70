"""`weigh`: the costs of networks, counted; and milliseconds, predicted or measured."""

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
from pennyweight.core.errors import InputError, PennyweightError
from pennyweight.core.figures import number
from pennyweight.core.frame import as_size
from pennyweight.core.summary import Facts, Summary
from pennyweight.cost import Cost, Finding, LayerTime, MachineProfile, Timing, count, lint, predict, time_networks
from pennyweight.cost.counting.inputs import CallInputs, Inputs
from pennyweight.cost.timing.machine_profile import explain_unused, profiled_threads
from pennyweight.cost.timing.predict import time_notes
from pennyweight.search.published import published_top1
from pennyweight.verbs.network_patterns import expand_patterns
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
    """Count the costs of a network: parameters, MACs, memory traffic and peak memory of activations.

    Args:
        model_or_name: Module, which needs its input shape and is counted in its own mode; a name for `pw.create`,
            `torchvision:NAME` or `timm:NAME`; a Run or its folder; a Bundle or its file; or `module.path:callable`,
            which needs its input shape. All but modules are counted in eval mode.
        input_shape: Shape (C, H, W) of one input; by default the published one, or 32 pixels a side with stem "cifar".
        batch: Inputs in a batch.
        stem: "imagenet" or "cifar", for a name.
        config: Fields of the network's Config, for a name.
        inputs: Inputs of a module that a shape does not describe, with the batch: a tensor, a tuple by position or a
            dictionary by name; tensors on the meta device suffice.
        training_step: Count the memory of a forward and backward pass as well.

    Returns:
        The cost, with `layers` that add up to it, and `uncounted` operators.

    Raises:
        InputError: There is no network of that name, or it does not take that input.
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
    """Open a network and count it: with values where `real`, or where it cannot be counted without them."""
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
    """Network with its cost, the milliseconds that were predicted or measured, and its findings."""

    name: str
    cost: Cost
    times: tuple[LayerTime, ...]
    """Predicted times of the cost's layers; none without a machine profile. For a network that was measured, they are
    multiplied by the drift of the machine since its profile was made."""
    findings: tuple[Finding, ...]
    timing: Timing | None
    published_top1: float | None = None
    """Published top-1 accuracy on ImageNet in %, at this input; None where none was published."""

    @property
    def predicted_ms(self) -> float | None:
        """Sum of the predicted times of the layers in ms."""
        return sum(row.predicted_ms for row in self.times) if self.times else None

    @property
    def guessed_share(self) -> float:
        """Share (0 to 1) of the predicted time that is an estimate: its operators lie outside the measured range."""
        return sum(row.guessed_ms for row in self.times) / self.predicted_ms if self.predicted_ms else 0.0

    @property
    def measured_ms(self) -> float | None:
        """Median measured time in ms; None where the network was not measured."""
        return self.timing.median_ms if self.timing else None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON keeps them: those of the cost, then times, findings and timing."""
        return {
            "name": self.name,
            "published_top1": self.published_top1,
            **self.cost.to_dict(),
            "predicted_ms": self.predicted_ms,
            "guessed_share": self.guessed_share if self.times else None,
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
    failed: Callable[[str, PennyweightError], None] | None = None,
) -> tuple[Weighed, ...]:
    """Count the costs of several networks alike; predict their milliseconds where this machine has a profile.

    A bundle is timed on its own engine, any other network as torch runs it.

    Args:
        names: Networks as `pw.weigh` takes them, without modules; and patterns such as `mobilenet_v2*` or
            `timm:resnet*`, each of which stands for the networks that `pw.names` lists.
        input_shape: Shape (C, H, W) of one input; by default the published one of each.
        batch: Inputs in a batch.
        stem: "imagenet" or "cifar", for names.
        config: Fields of the networks' Config, for names.
        training_step: Count the memory and the MACs of a forward and backward pass as well.
        measure: Run the networks on this machine and time them in turns.
        repeats: Timed runs of each network with `measure`.
        failed: Callback that is given the name and the error of a network that cannot be weighed, which is then left
            out; None raises the error.

    Returns:
        For each network its `cost`, `predicted_ms`, `measured_ms`, `published_top1`, and `findings` against
        ShuffleNetV2's guidelines.

    Raises:
        InputError: There is no network of one of the names, or it does not take that input; or no network matches a
            pattern.
    """
    profile = MachineProfile.load()
    counted = partial(count, batch=batch, training_step=training_step)
    both = []
    for name in expand_patterns(names):
        opened = partial(open_weighable, name, input_shape, stem=stem, config=config)
        try:
            network, cost = _opened_and_counted(opened, counted, real=measure)
        except PennyweightError as error:
            if failed is None:
                raise
            failed(os.fspath(name), error)
            continue
        both.append((network if measure else dataclasses.replace(network, model=nn.Identity()), cost))
    timings: Sequence[Timing | None] = [None] * len(both)
    if measure and both:
        models = [network.timed(batch) if network.timed is not None else network.model for network, _ in both]
        shapes = [network.input_shape for network, _ in both]
        timings = time_networks(models, shapes, batch=batch, repeats=repeats, profile=profile)
    return tuple(
        _weighed(network, cost, timing, profile, _published(network, stem, config))
        for (network, cost), timing in zip(both, timings, strict=True)
    )


def _weighed(
    network: Weighable, cost: Cost, timing: Timing | None, profile: MachineProfile | None, top1: float | None
) -> Weighed:
    """Return a counted network with its predicted times, notes and findings."""
    notes = time_notes(cost, profile) if profile else _unprofiled()
    return Weighed(
        name=network.name,
        cost=dataclasses.replace(cost, notes=(*cost.notes, *notes)),
        times=_predicted(cost, profile, timing) if profile else (),
        findings=lint(cost, profile),
        timing=timing,
        published_top1=top1,
    )


def _published(network: Weighable, stem: zoo.Stem | None, config: Mapping[str, Any] | None) -> float | None:
    """Return the published accuracy of a network by name at its input; None for a run, a bundle or another form."""
    name, sides = network.name, network.input_shape
    if not network.is_named:
        return None
    usual = zoo.form(name)
    if len(sides) != 3 or sides[1] != sides[2] or sides[0] != usual.input_shape[0] or stem not in (None, usual.stem):
        return None
    return published_top1(name, zoo.settle(name, config or {}, size=as_size(sides[1:])) if config else {}, sides[-1])


def _unprofiled() -> tuple[str, ...]:
    """Return a note where this machine has profiles, but none that fits: other threads, versions or machines."""
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
