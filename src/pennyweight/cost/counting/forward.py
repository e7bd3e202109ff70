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
from pennyweight.cost.counting.devices import OnMeta, Place
from pennyweight.cost.counting.failures import explain, first_line
from pennyweight.cost.counting.inputs import Given
from pennyweight.cost.counting.meta_copy import Copy, on_fake, on_meta, slow_attention, whole
from pennyweight.cost.counting.operation import Operation
from pennyweight.cost.counting.restore import kept_random_state, untouched
from pennyweight.cost.counting.shapes import Shapes
from pennyweight.cost.counting.state import State
from pennyweight.cost.counting.tracer import Tracer
from pennyweight.cost.counting.traffic import tensors

__all__ = ["Passed", "forward_pass"]

FAKE_NOTE = "does not run on meta tensors; counted with fake tensors of the CPU"
LAZY_NOTE = "its lazy layers took their sizes from this input"
MADE_NOTE = "creates layers in its first call; counted on its second call"
REAL_NOTE = (
    "does not run without values (its control flow or an operator depends on them); "
    "counted on a real forward pass of a copy"
)


@dataclass(frozen=True, kw_only=True)
class Passed:
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
    """Bytes that copies made by convolutions add to the peak: in forward if images are not channels-last, in backward
    if they are."""
    peak_layer: str
    notes: tuple[str, ...]


def forward_pass(model: nn.Module, given: Given, *, backward: bool = False) -> Passed:
    """Call a copy of `model` with the given inputs; `backward` adds a backward pass from all outputs.

    Raises InputError if the model does not take the inputs.
    """
    failures: list[tuple[Exception, Tracer | None]] = []
    with torch.inference_mode(False), slow_attention(), _silent_fakes():
        for make, notes in _ways(model):
            watch = None
            try:
                with kept_random_state():
                    copy, place = make()
                    with nullcontext() if copy.alone else untouched(model):
                        watch = Tracer(copy.module, place)
                        if any(isinstance(module, LazyModuleMixin) for module in watch.modules.values()):
                            _settle_lazy_layers(copy.module, place, given)
                            watch = Tracer(copy.module, place)
                            notes = (*notes, LAZY_NOTE)
                        state = State(watch.modules.values(), values=place.real)
                        _run(watch, given, backward)
                        changed = state.changed
                        if changed and watch.outgrown:  # creating layers is no part of the network's cost
                            copy.module.zero_grad()
                            watch = Tracer(copy.module, place)
                            _run(watch, given, backward)
                            notes = (*notes, MADE_NOTE)
                        elif changed and not backward:
                            notes = (*notes, *_changed(watch, given))
            except PennyweightError:
                raise
            except Exception as error:
                failures.append((error, watch))
            else:
                return _passed(watch, (*given.notes, *given.type_notes(model), *notes, *_unregistered(watch)))
    # The error of a real pass says more about the model than a missing feature of another device.
    cause, ran = failures[-1] if len(failures) == 3 else failures[0]
    raise InputError(explain(str(given), cause, ran.failure if ran else None)) from cause


def _ways(
    model: nn.Module,
) -> Iterator[tuple[Callable[[], tuple[Copy, Place]], tuple[str, ...]]]:
    """Yield functions that make a copy and its device mode, each with its notes, the fastest first."""
    yield lambda: (on_meta(model), OnMeta()), ()
    yield lambda: _among_fakes(model, FakeTensorMode(allow_non_fake_inputs=True)), (FAKE_NOTE,)
    if not any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        yield lambda: (whole(model), Place()), (REAL_NOTE,)


def _among_fakes(model: nn.Module, mode: FakeTensorMode) -> tuple[Copy, Place]:
    return on_fake(model, mode), Place(mode)


def _changed(watch: Tracer, given: Given) -> tuple[str, ...]:
    """Return a note on the cost of the second call of a network that its first call changed, if that cost differs."""
    again = Tracer(watch.model, watch.place)
    try:
        _run(again, given, backward=False)
    except Exception as error:
        return (f"changes itself in its first call, which is counted; its second call fails: {first_line(error)}",)
    first, second = (_sums(one) for one in (watch, again))
    if first == second:
        return ()
    params, macs, ops = second[:3]
    later = f"{macs:,} MACs, {ops:,} operations and {params:,} parameters"
    return (f"changes itself in its first call, which is counted; its second call takes {later}",)


def _unregistered(watch: Tracer) -> tuple[str, ...]:
    """Return a note on weights that are not registered: plain attributes, or constants of a frozen script."""
    numbers = sum(watch.unregistered.values())
    return (f"computes with {numbers:,} numbers that are neither its parameters nor its buffers",) if numbers else ()


def _sums(watch: Tracer) -> tuple[int, ...]:
    parameters = {id(one): one.numel() for held in watch.parameters.values() for one in held if not is_lazy(one)}
    columns = ("macs", "ops", "bytes_read", "bytes_written")
    work = (sum(getattr(operation, column) for operation in watch.operations) for column in columns)
    return sum(parameters.values()), *work, watch.uncounted.total()


def _passed(watch: Tracer, notes: tuple[str, ...]) -> Passed:
    live = watch.liveness
    return Passed(
        modules=watch.modules,
        parameters=watch.parameters,
        buffers=watch.buffers,
        operations=watch.operations,
        uncounted=dict(watch.uncounted),
        shapes=watch.shapes,
        peak_bytes=live.peak_bytes,
        workspace_bytes=max(0, live.peak_with_workspace_bytes - live.peak_bytes),
        peak_layer=watch.peak_module,
        notes=notes,
    )


def _settle_lazy_layers(model: nn.Module, place: Place, given: Given) -> None:
    """Materialize lazy layers in a first pass, because initializing their weights is no part of the cost."""
    with place, torch.no_grad(), suppress(Exception):  # the traced pass raises the same error again
        args, kwargs = given.arguments(model, place)
        model(*args, **kwargs)


def _run(watch: Tracer, given: Given, backward: bool) -> None:
    with ExitStack() as stack:
        # The device mode also covers tensors that forward creates.
        stack.enter_context(watch.place)
        args, kwargs = given.arguments(watch.model, watch.place)
        for context in (torch.set_grad_enabled(backward), watch.tracing(), watch):
            stack.enter_context(context)
        watch.liveness.born((args, list(kwargs.values())))
        out = watch.model(*args, **kwargs)
        if backward:
            _backward(out)


def _backward(out: Any) -> None:
    """Run backward from all outputs with gradients of one, as for a loss that sums them.

    The gradients of the outputs count as memory; the loss itself would be a few bytes.
    """
    ends = [tensor for tensor in _opened(out) if tensor.requires_grad]
    if ends:  # a fully frozen network has no graph
        torch.autograd.backward(ends, [torch.ones_like(tensor) for tensor in ends])


def _opened(out: Any) -> list[Tensor]:
    return tensors(list(out.values()) if isinstance(out, Mapping) else out)


@contextmanager
def _silent_fakes() -> Iterator[None]:
    """Silence the log of fake tensors; our own error message reports their failures once."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
