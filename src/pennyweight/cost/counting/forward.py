"""Run a forward pass through a copy of a model: on the meta device, else with fake tensors, else with real ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

from pennyweight.core.errors import InputError, PennyweightError
from pennyweight.cost.counting.devices import DeviceMode, MetaDeviceMode
from pennyweight.cost.counting.failures import explain, first_line
from pennyweight.cost.counting.inputs import CallInputs
from pennyweight.cost.counting.meta_copy import (
    Copy,
    copy_to_fake,
    copy_to_meta,
    copy_with_values,
    disable_attention_fastpath,
)
from pennyweight.cost.counting.operation import Operation
from pennyweight.cost.counting.restore import preserve_random_state, restore_on_exit
from pennyweight.cost.counting.shapes import Shapes
from pennyweight.cost.counting.state import State
from pennyweight.cost.counting.tracer import Tracer
from pennyweight.cost.counting.traffic import tensors

__all__ = ["ForwardRecord", "forward_pass"]

FAKE_NOTE = "does not run on meta tensors; counted with fake tensors of the CPU"
LAZY_NOTE = "its lazy layers took their sizes from this input"
MADE_NOTE = "creates layers in its first call; counted on its second call"
REAL_NOTE = (
    "does not run without values (its control flow or an operator depends on them); "
    "counted on a real forward pass of a copy"
)


@dataclass(frozen=True, kw_only=True)
class ForwardRecord:
    """Record of a forward pass, or of a forward and backward pass."""

    modules: Mapping[str, nn.Module]
    """Modules of the copy that ran, by name."""
    parameters: Mapping[str, Sequence[Tensor]]
    """Module -> its own parameters before the pass; likewise `buffers`."""
    buffers: Mapping[str, Sequence[Tensor]]
    operations: Sequence[Operation]
    uncounted: Mapping[str, int]
    shapes: Mapping[str, Shapes]
    peak_bytes: int
    workspace_bytes: int
    """Bytes that convolutions' copies add to the peak.

    In forward they occur if images are not channels-last, in backward if they are.
    """
    peak_layer: str
    notes: tuple[str, ...]


def forward_pass(model: nn.Module, given: CallInputs, *, backward: bool = False) -> ForwardRecord:
    """Call a copy of `model` with the given inputs; `backward` adds a backward pass from all outputs.

    Raises InputError if the model does not take the inputs.
    """
    # An operator would load it during the first pass, and its loading keeps the tensors of its callers alive.
    import torch._dynamo

    failures: list[tuple[Exception, Tracer | None]] = []
    with torch.inference_mode(False), disable_attention_fastpath(), _silence_fake_tensor_log():
        for make, notes in _attempts(model):
            tracer = None
            try:
                with preserve_random_state():
                    copy, device_mode = make()
                    with nullcontext() if copy.alone else restore_on_exit(model):
                        tracer = Tracer(copy.module, device_mode)
                        if any(isinstance(module, LazyModuleMixin) for module in tracer.modules.values()):
                            _settle_lazy_layers(copy.module, device_mode, given)
                            tracer = Tracer(copy.module, device_mode)
                            notes = (*notes, LAZY_NOTE)
                        state = State(tracer.modules.values(), values=device_mode.real)
                        _run(tracer, given, backward)
                        changed = state.changed
                        if changed and tracer.has_new_layers:  # creating layers is no part of the network's cost
                            copy.module.zero_grad()
                            tracer = Tracer(copy.module, device_mode)
                            _run(tracer, given, backward)
                            notes = (*notes, MADE_NOTE)
                        elif changed and not backward:
                            notes = (*notes, *_second_call_notes(tracer, given))
            except PennyweightError:
                raise
            except Exception as error:
                failures.append((error, tracer))
            else:
                return _forward_record(
                    tracer, (*given.notes, *given.dtype_notes(model), *notes, *_unregistered_notes(tracer))
                )
    # The error of a real pass says more about the model than a missing feature of another device.
    cause, ran = failures[-1] if len(failures) == 3 else failures[0]
    raise InputError(explain(str(given), cause, ran.failure if ran else None)) from cause


def _attempts(
    model: nn.Module,
) -> Iterator[tuple[Callable[[], tuple[Copy, DeviceMode]], tuple[str, ...]]]:
    """Yield functions that make a copy and its device mode, each with its notes, the fastest first."""
    yield lambda: (copy_to_meta(model), MetaDeviceMode()), ()
    yield lambda: _on_fake(model, FakeTensorMode(allow_non_fake_inputs=True)), (FAKE_NOTE,)
    if not any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        yield lambda: (copy_with_values(model), DeviceMode()), (REAL_NOTE,)


def _on_fake(model: nn.Module, mode: FakeTensorMode) -> tuple[Copy, DeviceMode]:
    return copy_to_fake(model, mode), DeviceMode(mode)


def _second_call_notes(tracer: Tracer, given: CallInputs) -> tuple[str, ...]:
    """Return a note on the cost of the second call of a network that its first call changed, if that cost differs."""
    again = Tracer(tracer.model, tracer.device_mode)
    try:
        _run(again, given, backward=False)
    except Exception as error:
        return (f"changes itself in its first call, which is counted; its second call fails: {first_line(error)}",)
    first, second = (_totals(one) for one in (tracer, again))
    if first == second:
        return ()
    params, macs, ops = second[:3]
    later = f"{macs:,} MACs, {ops:,} operations and {params:,} parameters"
    return (f"changes itself in its first call, which is counted; its second call takes {later}",)


def _unregistered_notes(tracer: Tracer) -> tuple[str, ...]:
    """Return a note on weights that are not registered: plain attributes, or constants of a frozen script."""
    numbers = sum(tracer.unregistered.values())
    return (f"computes with {numbers:,} numbers that are neither its parameters nor its buffers",) if numbers else ()


def _totals(tracer: Tracer) -> tuple[int, ...]:
    parameters = {id(one): one.numel() for held in tracer.parameters.values() for one in held if not is_lazy(one)}
    columns = ("macs", "ops", "bytes_read", "bytes_written")
    work = (sum(getattr(operation, column) for operation in tracer.operations) for column in columns)
    return sum(parameters.values()), *work, tracer.uncounted.total()


def _forward_record(tracer: Tracer, notes: tuple[str, ...]) -> ForwardRecord:
    live = tracer.liveness
    return ForwardRecord(
        modules=tracer.modules,
        parameters=tracer.parameters,
        buffers=tracer.buffers,
        operations=tracer.operations,
        uncounted=dict(tracer.uncounted),
        shapes=tracer.shapes,
        peak_bytes=live.peak_bytes,
        workspace_bytes=max(0, live.peak_with_workspace_bytes - live.peak_bytes),
        peak_layer=tracer.peak_module,
        notes=notes,
    )


def _settle_lazy_layers(model: nn.Module, device_mode: DeviceMode, given: CallInputs) -> None:
    """Materialize lazy layers in a first pass, because initializing their weights is no part of the cost."""
    with device_mode, torch.no_grad(), suppress(Exception):  # the traced pass raises the same error again
        args, kwargs = given.arguments(model, device_mode)
        model(*args, **kwargs)


def _run(tracer: Tracer, given: CallInputs, backward: bool) -> None:
    with ExitStack() as stack:
        # The device mode also covers tensors that forward creates.
        stack.enter_context(tracer.device_mode)
        args, kwargs = given.arguments(tracer.model, tracer.device_mode)
        for context in (torch.set_grad_enabled(backward), tracer.tracing(), tracer):
            stack.enter_context(context)
        tracer.liveness.track((args, list(kwargs.values())))
        out = tracer.model(*args, **kwargs)
        if backward:
            _backward(out)


def _backward(out: Any) -> None:
    """Run backward from all outputs with gradients of one, as for a loss that sums them.

    The gradients of the outputs count as memory; the loss itself would be a few bytes.
    """
    ends = [tensor for tensor in _output_tensors(out) if tensor.requires_grad]
    if ends:  # a fully frozen network has no graph
        torch.autograd.backward(ends, [torch.ones_like(tensor) for tensor in ends])


def _output_tensors(out: Any) -> list[Tensor]:
    return tensors(list(out.values()) if isinstance(out, Mapping) else out)


@contextmanager
def _silence_fake_tensor_log() -> Iterator[None]:
    """Silence the log of fake tensors; our own error message reports their failures once."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
