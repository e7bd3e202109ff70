"""Things that are made in threads before they are asked for, in their order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")


def prefetch(
    makes: Iterator[Callable[[], T]], count: int, *, threads: int, initializer: Callable[[], None] | None = None
) -> Iterator[tuple[T, float]]:
    """What each of `makes` gives, and the seconds that were waited for it; `count` of the next are made meanwhile.

    Each of the `threads` begins with `initializer`.
    """
    made: deque[Future[T]] = deque()
    # Of its own: a batch that is not kept waits for the pool that decodes.
    pool = ThreadPoolExecutor(max_workers=threads, initializer=initializer)
    try:
        for make in makes:
            made.append(pool.submit(make))
            if len(made) > count:
                yield _waited(made.popleft())
        while made:
            yield _waited(made.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _waited(future: Future[T]) -> tuple[T, float]:
    started = time.perf_counter()
    made = future.result()
    return made, time.perf_counter() - started
