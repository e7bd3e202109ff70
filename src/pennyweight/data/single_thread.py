"""A thread in which torch computes alone: it starts no threads of its own for what is done there.

Pictures are changed in as many threads as there are cores, beside a network that trains on the same ones. Each of them
would have torch share out every large picture among threads more, which wait for one another.
"""

from __future__ import annotations

__all__ = ["limit_to_one_thread"]


def limit_to_one_thread() -> None:
    """Make this thread such a one, for good; others, the network's too, stay as they are."""
    import threadpoolctl
    import torch

    torch.get_num_threads()  # torch sets a thread's number when it first asks for it; not after this
    threadpoolctl.threadpool_limits(1, user_api="openmp")
