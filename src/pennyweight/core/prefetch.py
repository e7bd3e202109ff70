"""Prefetch: compute the next results in threads while the consumer uses one, in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")


def prefetch(
    makes: Iterator[Callable[[], T]], count: int, *, threads: int, initializer: Callable[[], None] | None = None
) -> Generator[tuple[T, float], None, None]:
    """Yield (result of each function, seconds that the consumer waited for it), in order.

    Args:
        makes: Functions of no arguments.
        count: Number of results to prefetch.
        threads: Number of threads.
        initializer: Called in each thread before its first function.
    """
    made: deque[Future[T]] = deque()
    # A pool of its own, because these functions may wait for the pool that decodes pictures.
    pool = ThreadPoolExecutor(max_workers=threads, initializer=initializer)
    try:
        for make in makes:
            made.append(pool.submit(make))
            if len(made) > count:
                yield _wait(made.popleft())
        while made:
            yield _wait(made.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _wait(future: Future[T]) -> tuple[T, float]:
    started = time.perf_counter()
    made = future.result()
    return made, time.perf_counter() - started
