"""The roofline: what a machine cannot exceed, measured, and which of its limits holds an operator.

Williams, Waterman and Patterson 2009, "Roofline: an insightful visual performance model". A line for each level of
memory: a working set is served by the smallest level that holds it.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pennyweight.cost.counting.operation import Operation
from pennyweight.cost.counting.traffic import dtype_name

__all__ = ["Limits", "measure_limits"]

SIDE = 1024
"""Of the square matrices whose product shows the peak rate."""
REPEATS = 9
WARM_UP = 2
ENOUGH_S = 4.0
DEFAULT_LEVELS = {"L1": 32 << 10, "L2": 512 << 10, "L3": 8 << 20}
MEMORY = "memory"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Peak rates, bandwidth and overhead with so many threads."""

    macs_per_s: Mapping[str, float]
    """float32, bfloat16, int8 -> multiply-accumulates a second."""
    bytes_per_s: Mapping[str, float]
    """L1, L2, L3, memory -> bytes a second, read and written together."""
    level_bytes: Mapping[str, int]
    """L1, L2, L3 -> size; what is larger than all lies in memory."""
    overhead_s: float
    """Of calling a layer that does nothing to speak of."""

    def level(self, working_set_bytes: int) -> str:
        """The smallest level that holds so much."""
        return next((name for name, size in self.level_bytes.items() if working_set_bytes <= size), MEMORY)

    def parts(self, operation: Operation) -> dict[str, float]:
        """Seconds that each limit asks for: "compute", a level of memory, "overhead".

        What computes with numbers whose rate was not measured does so at that of float32.
        """
        moved = operation.bytes_read + operation.bytes_written
        level = self.level(moved)
        # Arithmetic that is no multiply-accumulate runs at the same number of instructions.
        work = max(operation.macs, operation.ops - operation.macs)
        return {
            "compute": work / (self.macs_per_s.get(dtype_name(operation.dtype)) or self.macs_per_s["float32"]),
            level: moved / self.bytes_per_s[level],
            "overhead": self.overhead_s,
        }

    def seconds(self, operation: Operation) -> float:
        """The least time: the larger of computing and moving, after the call."""
        parts = self.parts(operation)
        overhead = parts.pop("overhead")
        return overhead + max(parts.values())

    def bound(self, operation: Operation) -> str:
        """The limit that holds it."""
        parts = self.parts(operation)
        return max(parts, key=lambda name: parts[name])

    def or_better(self, other: Limits) -> Limits:
        """Return the better of two measurements of one machine, limit by limit."""
        rates, bandwidths = (
            {name: max(mine[name], theirs.get(name, 0.0)) for name in mine}
            for mine, theirs in ((self.macs_per_s, other.macs_per_s), (self.bytes_per_s, other.bytes_per_s))
        )
        overhead_s = min(self.overhead_s, other.overhead_s)
        return replace(self, macs_per_s=rates, bytes_per_s=bandwidths, overhead_s=overhead_s)

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return asdict(self)


def measure_limits() -> Limits:
    """Measure this machine with torch's present number of threads; a few seconds."""
    with torch.no_grad(), torch.random.fork_rng():
        overhead = _overhead()
        levels = _levels()
        bandwidth = {name: _bandwidth(size // 2, overhead) for name, size in levels.items()}
        bandwidth[MEMORY] = _bandwidth(max(levels.values()) * 8, overhead)
        return Limits(macs_per_s=_peaks(), bytes_per_s=bandwidth, level_bytes=levels, overhead_s=overhead)


def _best_s(call: Callable[[], object], *, inner: int = 1) -> float:
    """The shortest of several times: a limit is what is possible. Of what takes seconds, fewer are enough."""
    times: list[float] = []
    while len(times) < REPEATS + WARM_UP and (len(times) <= WARM_UP or inner * sum(times) < ENOUGH_S):
        started = time.perf_counter()
        for _ in range(inner):
            call()
        times.append((time.perf_counter() - started) / inner)
    return min(times[WARM_UP:])


def _overhead() -> float:
    layer, x = torch.nn.ReLU(), torch.zeros(1)
    return statistics.median(_best_s(lambda: layer(x), inner=200) for _ in range(3))


def _bandwidth(working_set_bytes: int, overhead: float) -> float:
    """Of y += x, which reads two streams and writes one."""
    elements = working_set_bytes // 8
    x, y = torch.rand(elements), torch.rand(elements)
    inner = max(1, (1 << 22) // working_set_bytes)
    spent = _best_s(lambda: y.add_(x), inner=inner)
    return 3 * 4 * elements / max(spent - overhead, spent / 10)


def _peaks() -> dict[str, float]:
    """Of square matrix products; a type that this build of torch cannot multiply is left out."""
    a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    small, other = (x.bfloat16() for x in (a, b))
    whole, more = ((x * 100).to(torch.int8) for x in (a, b))
    calls: dict[str, Callable[[], object]] = {
        "float32": lambda: a @ b,
        "bfloat16": lambda: small @ other,
        "int8": lambda: torch._int_mm(whole, more),
    }
    found = {}
    for name, call in calls.items():
        try:
            found[name] = SIDE**3 / _best_s(call)
        except RuntimeError:
            continue
    return found


def _levels() -> dict[str, int]:
    """Sizes of the data caches as Linux tells them, else usual ones; an L1 and L2 for each thread."""
    threads = torch.get_num_threads()
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind, level, size = ((index / name).read_text().strip() for name in ("type", "level", "size"))
        if kind != "Instruction" and size.endswith(("K", "M")):
            found[f"L{level}"] = int(size[:-1]) << (10 if size[-1] == "K" else 20)
    sizes = found or DEFAULT_LEVELS
    cores = os.cpu_count() or 1
    return {name: size * (min(threads, cores) if name in ("L1", "L2") else 1) for name, size in sizes.items()}
