"""Linter for ShuffleNetV2's four guidelines: each layer's distance from the best form, its cost, and a remedy.

Ma et al. 2018, arXiv:1807.11164, Sec. 2. The cost of a finding compares a layer with the same multiply-accumulates in
the guideline's best form: memory traffic, and predicted milliseconds on a profiled machine.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod, sqrt

from pennyweight.cost.branches import Fragmented, find_fragmented
from pennyweight.cost.counting.count import Cost
from pennyweight.cost.counting.operation import Operation, Settings
from pennyweight.cost.timing.machine_profile import MachineProfile
from pennyweight.cost.timing.operator_kinds import kind_of
from pennyweight.cost.timing.predict import operation_seconds

__all__ = ["FOUND", "Finding", "lint"]

FOUND: Mapping[str, str] = {
    "G1": "ratio of the wider to the narrower width",
    "G2": "groups",
    "G3": "parallel convolutions",
    "G4": "element-wise share of the bytes",
}
"""Guideline -> quantity measured for a layer or block."""

UNEQUAL = 2.0  # widths that differ less are left alone; our choice, the paper gives no limit
ELEMENTWISE_SHARE = 0.25  # of a block's bytes
ACTIVATIONS = frozenset({"relu", "sigmoid", "silu", "gelu", "hardswish"})
CHANGES: tuple[tuple[str, Callable[[Operation], bool]], ...] = (
    ("fold norms into convolutions (export does)", lambda o: kind_of(o).name == "batch norm"),
    ("work in place", lambda o: kind_of(o).name in ACTIVATIONS and not o.name.endswith("_")),
)
"""Remedies for heavy element-wise work, and a test for the operators they help."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Violation of a guideline by a layer or block."""

    guideline: str
    """Guideline, G1 to G4."""
    name: str
    """Path of the layer; for G3 and G4, of the block."""
    found: float
    """Value of the quantity that `FOUND` names for the guideline."""
    best: float
    """Value of that quantity in the best form."""
    extra_bytes: int
    """Memory traffic beyond the best form, in bytes."""
    extra_ms: float | None
    """Predicted milliseconds beyond the best form; None without a machine profile."""
    advice: str


def lint(cost: Cost, profile: MachineProfile | None = None) -> tuple[Finding, ...]:
    """Return the layers and blocks that break a guideline, the costliest first.

    Args:
        cost: Counted network.
        profile: Machine profile for predicted milliseconds; without one, findings are sorted by bytes.
    """
    findings = [finding for operation in cost.operations for finding in _check_convolution(operation, profile)]
    findings += [_report_fragments(block, profile) for block in find_fragmented(cost.operations)]
    blocks: dict[str, list[Operation]] = {}
    for operation in cost.operations:
        blocks.setdefault(operation.module.rpartition(".")[0], []).append(operation)
    for name, operations in blocks.items():
        findings += _check_block(name, operations, profile)
    return tuple(sorted(findings, key=lambda f: (-(f.extra_ms or 0.0), -f.extra_bytes)))


def _check_convolution(operation: Operation, profile: MachineProfile | None) -> Iterator[Finding]:
    """Check G1 for a 1×1 convolution and G2 for a grouped one."""
    settings = operation.settings
    if settings is None:
        return
    kind = kind_of(operation).name
    groups = settings.groups
    c_in, c_out = operation.inputs[0][1], operation.output[1]
    if kind == "pointwise" and max(c_in, c_out) >= UNEQUAL * min(c_in, c_out) and prod(operation.output[2:]) > 1:
        even = max(1, round(sqrt(c_in * c_out)))
        advice = f"{even} channels in and out instead of {c_in} and {c_out} cost the same MACs"
        found = max(c_in, c_out) / min(c_in, c_out)
        yield _finding("G1", operation, found, _with_widths(operation, settings, even, even, 1), profile, advice)
    if kind == "grouped":
        narrow_in, narrow_out = (max(1, round(width / sqrt(groups))) for width in (c_in, c_out))
        advice = f"1 group of {narrow_in} to {narrow_out} channels costs the MACs of {groups} groups of this width"
        better = _with_widths(operation, settings, narrow_in, narrow_out, 1)
        yield _finding("G2", operation, float(groups), better, profile, advice)


def _report_fragments(block: Fragmented, profile: MachineProfile | None) -> Finding:
    """Report a fragmented block (G3)."""
    return Finding(
        guideline="G3",
        name=block.name,
        found=float(block.parallel),
        best=1.0,
        extra_bytes=block.reread_bytes,
        extra_ms=None if profile is None else 1000 * block.spare_calls * profile.limits.overhead_s,
        advice=f"{block.parallel} parallel convolutions, {block.convolutions} in the block; "
        "fewer, wider convolutions keep the cores busier",
    )


def _check_block(name: str, operations: Sequence[Operation], profile: MachineProfile | None) -> Iterator[Finding]:
    """Check G4: the share of element-wise operators in a block's memory traffic."""
    convolutions = [operation for operation in operations if operation.name == "convolution"]
    light = [operation for operation in operations if operation.counted and not operation.macs]
    light_bytes = sum(operation.bytes_read + operation.bytes_written for operation in light)
    all_bytes = sum(operation.bytes_read + operation.bytes_written for operation in operations)
    if convolutions and light_bytes > ELEMENTWISE_SHARE * all_bytes:
        names = ", ".join(dict.fromkeys(kind_of(operation).name for operation in light))
        changes = [change for change, helps in CHANGES if any(map(helps, light))]
        yield Finding(
            guideline="G4",
            name=name,
            found=light_bytes / all_bytes,
            best=0.0,
            extra_bytes=light_bytes,
            extra_ms=None if profile is None else 1000 * sum(operation_seconds(o, profile) for o in light),
            advice=f"{names}: {', '.join(changes)}{', or ' if changes else ''}leave some out",
        )


def _finding(
    guideline: str,
    operation: Operation,
    found: float,
    better: Operation,
    profile: MachineProfile | None,
    advice: str,
) -> Finding:
    now, then = (each.bytes_read + each.bytes_written for each in (operation, better))
    lost = None
    if profile is not None:
        lost = 1000 * (operation_seconds(operation, profile) - operation_seconds(better, profile))
    return Finding(
        guideline=guideline,
        name=operation.module,
        found=found,
        best=1.0,
        extra_bytes=max(0, now - then),
        extra_ms=None if lost is None else max(0.0, lost),
        advice=advice,
    )


def _with_widths(operation: Operation, settings: Settings, c_in: int, c_out: int, groups: int) -> Operation:
    """Return a convolution like `operation` with other channels and groups, at the same H and W, with its new costs."""
    x, weight = operation.inputs[:2]
    size = operation.dtype.itemsize
    x, weight = (x[0], c_in, *x[2:]), (c_out, c_in // groups, *weight[2:])
    output = (operation.output[0], c_out, *operation.output[2:])
    macs = prod(output) * prod(weight[1:])
    return dataclasses.replace(
        operation,
        inputs=(x, weight),
        output=output,
        macs=macs,
        ops=2 * macs,
        bytes_read=size * (prod(x) + prod(weight)),
        bytes_written=size * prod(output),
        settings=settings._replace(groups=groups),
    )
