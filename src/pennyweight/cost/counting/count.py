"""Count a network: run a forward pass without values and sum its operators, module by module."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from operator import add
from typing import Any

import torch
from torch import Tensor, nn

from pennyweight.core.data_frame import data_frame
from pennyweight.core.figures import megabytes, number, shape
from pennyweight.core.summary import Facts, Rows, Summary
from pennyweight.cost.counting.conventions import CONVENTIONS
from pennyweight.cost.counting.forward import ForwardRecord, forward_pass
from pennyweight.cost.counting.inputs import CallInputs, Inputs
from pennyweight.cost.counting.operation import Operation
from pennyweight.cost.counting.shapes import Shapes
from pennyweight.cost.counting.traffic import parts

__all__ = ["Cost", "LayerCost", "count"]


@dataclass(frozen=True, kw_only=True, repr=False)
class LayerCost(Summary):
    """Cost of a module that has parameters or operators of its own. Shapes exclude the batch, work includes it."""

    name: str
    type: str
    input_shape: tuple[int, ...] | None
    output_shape: tuple[int, ...] | None
    """Output shape of its first call. Both shapes are None if its forward never runs."""
    params: int
    """Its own parameters, without those of submodules; shared parameters count in the first module that has them."""
    trainable_params: int
    weight_bytes: int
    macs: int
    ops: int
    bytes_read: int
    bytes_written: int
    uncounted_calls: int
    """Calls of operators without a formula. If there are any, `macs` and `ops` are lower bounds."""

    def _facts(self) -> Facts:
        yield "", f"{self.name} {self.type}".strip()
        yield "", f"{shape(self.input_shape)} to {shape(self.output_shape)}"
        yield "parameters", number(self.params)
        yield "MACs", f"{'≥ ' if self.uncounted_calls else ''}{number(self.macs)}"


@dataclass(frozen=True, kw_only=True, repr=False)
class Cost(Summary):
    """Cost of a network for `batch` inputs: parameters, work, memory traffic, peak memory, layer by layer.

    `macs` are multiply-accumulates of convolutions, linear layers and matrix products, as the papers count them,
    without biases. `ops` is all arithmetic; a multiply-accumulate is two. `bytes_read` and `bytes_written` sum the
    memory traffic of every operator, weights included. `peak_activation_bytes` is the peak of live tensors, with the
    input and without the weights; `peak_layer` is the module that was running then. `workspace_bytes` is what
    convolutions add to that peak if images are not channels-last, because oneDNN copies them. `peak_training_bytes` is
    the peak of a training step (forward, backward, gradients), `training_workspace_bytes` what its gradients add if
    images are channels-last, and `training_macs` the MACs of forward and backward pass; all are None unless
    requested. `weight_bytes` counts parameters, `buffer_bytes` other registered tensors (running statistics,
    tables). `uncounted` maps each operator without a formula to its number of calls. `notes` holds remarks in
    words.
    """

    input_shape: tuple[int, ...]
    batch: int
    params: int
    trainable_params: int
    weight_bytes: int
    buffer_bytes: int
    macs: int
    ops: int
    bytes_read: int
    bytes_written: int
    peak_activation_bytes: int
    workspace_bytes: int
    peak_layer: str
    peak_training_bytes: int | None
    training_workspace_bytes: int | None
    training_macs: int | None
    layers: tuple[LayerCost, ...]
    uncounted: Mapping[str, int]
    notes: tuple[str, ...]
    shapes: Mapping[str, Shapes] = field(repr=False)
    """Module -> input and output shape of its first call, without the batch; not saved."""
    operations: tuple[Operation, ...] = field(repr=False, compare=False)
    """Every operator call in order; not saved."""

    @property
    def arithmetic_intensity(self) -> float:
        """Arithmetic operations per byte moved."""
        return self.ops / max(1, self.bytes_read + self.bytes_written)

    def to_frame(self) -> Any:
        """Return the layers as a pandas DataFrame, with the conventions in its `attrs`.

        Raises:
            MissingPart: pandas is not installed.
        """
        return data_frame(self.layers, conventions=dict(CONVENTIONS))

    def to_dict(self) -> dict[str, Any]:
        """Return the cost as JSON saves it."""
        kept = {name: value for name, value in vars(self).items() if name not in ("operations", "shapes", "layers")}
        return {
            **kept,
            "arithmetic_intensity": self.arithmetic_intensity,
            "uncounted": dict(self.uncounted),
            "conventions": dict(CONVENTIONS),
            "layers": [asdict(layer) for layer in self.layers],
        }

    def _facts(self) -> Facts:
        least = "≥ " if self.uncounted else ""
        yield "input", f"{shape(self.input_shape)}, batch {number(self.batch)}"
        yield "parameters", f"{number(self.params)} ({megabytes(self.weight_bytes)})"
        yield "MACs", least + number(self.macs)
        yield "operations", least + number(self.ops)
        yield "memory traffic", f"{megabytes(self.bytes_read)} read, {megabytes(self.bytes_written)} written"
        yield "peak activations", megabytes(self.peak_activation_bytes)
        if self.peak_training_bytes is not None:
            yield "peak of a training step", megabytes(self.peak_training_bytes)
        if self.training_macs is not None:
            yield "MACs of a training step", least + number(self.training_macs)
        yield "layers", number(len(self.layers))
        for name, times in list(self.uncounted.items())[:1]:
            others = len(self.uncounted) - 1
            yield "uncounted operators", f"{name} {number(times)} times{f' and {number(others)} more' * bool(others)}"


@contextmanager
def _without_collector() -> Iterator[None]:
    """Pause Python's garbage collector, which would scan all of torch several times during a count."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@_without_collector()
def count(
    model: nn.Module,
    input_shape: Sequence[int] | None = None,
    *,
    batch: int = 1,
    inputs: Inputs | None = None,
    training_step: bool = False,
) -> Cost:
    """Count a forward pass of `model` in its own mode (train or eval); nothing is allocated.

    The model stays unchanged: a copy runs on the meta device, else with fake tensors, else with real values; `notes`
    says which.

    Args:
        model: Any module.
        input_shape: Shape of one input without the batch, such as (3, 224, 224).
        batch: Inputs per call.
        inputs: Call arguments instead of a shape: a tensor, a tuple by position or a dictionary by name, on the meta
            device or with values. Values matter only for a network that depends on them. The batch is the first
            dimension of the first tensor.
        training_step: Also follow the memory and the MACs of a forward and backward pass.

    Returns:
        The cost of one call with the whole batch.

    Raises:
        InputError: The model does not take the input. The message names the module that failed, its input and its
            error.
    """
    given = CallInputs.of(input_shape, batch, inputs)
    passed = forward_pass(model, given)
    layers = Rows(_layer_rows(passed))
    totals = {name: sum(getattr(layer, name) for layer in layers) for name in SUMS}
    step = forward_pass(model, given, backward=True) if training_step else None
    return Cost(
        input_shape=given.sizes[1:],
        batch=next(iter(given.sizes), 1),
        **totals,
        buffer_bytes=sum(part.nbytes for buffer in _unique_buffers(passed) for part in parts(buffer)),
        peak_activation_bytes=passed.peak_bytes,
        workspace_bytes=passed.workspace_bytes,
        peak_layer=passed.peak_layer,
        peak_training_bytes=step.peak_bytes if step else None,
        training_workspace_bytes=step.workspace_bytes if step else None,
        training_macs=sum(operation.macs for operation in step.operations) if step else None,
        layers=layers,
        uncounted=passed.uncounted,
        notes=(*passed.notes, *_packed_note(passed)),
        shapes=passed.shapes,
        operations=Rows(passed.operations),
    )


SUMS = ("params", "trainable_params", "weight_bytes", "macs", "ops", "bytes_read", "bytes_written")
"""Columns of a layer's row that sum to the network's total."""


def _unique_buffers(passed: ForwardRecord) -> Collection[Tensor]:
    """Return each buffer once."""
    return {id(one): one for held in passed.buffers.values() for one in held}.values()


def _packed_note(passed: ForwardRecord) -> tuple[str, ...]:
    """Return a note on weights packed in torch's script objects, as in quantized layers; they cannot be counted."""
    if not any(name.startswith("quantized.") for name in passed.uncounted):
        return ()
    held = [vars(module).values() for module in passed.modules.values()]
    packed = sum(any(type(value) is torch.ScriptObject for value in values) for values in held)
    layers = f"{packed} layer{'s keep their' if packed > 1 else ' keeps its'} weights"
    return (f"{layers} packed: they are not parameters, and the weights' bytes exclude them",) if packed else ()


def _layer_rows(
    passed: ForwardRecord,
) -> list[LayerCost]:
    """Return a row for each module with parameters or operators of its own; the rows sum to the totals."""
    work: dict[str, tuple[int, ...]] = {}
    for operation in passed.operations:
        done = work.get(operation.module)
        now = (
            operation.macs,
            operation.ops,
            operation.bytes_read,
            operation.bytes_written,
            int(not operation.counted),
        )
        work[operation.module] = now if done is None else tuple(map(add, done, now))
    rows = []
    counted: set[int] = set()
    for name, module in passed.modules.items():
        done = work.get(name)
        if done is None and not passed.parameters[name]:
            continue
        own = {id(one): one for one in passed.parameters[name] if id(one) not in counted}
        if own or done is not None:
            counted.update(own)
            before, after = passed.shapes.get(name, (None, None))
            macs, ops, bytes_read, bytes_written, uncounted_calls = done or (0, 0, 0, 0, 0)
            params = trainable_params = weight_bytes = 0
            for parameter in own.values():
                size = parameter.numel()
                params += size
                trainable_params += size if parameter.requires_grad else 0
                weight_bytes += sum(part.nbytes for part in parts(parameter))
            rows.append(
                LayerCost(
                    name=name,
                    type=type(module).__name__,
                    input_shape=before,
                    output_shape=after,
                    params=params,
                    trainable_params=trainable_params,
                    weight_bytes=weight_bytes,
                    macs=macs,
                    ops=ops,
                    bytes_read=bytes_read,
                    bytes_written=bytes_written,
                    uncounted_calls=uncounted_calls,
                )
            )
    return rows
