"""Bound the threads of torch and of other libraries by a container's CPU quota, before they are imported.

Libraries start a thread for each core of the host. On a host of 64 cores with a quota of 2, the threads use up the
quota in a thirtieth of each period, and all wait for the next one. `import pennyweight` calls this module, so that no
entry point misses it. A variable that the user has set is kept, and without a quota nothing changes.
"""

from __future__ import annotations

import os
import sys

from pennyweight.core.machine import cores, granted_cores

__all__ = ["VARIABLES", "bound_threads"]

VARIABLES = ("OMP_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS")
"""Variables that OpenMP (torch, scikit-learn), OpenBLAS (numpy), Arrow and torch's compiler read."""


def bound_threads() -> None:
    """Set every variable of `VARIABLES` that the user has not set, and bound a torch that is loaded already."""
    if cores() == granted_cores():
        return
    torch = sys.modules.get("torch")
    if "OMP_NUM_THREADS" not in os.environ and torch is not None and torch.get_num_threads() > cores():
        torch.set_num_threads(cores())
    for name in VARIABLES:
        os.environ.setdefault(name, str(cores()))
