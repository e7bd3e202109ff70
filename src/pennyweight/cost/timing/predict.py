"""Predicted milliseconds of a counted network on a profiled machine, layer by layer, and what bounds each."""

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
from pennyweight.cost.timing.agreement import agreement_of, load_now, waited_share, waits
from pennyweight.cost.timing.machine_profile import MachineProfile, learned, profile_now
from pennyweight.cost.timing.microbenchmarks import Case, Microbenchmarks
from pennyweight.cost.timing.operator_kinds import kind_of
from pennyweight.cost.timing.roofline import Limits, measure_limits

__all__ = ["LayerTime", "measure_machine", "operation_seconds", "predict", "profile_of", "time_notes"]

ROUNDS = 8
PRODUCTS, OTHERS = "products", "others"
TIMED = torch.float32
"""What operators are timed with for a profile."""


@dataclass(frozen=True, kw_only=True)
class LayerTime:
    """Of a layer's own operators, in milliseconds."""

    name: str
    predicted_ms: float
    guessed_ms: float
    """Of that, the time of operators whose kind or size is unlike any that was timed: not known, but guessed."""
    roofline_ms: float
    """What the machine's limits would allow at best."""
    bound: str
    """compute, L1, L2, L3, memory or overhead: what holds the larger part of its time."""


def predict(cost: Cost, profile: MachineProfile) -> tuple[LayerTime, ...]:
    """A row for each row of `cost.layers`, in its order; their `predicted_ms` sum to the network's."""
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
    """Return the seconds that operators of its kind and near its size took.

    Beyond the sizes that were timed they follow their growth, and are the roofline's at least. Of a kind that was not
    timed, or at few sizes, they stay as far behind the roofline as such operators do; of an operator that was not
    counted they are what its bytes take at least. In another precision they are those of float32.
    """
    if operation.settings is not None and operation.settings.scattered:
        return _known_seconds(operation, profile) + _known_seconds(_copy_of_input(operation), profile)
    return _known_seconds(operation, profile)


def _copy_of_input(operation: Operation) -> Operation:
    """What the library does before it convolves an image that lies scattered."""
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
    if not _as_timed(operation.dtype):  # its rate alone tells less: light layers take as long in bfloat16
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
    """Return whether the profile knows operators of its kind and near its size."""
    kind = kind_of(operation)
    known = profile.times.get(kind.name)
    return known is not None and not kind.likened and known.reaches(kind.features) and _as_timed(operation.dtype)


def _as_timed(dtype: torch.dtype) -> bool:
    """Whole numbers are taken for what was timed: what little is done with them goes by its bytes."""
    return dtype is TIMED or not (dtype.is_floating_point or dtype.is_complex)


def _in_float32(operation: Operation) -> Operation:
    """The same operator on the same shapes."""
    larger = TIMED.itemsize / operation.dtype.itemsize
    moved = {name: round(larger * getattr(operation, name)) for name in ("bytes_read", "bytes_written")}
    return replace(operation, dtype=TIMED, **moved)


def time_notes(cost: Cost, profile: MachineProfile) -> tuple[str, ...]:
    """Return what is to be known of predicted milliseconds: precision, what was not counted, a doubtful profile."""
    notes = []
    if others := {dtype_name(one.dtype) for one in cost.operations if one.macs and not _as_timed(one.dtype)}:
        names = ", ".join(sorted(others))
        notes.append(f"computes in {names}, which was not timed; the predicted time is that of float32")
    if cost.uncounted:
        names = ", ".join(cost.uncounted)
        notes.append(f"no time is known of {names}: the predicted time holds only the bytes that they move")
    before, now = profile.versions.get("torch"), versions().get("torch")
    if before != now:
        notes.append(f"the profile of this machine was measured with torch {before}, and this is {now}")
    if profile.agreement is not None and not profile.agreement.holds:
        notes.append(f"the machine was busy when its profile was measured: {profile.agreement}")
    return tuple(notes)


def profile_of(
    cases: Sequence[Case], limits: Limits, *, waited: float | None = None, load: float | None = None
) -> MachineProfile:
    """Return what timed microbenchmarks say of this machine, and how well they agree with themselves.

    Of a kind with hardly more sizes than features they say how far it stays behind the limits, and no more. `waited` is
    the share of the time that threads stood in line for a processor, `load` the load average before.
    """
    rows: dict[str, list[tuple[tuple[float, ...], float]]] = {}
    over: dict[str, list[float]] = {}
    for case in cases:
        ratio = case.seconds / limits.seconds(case.operation)
        rows.setdefault(case.kind.name, []).append((case.kind.features, case.seconds))
        for group in (case.kind.name, PRODUCTS if case.operation.macs else OTHERS):
            over.setdefault(group, []).append(ratio)
    few = {kind for kind, measured in rows.items() if len(measured) < len(measured[0][0]) + 2}
    return profile_now(
        limits,
        learned({kind: measured for kind, measured in rows.items() if kind not in few}),
        {kind: statistics.median(over[kind]) for kind in few},
        behind={group: statistics.median(over[group]) for group in (PRODUCTS, OTHERS) if group in over},
        agreement=agreement_of([case.times for case in cases], waited=waited, load=load),
    )


@keeping_memory()
def measure_machine(share: float = 1.0) -> MachineProfile:
    """Measure this machine with torch's present number of threads: a few minutes; `share` below 1 measures less.

    Limits are measured before and after the operators. `agreement` of the profile says whether the machine was quiet.
    """
    load, before, started = load_now(), waits(), time.monotonic()
    limits = measure_limits()
    microbenchmarks = Microbenchmarks(share)
    microbenchmarks.round(keep=False)
    for _ in range(ROUNDS):
        microbenchmarks.round()
    limits = limits.or_better(measure_limits())
    waited = waited_share(before, time.monotonic() - started)
    return profile_of(microbenchmarks.cases, limits, waited=waited, load=load)
