"""Read the runs of an epoch and decode their pictures into a memory of fixed size, ahead of the batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.images import Pixels
from pennyweight.core.machine import cores
from pennyweight.data.streams.order import Order, Read

__all__ = ["Decode", "RunReader"]

Fetch = Callable[[Read], Sequence[bytes]]
Decode = Callable[[Sequence[int], Sequence[bytes], Pixels, Sequence[int]], None]


class RunReader:
    """Pictures of a rank's batches in an epoch, each decoded once into one of `room` places of memory.

    Runs are read in the order in which batches need them, as far ahead as there is room. `fetch` returns the files of
    a run. `decode(numbers, files, memory, places)` decodes them. Files that wait for a decoder have at most
    `file_bytes` together, or are a single run.
    """

    def __init__(
        self,
        share: Order,
        start: int,
        *,
        fetch: Fetch,
        decode: Decode,
        sizes: NDArray[np.int64],
        shape: tuple[int, ...],
        room: int,
        file_bytes: int,
        readers: int,
    ) -> None:
        self._share, self._fetch, self._decode, self._sizes = share, fetch, decode, sizes
        self._memory = np.empty((room, *shape), np.uint8)
        self._file_bytes = file_bytes
        self._changed = threading.Condition()
        self._free = list(range(room))
        self._place: dict[int, int] = {}
        self._held_bytes = 0
        self.peak_bytes = 0
        """Most bytes of files that waited at once."""
        self._done: dict[int, Future[None]] = {}
        self._left: dict[int, int] = {}
        self._turn: dict[int, Future[None]] = {}
        self._failed: BaseException | None = None
        self._closed = False
        self._readers = ThreadPoolExecutor(max_workers=readers)
        self._decoders = ThreadPoolExecutor(max_workers=cores())
        self._ahead = threading.Thread(target=self._read_ahead, args=(share.reads(start),), daemon=True)
        self._ahead.start()

    def take(self, step: int) -> Pixels:
        """Return the pictures of a batch, (B, H, W, C), and make room. Every batch is taken once."""
        numbers = self._share.batch(step)
        runs, counts = np.unique(self._share.runs.of[numbers], return_counts=True)
        for run in runs.tolist():
            self._done_of(run).result()
        with self._changed:
            places = [self._place.pop(number) for number in numbers.tolist()]
            for run, count in zip(runs.tolist(), counts.tolist(), strict=True):
                self._left[run] -= count
                if not self._left[run]:
                    del self._left[run], self._done[run]
        taken: Pixels = self._memory[places]
        with self._changed:
            self._free += places
            self._changed.notify_all()
        return taken

    def close(self) -> None:
        """Stop reading ahead, and wait for what is being read."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._ahead.join()
        self._readers.shutdown(cancel_futures=True)
        self._decoders.shutdown(cancel_futures=True)

    def _done_of(self, run: int) -> Future[None]:
        with self._changed:
            if self._failed is not None:
                raise self._failed
            return self._done.setdefault(run, Future())

    def _read_ahead(self, reads: Iterator[Read]) -> None:
        try:
            for read in reads:
                waits = int(self._sizes[read.numbers].sum())
                with self._changed:
                    self._changed.wait_for(partial(self._has_room, len(read.numbers), waits))
                    if self._closed:
                        return
                    places = [self._free.pop() for _ in read.numbers]
                    self._place.update(zip(read.numbers.tolist(), places, strict=True))
                    self._left[read.run] = len(places)
                    self._held_bytes += waits
                    self.peak_bytes = max(self.peak_bytes, self._held_bytes)
                before = self._turn.get(read.sequence)
                fetched = self._readers.submit(self._fetch_run, read, places, waits, before)
                if read.sequence >= 0:
                    self._turn[read.sequence] = fetched
        except BaseException as error:
            self._fail(error)

    def _has_room(self, count: int, waits: int) -> bool:
        fits = self._held_bytes + waits <= self._file_bytes or not self._held_bytes
        return self._closed or (count <= len(self._free) and fits)

    def _fetch_run(self, read: Read, places: Sequence[int], waits: int, before: Future[None] | None) -> None:
        """Read a run, after the one before it in its sequence, and hand it to a decoder."""
        try:
            if before is not None:
                before.result()
            files = self._fetch(read)
            self._decoders.submit(self._decode_run, read, files, places, waits)
        except BaseException as error:
            self._fail(error)
            raise

    def _decode_run(self, read: Read, files: Sequence[bytes], places: Sequence[int], waits: int) -> None:
        try:
            self._decode(read.numbers.tolist(), files, self._memory, places)
        except BaseException as error:
            self._fail(error)
            return
        with self._changed:
            self._held_bytes -= waits
            self._changed.notify_all()
            done = self._done.setdefault(read.run, Future())
            if not done.done():
                done.set_result(None)

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._failed = self._failed or error
            for future in self._done.values():
                if not future.done():
                    future.set_exception(self._failed)
