"""Predict a counted network's milliseconds on a profiled machine, layer by layer, with the bound of each layer."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from pennyweight.core.heap import keeping_memory
from pennyweight.core.machine import versions
from pennyweight.cost.counting.count import Cost
from pennyweight.cost.counting.operation import Operation
from pennyweight.cost.counting.traffic import dtype_name
from pennyweight.cost.timing.agreement import agreement_of, load_average, thread_waits, waited_share
from pennyweight.cost.timing.machine_profile import MachineProfile, fit_operator_times, make_profile
from pennyweight.cost.timing.microbenchmarks import Case, Microbenchmarks
from pennyweight.cost.timing.operator_kinds import kind_of
from pennyweight.cost.timing.roofline import Limits, measure_limits

__all__ = ["LayerTime", "build_profile", "measure_machine", "operation_seconds", "predict", "time_notes"]

ROUNDS = 8
PRODUCTS, OTHERS = "products", "others"
TIMED = torch.float32
"""Type of numbers in which a profile's operators are timed."""


@dataclass(frozen=True, kw_only=True)
class LayerTime:
    """Predicted time of a layer's own operators, in milliseconds."""

    name: str
    predicted_ms: float
    guessed_ms: float
    """Share of `predicted_ms` that is an estimate: operators of a kind or size outside the measured range."""
    roofline_ms: float
    """Least time that the machine's limits allow."""
    bound: str
    """Limit with the largest share of the layer's time: compute, L1, L2, L3, memory or overhead."""


def predict(cost: Cost, profile: MachineProfile) -> tuple[LayerTime, ...]:
    """Predict the time of each layer on a machine.

    Args:
        cost: Counted network.
        profile: Machine profile, from `MachineProfile.load` or `measure_machine`.

    Returns:
        A row for each row of `cost.layers`, in their order; `predicted_ms` sums to the network's latency.
    """
    sums: dict[str, list[float]] = {layer.name: [0.0, 0.0, 0.0] for layer in cost.layers}
    bounds: dict[str, dict[str, float]] = {layer.name: {} for layer in cost.layers}
    for operation in cost.operations:
        seconds = operation_seconds(operation, profile)
        sums[operation.module][0] += seconds
        sums[operation.module][1] += 0.0 if _timed(operation, profile) else seconds
        sums[operation.module][2] += profile.limits.seconds(operation)
        bound = profile.limits.bound(operation)
        bounds[operation.module][bound] = bounds[operation.module].get(bound, 0.0) + seconds
    return tuple(
        LayerTime(
            name=name,
            predicted_ms=1000 * seconds,
            guessed_ms=1000 * guessed,
            roofline_ms=1000 * floor,
            bound=max(bounds[name], key=lambda bound: bounds[name][bound], default=""),
        )
        for name, (seconds, guessed, floor) in sums.items()
    )


def operation_seconds(operation: Operation, profile: MachineProfile) -> float:
    """Return the time of one operation, from measurements of its kind near its size.

    Outside the measured sizes the time follows their growth and is at least the roofline's. An operator whose kind was
    not timed, or at few sizes, is as far from its roofline as such operators are. An uncounted operator costs at least
    the transfer of its bytes. Other precisions are predicted as float32.
    """
    if operation.settings is not None and operation.settings.scattered:
        return _known_seconds(operation, profile) + _known_seconds(_copy_of_input(operation), profile)
    return _known_seconds(operation, profile)


def _copy_of_input(operation: Operation) -> Operation:
    """Return the copy that the library makes before it convolves a non-contiguous image."""
    shape = operation.inputs[0]
    size = operation.dtype.itemsize * math.prod(shape)
    return replace(
        operation,
        name="clone",
        macs=0,
        ops=0,
        bytes_read=size,
        bytes_written=size,
        inputs=(shape,),
        output=shape,
        settings=None,
    )


def _known_seconds(operation: Operation, profile: MachineProfile) -> float:
    if not _as_timed(operation.dtype):  # its throughput says less: light layers take as long in bfloat16
        return _known_seconds(_in_float32(operation), profile)
    kind = kind_of(operation)
    known = profile.times.get(kind.name)
    floor = profile.limits.seconds(operation)
    if not operation.counted:
        return floor
    if known is None:
        usual = profile.behind.get(PRODUCTS if operation.macs else OTHERS, 1.0)
        return floor * profile.factors.get(kind.name, usual)
    seconds = math.exp(known(kind.features))
    return seconds if known.reaches(kind.features) else max(seconds, floor)


def _timed(operation: Operation, profile: MachineProfile) -> bool:
    """Return whether the profile has measurements of the operation's kind near its size."""
    kind = kind_of(operation)
    known = profile.times.get(kind.name)
    return known is not None and not kind.likened and known.reaches(kind.features) and _as_timed(operation.dtype)


def _as_timed(dtype: torch.dtype) -> bool:
    """Return whether a dtype is predicted directly; integers are, because their little work follows their bytes."""
    return dtype is TIMED or not (dtype.is_floating_point or dtype.is_complex)


def _in_float32(operation: Operation) -> Operation:
    """Return the same operation on the same shapes in float32."""
    larger = TIMED.itemsize / operation.dtype.itemsize
    moved = {name: round(larger * getattr(operation, name)) for name in ("bytes_read", "bytes_written")}
    return replace(operation, dtype=TIMED, **moved)


def time_notes(cost: Cost, profile: MachineProfile) -> tuple[str, ...]:
    """Return notes on predicted milliseconds: other precisions, uncounted operators, a profile of a busy machine."""
    notes = []
    if others := {dtype_name(one.dtype) for one in cost.operations if one.macs and not _as_timed(one.dtype)}:
        names = ", ".join(sorted(others))
        notes.append(f"computes in {names}, which was not timed; the predicted time is that of float32")
    if cost.uncounted:
        names = ", ".join(cost.uncounted)
        notes.append(f"no timing exists for {names}: the predicted time includes only the bytes that they move")
    before, now = profile.versions.get("torch"), versions().get("torch")
    if before != now:
        notes.append(f"the profile of this machine was measured with torch {before}, and this is {now}")
    if profile.agreement is not None and not profile.agreement.holds:
        notes.append(f"the machine was busy when its profile was measured: {profile.agreement}")
    return tuple(notes)


def build_profile(
    cases: Sequence[Case], limits: Limits, *, waited: float | None = None, load: float | None = None
) -> MachineProfile:
    """Build a machine profile from timed microbenchmarks, with their agreement.

    A kind with hardly more sizes than features gets one factor over the limits and no regression. `waited` is the share
    of the time that threads waited for a processor, `load` the load average at the start.
    """
    rows: dict[str, list[tuple[tuple[float, ...], float]]] = {}
    over: dict[str, list[float]] = {}
    for case in cases:
        ratio = case.seconds / limits.seconds(case.operation)
        rows.setdefault(case.kind.name, []).append((case.kind.features, case.seconds))
        for group in (case.kind.name, PRODUCTS if case.operation.macs else OTHERS):
            over.setdefault(group, []).append(ratio)
    few = {kind for kind, measured in rows.items() if len(measured) < len(measured[0][0]) + 2}
    return make_profile(
        limits,
        fit_operator_times({kind: measured for kind, measured in rows.items() if kind not in few}),
        {kind: statistics.median(over[kind]) for kind in few},
        behind={group: statistics.median(over[group]) for group in (PRODUCTS, OTHERS) if group in over},
        agreement=agreement_of([case.times for case in cases], waited=waited, load=load),
    )


@keeping_memory()
def measure_machine(share: float = 1.0) -> MachineProfile:
    """Measure this machine at torch's current number of threads; takes a few minutes.

    The roofline limits are measured before and after the operators. The profile's `agreement` holds if the machine was
    idle.

    Args:
        share: Share of the microbenchmarks to run; below 1 it is faster and less exact.
    """
    load, before, started = load_average(), thread_waits(), time.monotonic()
    limits = measure_limits()
    microbenchmarks = Microbenchmarks(share)
    microbenchmarks.round(keep=False)
    for _ in range(ROUNDS):
        microbenchmarks.round()
    limits = limits.or_better(measure_limits())
    waited = waited_share(before, time.monotonic() - started)
    return build_profile(microbenchmarks.cases, limits, waited=waited, load=load)
