"""Result of `bench`: a row for each network, engine, number of threads and batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pennyweight.core.data_frame import data_frame
from pennyweight.core.figures import number, several
from pennyweight.core.summary import Facts, Rows, Summary

__all__ = ["EngineTiming", "Timings"]


@dataclass(frozen=True, kw_only=True, repr=False)
class EngineTiming(Summary):
    """Times, memory and answers of one engine on one network."""

    network: str
    """Network, run or bundle, as it was given."""
    engine: str
    """Engine with its version."""
    precision: str
    threads: int
    batch: int
    repeats: int
    minimum_ms: float
    median_ms: float
    p90_ms: float
    """90th percentile."""
    pictures_per_s: float
    """Throughput at the median."""
    times_faster: float
    """Time of the network's first engine with the same threads and batch, over this one's: median over the rounds."""
    ready_s: float | None
    """Seconds from the start of a fresh process to its first answer; None where that was not measured."""
    ready_cpu_s: float | None
    """Processor seconds of that, which other programs hardly change."""
    resident_bytes: int | None
    """Largest resident memory of that process."""
    file_bytes: int
    """Size of the bundle, or of the weights that torch loads."""
    same_top1: int
    """Pictures with the same most probable class as the first engine gives."""
    pictures: int
    largest_probability_difference: float
    """Largest difference of a probability from the first engine."""

    def _facts(self) -> Facts:
        yield "network", self.network
        yield "engine", self.engine
        yield "", f"{several(self.threads, 'thread')}, batch {self.batch}"
        yield "median", f"{number(self.median_ms)} ms"
        yield "times faster", number(self.times_faster)


@dataclass(frozen=True, kw_only=True, repr=False)
class Timings(Summary):
    """Result of `bench`, with the conditions of the measurement."""

    rows: tuple[EngineTiming, ...]
    answers_on: str
    """Description of the pictures on which answers were compared."""
    timed_on: str
    """Description of the pixels on which engines were timed."""
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    load: float | None
    """Load of the machine before the measurement, averaged over a minute; None where the system does not tell."""
    created: str
    notes: tuple[str, ...] = ()

    @property
    def conditions(self) -> tuple[str, ...]:
        """Lines on the measurement: machine, load, pictures, and the meaning of a time."""
        cores = self.machine["cores"]
        busy = "" if self.load is None else f", load {self.load:.1f} on {several(int(cores), 'core')} before it began"
        return (
            f"{self.machine['processor']}, {several(int(cores), 'core')}, {self.machine['system']}{busy}",
            f"times: {self.timed_on}; engines in turn, repeated {self.rows[0].repeats} times"
            if self.rows
            else "times: none",
            f"answers: {self.answers_on}, compared with the first engine of each network",
            "ready and memory: a fresh process, from its start to its first answer",
            *self.notes,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON keeps them."""
        return {**asdict(self), "machine": dict(self.machine), "versions": dict(self.versions)}

    def to_frame(self) -> Any:
        """Return the rows as a pandas DataFrame, with the conditions in its `attrs`.

        Raises:
            MissingPart: pandas is not installed.
        """
        return data_frame(self.rows, conditions=list(self.conditions))

    def _facts(self) -> Facts:
        for row in Rows(self.rows)[:10]:
            where = f"{row.network}, {row.engine}, {several(row.threads, 'thread')}, batch {row.batch}"
            yield where, f"{number(row.median_ms)} ms, {number(row.times_faster)} times as fast as the first"
        yield "measured on", self.conditions[0]
