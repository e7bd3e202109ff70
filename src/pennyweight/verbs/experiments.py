"""`experiments`: the papers' claims about fast networks, measured on this machine."""

from __future__ import annotations

import torch

from pennyweight.core.errors import InputError
from pennyweight.lab import Measured, run_guidelines

__all__ = ["experiments"]


def experiments(
    *, repeats: int = 30, batch: int = 1, side: int = 56, threads: int | None = None
) -> tuple[Measured, ...]:
    """Rerun the four experiments of ShuffleNetV2 (arXiv:1807.11164, Tables 1 to 4): equal MACs, different time.

    The networks of all tables are timed in turns, eager and in float32.

    Args:
        repeats: Timed runs of each network, at least 2.
        batch: Inputs in a batch.
        side: Side of the feature maps in pixels.
        threads: Threads of torch, which keeps that number; None keeps its present number.

    Returns:
        A row for each network: `guideline` ("G1" to "G4"), `label`, `macs`, `traffic_bytes`, median `ms` and its
        `quartiles_ms`.

    Raises:
        InputError: An argument is out of range.
    """
    for name, value, least in (("repeats", repeats, 2), ("batch", batch, 1), ("side", side, 1)):
        if value < least:
            raise InputError(f"{name} must be at least {least}, not {value}")
    if threads is not None and threads < 1:
        raise InputError(f"threads must be at least 1, not {threads}")
    if threads is not None:
        torch.set_num_threads(threads)
    return run_guidelines(repeats=repeats, batch=batch, side=side)
