"""Roofline: the machine's measured limits (peak throughput, bandwidth, overhead), and the limit of each operator.

Williams, Waterman and Patterson 2009, "Roofline: an insightful visual performance model". Each level of memory has its
own line: the smallest level that holds a working set serves it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pennyweight.core.machine import cores
from pennyweight.cost.counting.operation import Operation
from pennyweight.cost.counting.traffic import dtype_name

__all__ = ["Limits", "measure_limits"]

SIDE = 1024
"""Side of the square matrices whose product shows the peak throughput."""
REPEATS = 9
WARM_UP = 2
ENOUGH_S = 4.0
DEFAULT_LEVELS = {"L1": 32 << 10, "L2": 512 << 10, "L3": 8 << 20}
MEMORY = "memory"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Peak throughput, memory bandwidth and call overhead at one number of threads."""

    macs_per_s: Mapping[str, float]
    """Peak throughput: float32, bfloat16, int8 -> multiply-accumulates per second."""
    bytes_per_s: Mapping[str, float]
    """Memory bandwidth: L1, L2, L3, memory -> bytes per second, reads and writes together."""
    level_bytes: Mapping[str, int]
    """L1, L2, L3 -> size in bytes; a larger working set lies in memory."""
    overhead_s: float
    """Seconds to call a layer that does almost nothing."""

    def level(self, working_set_bytes: int) -> str:
        """Return the smallest memory level that holds a working set."""
        return next((name for name, size in self.level_bytes.items() if working_set_bytes <= size), MEMORY)

    def parts(self, operation: Operation) -> dict[str, float]:
        """Return the seconds that each limit requires: "compute", a memory level, "overhead".

        A dtype whose throughput was not measured counts as float32.
        """
        moved = operation.bytes_read + operation.bytes_written
        level = self.level(moved)
        # Other arithmetic takes one instruction per operation, as a multiply-accumulate does.
        work = max(operation.macs, operation.ops - operation.macs)
        return {
            "compute": work / (self.macs_per_s.get(dtype_name(operation.dtype)) or self.macs_per_s["float32"]),
            level: moved / self.bytes_per_s[level],
            "overhead": self.overhead_s,
        }

    def seconds(self, operation: Operation) -> float:
        """Return the least possible time: the call overhead plus the larger of compute and memory time."""
        parts = self.parts(operation)
        overhead = parts.pop("overhead")
        return overhead + max(parts.values())

    def bound(self, operation: Operation) -> str:
        """Return the name of the limit that dominates an operation."""
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
        """Return the limits as JSON saves them."""
        return asdict(self)


def measure_limits() -> Limits:
    """Measure this machine at torch's current number of threads; takes a few seconds."""
    with torch.no_grad(), torch.random.fork_rng():
        overhead = _measure_overhead()
        levels = _cache_sizes()
        bandwidth = {name: _measure_bandwidth(size // 2, overhead) for name, size in levels.items()}
        bandwidth[MEMORY] = _measure_bandwidth(max(levels.values()) * 8, overhead)
        return Limits(macs_per_s=_measure_peaks(), bytes_per_s=bandwidth, level_bytes=levels, overhead_s=overhead)


def _best_s(call: Callable[[], object], *, inner: int = 1) -> float:
    """Return the shortest of several times, because a limit is the best possible; slow calls repeat less often."""
    times: list[float] = []
    while len(times) < REPEATS + WARM_UP and (len(times) <= WARM_UP or inner * sum(times) < ENOUGH_S):
        started = time.perf_counter()
        for _ in range(inner):
            call()
        times.append((time.perf_counter() - started) / inner)
    return min(times[WARM_UP:])


def _measure_overhead() -> float:
    layer, x = torch.nn.ReLU(), torch.zeros(1)
    return statistics.median(_best_s(lambda: layer(x), inner=200) for _ in range(3))


def _measure_bandwidth(working_set_bytes: int, overhead: float) -> float:
    """Return the bandwidth in bytes per second of y += x, which reads two streams and writes one."""
    elements = working_set_bytes // 8
    x, y = torch.rand(elements), torch.rand(elements)
    inner = max(1, (1 << 22) // working_set_bytes)
    spent = _best_s(lambda: y.add_(x), inner=inner)
    return 3 * 4 * elements / max(spent - overhead, spent / 10)


def _measure_peaks() -> dict[str, float]:
    """Return the throughput of square matrix products; dtypes that this torch build cannot multiply are left out."""
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


def _cache_sizes() -> dict[str, int]:
    """Return the data caches' sizes from Linux, else typical ones; L1 and L2 count once per thread."""
    threads = torch.get_num_threads()
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind, level, size = ((index / name).read_text().strip() for name in ("type", "level", "size"))
        if kind != "Instruction" and size.endswith(("K", "M")):
            found[f"L{level}"] = int(size[:-1]) << (10 if size[-1] == "K" else 20)
    sizes = found or DEFAULT_LEVELS
    return {name: size * (min(threads, cores()) if name in ("L1", "L2") else 1) for name, size in sizes.items()}
