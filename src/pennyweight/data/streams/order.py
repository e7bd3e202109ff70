"""Order of a stream's samples: short runs of neighbors from all shards, mixed within a bounded memory.

A run is a few neighboring samples that are read together. Runs come in an order that spreads each class evenly over the
epoch. Each sample then moves to a random later position of a window. The window is as wide as memory allows, and runs
are as long as a well mixed batch allows; both are known from the index before anything is read.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.data.augment.draws import draws, shuffled

__all__ = ["Layout", "Order", "Planner", "Read", "diversity"]

Numbers = NDArray[np.int64]

LENGTHS = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Lengths of a run in samples, of which the longest that mixes is taken: long runs need fewer requests."""
RUN_BYTES = 1 << 20
"""Bytes after which a run ends; a longer one is read no faster."""
MIXED = 0.97
"""Classes in a batch, as a share of those of shuffled samples, from which on a batch counts as mixed."""
APART = 0.7
"""Runs in a batch, as a share of its pictures, from which on it counts as mixed, whatever neighbors have in common."""
FILLED = 0.75
"""Order of the memory that the order fills; the rest is for reading ahead."""
MEASURED = 256
"""Largest number of batches whose classes are counted."""
WIDEST = 1e6
"""Window, as a share of an epoch, in which the order of reading no longer counts."""
WINDOWS = 6
"""Memories full of samples by which runs are judged."""
NARROWER = 24
"""Attempts to narrow the window; after them, samples stay in the order of reading."""


@dataclass(frozen=True)
class Layout:
    """Samples of a stream in the order of the shards, as arrays (N,)."""

    labels: Numbers
    files: Numbers
    """Number of each sample's shard."""
    offsets: Numbers
    """Byte at which each picture begins, in its shard or its sequence."""
    sequences: Numbers
    """Number of the sequence (a compressed tar, a row group) that is read from its start; -1 if a picture is not in
    one."""

    def __len__(self) -> int:
        return len(self.labels)

    def runs(self, length: int) -> Runs:
        """Return runs of at most `length` samples."""
        place = np.arange(len(self))
        begins = np.append(True, (np.diff(self.files) != 0) | (np.diff(self.sequences) != 0))
        within = place - np.maximum.accumulate(np.where(begins, place, 0))
        ends = (np.diff(within // length) != 0) | (np.diff(self.offsets // RUN_BYTES) != 0)
        starts = np.flatnonzero(begins | np.append(True, ends))
        lengths = np.diff(np.append(starts, len(self)))
        return Runs(starts, lengths, np.repeat(np.arange(len(starts)), lengths), self.sequences[starts])


@dataclass(frozen=True)
class Runs:
    """Runs of a layout, in the order of the shards."""

    starts: Numbers
    """(R,) first sample."""
    lengths: Numbers
    """(R,) samples."""
    of: Numbers
    """(N,) run of each sample."""
    sequences: Numbers
    """(R,) sequence of each run; -1 without one."""


def diversity(values: Numbers, order: Numbers, bounds: Numbers) -> float:
    """Return the mean number of different values in a batch: the exponential of their entropy.

    Args:
        values: (N,) classes, or any other numbers from 0 on.
        order: (M,) samples in the order of training.
        bounds: (steps + 1,) first position of each batch, and M.
    """
    steps = np.unique(np.linspace(0, len(bounds) - 2, MEASURED).astype(np.int64))
    found = []
    for step in steps.tolist():
        _, counts = np.unique(values[order[bounds[step] : bounds[step + 1]]], return_counts=True)
        shares = counts / counts.sum()
        found.append(float(np.exp(-(shares * np.log(shares)).sum())))
    return float(np.mean(found))


class Read(NamedTuple):
    """Samples of a run that are read together."""

    run: int
    sequence: int
    numbers: Numbers
    """Samples, ascending."""
    last: bool
    """True for the last run of its sequence."""


@dataclass(frozen=True, eq=False)
class Order:
    """Samples of one rank, or of all ranks together, in the batches of an epoch."""

    numbers: Numbers
    """(M,) samples in the order of training."""
    bounds: Numbers
    """(steps + 1,) first position of each batch, and M."""
    runs: Runs
    lanes: int = 1
    """Sequences that may be open at once."""

    def batch(self, step: int) -> Numbers:
        """Return the samples of a batch."""
        return self.numbers[self.bounds[step] : self.bounds[step + 1]]

    def reads(self, start: int = 0) -> Iterator[Read]:
        """Yield what must be read from batch `start` on, in the order in which batches need it."""
        samples, begins, needs = self._needs(start)
        ends = np.append(begins[1:], len(samples))
        runs = self.runs.of[samples[begins]]
        last = np.diff(self.runs.sequences[runs], append=-2) != 0
        for place in np.lexsort((runs, self._turns(runs, needs), needs)).tolist():
            run = int(runs[place])
            yield Read(run, int(self.runs.sequences[run]), samples[begins[place] : ends[place]], bool(last[place]))

    @property
    def peak(self) -> int:
        """Return the largest number of samples that are held at once, where runs are read when they are needed."""
        (samples, begins, needs), used = self._needs(0), np.diff(self.bounds)
        read = np.bincount(needs, weights=np.diff(np.append(begins, len(samples))), minlength=len(used))
        return int((np.cumsum(read) - np.cumsum(used) + used).max())

    def _needs(self, start: int) -> tuple[Numbers, Numbers, Numbers]:
        """Return (samples left by run, first position of each run in them, first batch that needs each run).

        A run of a sequence is needed before its later runs, and all of them before more than `lanes` others begin.
        """
        samples = self.numbers[self.bounds[start] :]
        steps = np.repeat(np.arange(start, len(self.bounds) - 1), np.diff(self.bounds[start:]))
        ascending = np.argsort(samples)
        samples, steps = samples[ascending], steps[ascending]
        begins = np.flatnonzero(np.diff(self.runs.of[samples], prepend=-1))
        needs = np.minimum.reduceat(steps, begins)
        sequences = self.runs.sequences[self.runs.of[samples[begins]]]
        inside = np.flatnonzero(sequences >= 0)[::-1]
        # From the last sequence to the first, each is lower by more than any need, so that minima stay within it.
        lower = np.cumsum(np.diff(sequences[inside], prepend=-1) != 0) * len(self.bounds)
        needs[inside] = np.minimum.accumulate(needs[inside] - lower) + lower
        turns = self._turns(self.runs.of[samples[begins]], needs)
        if (turns >= self.lanes).any():
            forward = inside[::-1]
            starts = needs[forward][np.unique(turns[forward], return_index=True)[1]]
            ends = np.append(starts[self.lanes :], np.full(min(self.lanes, len(starts)), len(self.bounds)))
            needs[inside] = np.minimum(needs[inside], ends[turns[inside]])
        return samples, begins, needs

    def _turns(self, runs: Numbers, needs: Numbers) -> Numbers:
        """Return the turn in which the sequence of each run is opened, by its first need; -1 without a sequence."""
        sequences = self.runs.sequences[runs]
        if sequences.max(initial=-1) < 0:
            return sequences
        names, firsts, of = np.unique(sequences, return_index=True, return_inverse=True)
        begun = np.where(names < 0, -1, needs[firsts])  # the first run of a sequence is needed first
        return (np.argsort(np.argsort(begun, kind="stable"), kind="stable") - int(names[0] < 0))[of]


@dataclass(frozen=True, eq=False)
class Planner:
    """Planner of epochs: how long runs are, and which samples each batch has."""

    layout: Layout
    bounds: Numbers
    """(steps + 1,) first position of each batch, and N."""
    room: int
    """Samples that may be held in memory."""
    lanes: int
    """Sequences that are read side by side."""

    @cached_property
    def mixed(self) -> float:
        """Return the classes in a batch of shuffled samples."""
        chosen = shuffled(0, 0, np.arange(len(self.layout)))[: self._looked_at]
        return diversity(self.layout.labels, chosen, self._bounds_of(len(chosen)))

    @cached_property
    def runs(self) -> Runs:
        """Return the longest runs whose batches are mixed, or else the shortest."""
        batch = int(np.diff(self.bounds).max())
        for length in LENGTHS:
            runs = self.layout.runs(length)
            if length > 1 and len(runs.starts) == len(self.layout):
                continue  # each run is one large picture already
            order = self._order(runs, 0, 0, self._looked_at)
            apart = diversity(runs.of, order.numbers, order.bounds) >= APART * batch
            if length == 1 or (apart and self._classes(order) >= MIXED * self.mixed):
                return runs
        raise AssertionError  # the last length is 1

    @cached_property
    def classes(self) -> float:
        """Return the classes in a batch."""
        return self._classes(self._order(self.runs, 0, 0, self._looked_at))

    def _classes(self, order: Order) -> float:
        return diversity(self.layout.labels, order.numbers, order.bounds)

    @property
    def _looked_at(self) -> int:
        """Return the number of samples at the start of an epoch by which it is judged: several windows of them."""
        return min(len(self.layout), WINDOWS * self.room + MEASURED * int(np.diff(self.bounds).max()))

    def _bounds_of(self, count: int) -> Numbers:
        """Return the bounds of the first `count` samples, of which the last batch may lack some."""
        return np.append(self.bounds[self.bounds < count], count)

    def share(self, seed: int, epoch: int, rank: int = 0, world: int = 1) -> Order:
        """Return the samples of a rank in an epoch: a nearly equal part of each batch, of runs that few others read.

        The samples of all ranks together are the same for any number of ranks.
        """
        whole = self._order(self.runs, seed, epoch)
        if world == 1:
            return whole
        steps = np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))
        runs = self.runs.of[whole.numbers]
        # Within a batch, samples are sorted by a draw of their run; each rank's part then has few runs of another's.
        by_run = np.lexsort((draws(seed, epoch, runs + 2 * len(self.layout), 1)[:, 0], steps))
        within = np.arange(len(by_run)) - self.bounds[steps]
        sizes = np.diff(self.bounds)[steps]
        # As np.array_split divides: the first parts are one longer.
        least, longer = sizes // world, sizes % world
        split = longer * (least + 1)
        part = np.where(within < split, within // (least + 1), longer + (within - split) // np.maximum(least, 1))
        own = np.sort(by_run[part == rank])
        counts = np.bincount(steps[own], minlength=len(self.bounds) - 1)
        return Order(whole.numbers[own], np.append(0, np.cumsum(counts)), self.runs, self.lanes)

    def _order(self, runs: Runs, seed: int, epoch: int, count: int | None = None) -> Order:
        """Return an epoch, or about its first `count` samples, for all ranks; the window is the widest that fits."""
        every = len(self.layout)
        positions = self._positions(runs, seed, epoch)
        chosen = np.arange(every)
        if count is not None and count < every:
            chosen = np.flatnonzero((positions < count / every)[runs.of])
        bounds = self._bounds_of(len(chosen))
        ready, moves = positions[runs.of[chosen]], draws(seed, epoch, chosen, 1)[:, 0]
        fits = max(FILLED * self.room, float(np.diff(bounds).max()))
        alone = len(runs.starts) == every and int(runs.sequences.max()) < 0
        window = WIDEST if alone or 4 * fits >= every else 2 * fits / every * (1 + len(runs.starts) / every)
        for _ in range(NARROWER):
            order = Order(chosen[np.argsort(ready + window * moves, kind="stable")], bounds, runs, self.lanes)
            peak = order.peak
            if peak <= fits:
                return order
            window = min(window, 4 * fits / every) * min(0.95, fits / peak)
        return Order(chosen[np.argsort(ready, kind="stable")], bounds, runs, self.lanes)

    def _positions(self, runs: Runs, seed: int, epoch: int) -> NDArray[np.float64]:
        """Return the position of each run in the epoch, 0 to 1, (R,): every class is spread evenly."""
        drawn = draws(seed, epoch, len(self.layout) + np.arange(len(runs.starts)), 2)
        positions = np.empty(len(runs.starts))
        free = np.flatnonzero(runs.sequences < 0)
        positions[free] = _spread(self.layout.labels[runs.starts[free]], drawn[free])
        inside = np.flatnonzero(runs.sequences >= 0)
        parts = np.split(inside, np.flatnonzero(np.diff(runs.sequences[inside])) + 1)
        lanes: list[list[Numbers]] = [[] for _ in range(min(self.lanes, len(parts)))]
        filled = [(0, lane) for lane in range(len(lanes))]
        firsts = np.array([part[0] for part in parts if len(part)], np.int64)
        for place in np.argsort(_spread(self.layout.labels[runs.starts[firsts]], drawn[firsts])).tolist():
            part, (length, lane) = parts[place], heapq.heappop(filled)
            lanes[lane].append(part)
            heapq.heappush(filled, (length + len(part), lane))
        for queue in filter(None, lanes):
            ahead = np.concatenate(queue)
            positions[ahead] = (np.arange(len(ahead)) + drawn[ahead, 1]) / len(ahead)
        return positions


def _spread(classes: Numbers, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return positions, 0 to 1, at which the runs of each class follow one another evenly. (R,), (R, 2) -> (R,)."""
    order = np.lexsort((drawn[:, 0], classes))
    _, firsts, counts = np.unique(classes[order], return_index=True, return_counts=True)
    turns = np.arange(len(classes)) - np.repeat(firsts, counts)
    positions = np.empty(len(classes))
    positions[order] = (turns + drawn[order, 1]) / np.repeat(counts, counts)
    return positions
