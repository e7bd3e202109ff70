"""Limit torch to a single thread within one thread of the loader.

The loader changes pictures in as many threads as there are cores, while a network trains on the same cores. Without the
limit, torch would spread each large picture over further threads, which wait for one another.
"""

from __future__ import annotations

__all__ = ["limit_to_one_thread"]


def limit_to_one_thread() -> None:
    """Make torch and OpenMP compute on one thread when called from this thread; other threads are not affected."""
    import threadpoolctl
    import torch

    torch.get_num_threads()  # torch sets the thread count on the first call, which must precede the limit
    threadpoolctl.threadpool_limits(1, user_api="openmp")
