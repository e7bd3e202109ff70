"""Workers: threads that decode and compute one picture at a time, behind a bounded queue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

from pennyweight.core.figures import several
from pennyweight.serve.failures import BusyError

__all__ = ["Done", "Workers", "queue_within"]

WAIT_S = 0.2
"""Seconds that the last picture in the queue waits by default; a longer queue only makes every answer late."""
LEAST_QUEUE, MOST_QUEUE = 2, 64
"""Fewest and most jobs that wait for each thread by default."""
FIRST_S, SHARE = 0.015, 0.05
"""Seconds of a job before any was measured, and weight of the latest job in their exponential moving average."""
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Done(Generic[Answer]):
    """Answer of a worker, and its time."""

    answer: Answer
    waited_s: float
    """Seconds in the queue."""
    worked_s: float
    """Seconds of decoding and computing."""


@dataclass
class _Job:
    """Work that waits for a worker."""

    work: Callable[[], Any]
    future: asyncio.Future[Done[Any]]
    since: float


class Workers:
    """Threads behind a bounded queue. Every method is called in the thread of the event loop.

    Args:
        threads: Number of threads.
        queue: Jobs that may wait while every thread works; None is as many as are worked off in WAIT_S.
    """

    def __init__(self, threads: int, queue: int | None) -> None:
        self.threads, self._queue = threads, queue
        self._work_s = FIRST_S
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._unfinished = 0
        self._running = [Thread(target=self._work, name=f"worker-{number}", daemon=True) for number in range(threads)]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._running:
            thread.start()

    def stop(self, within_s: float = 1.0) -> None:
        """End the threads after their present jobs; one that takes longer than `within_s` ends with the process."""
        for _ in self._running:
            self._jobs.put(None)
        until = time.monotonic() + within_s
        for thread in self._running:
            thread.join(max(0.0, until - time.monotonic()))

    @property
    def unfinished(self) -> int:
        """Number of jobs that wait or are worked on."""
        return self._unfinished

    @property
    def queue(self) -> int:
        """Number of jobs that may wait."""
        return queue_within(WAIT_S, self.threads, self._work_s) if self._queue is None else self._queue

    def require_room(self, jobs: int = 1) -> None:
        """Raise BusyError if that many jobs do not fit into the queue."""
        if self._unfinished + jobs > self.threads + self.queue:
            waiting = max(0, self._unfinished - self.threads)
            raise BusyError(f"{several(waiting, 'picture')} in the queue, which has room for {self.queue:,}")

    def run(self, work: Callable[[], Answer]) -> asyncio.Future[Done[Answer]]:
        """Have a worker do the work. A job whose future was canceled is left out. `require_room` bounds the queue."""
        future: asyncio.Future[Done[Answer]] = asyncio.get_running_loop().create_future()
        self._unfinished += 1
        self._jobs.put(_Job(work, future, time.perf_counter()))
        return future

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            began = time.perf_counter()
            found: Done[Any] | BaseException | None = None
            if not job.future.cancelled():
                try:
                    answer = job.work()
                    found = Done(answer, began - job.since, time.perf_counter() - began)
                except BaseException as error:  # it belongs to the request, which tells it
                    found = error
            try:
                job.future.get_loop().call_soon_threadsafe(self._finish, job.future, found)
            except RuntimeError:  # the loop has ended, and nobody waits
                return

    def _finish(self, future: asyncio.Future[Done[Any]], found: Done[Any] | BaseException | None) -> None:
        self._unfinished -= 1
        if future.done():
            return
        if isinstance(found, BaseException):
            future.set_exception(found)
        elif found is not None:
            self._work_s += SHARE * (found.worked_s - self._work_s)
            future.set_result(found)


def queue_within(wait_s: float, threads: int, work_s: float) -> int:
    """Return the number of jobs that threads work off in `wait_s`, a few for each thread at least.

    Args:
        wait_s: Seconds that the last job may wait.
        threads: Number of threads.
        work_s: Seconds of one job.
    """
    return threads * max(LEAST_QUEUE, min(MOST_QUEUE, int(wait_s / max(work_s, 1e-6))))
