"""Reproducible training: one seed and deterministic algorithms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["random_state", "reproducible", "set_random_state"]


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seed torch and make its algorithms deterministic inside the context; restore both afterwards."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)


def random_state() -> list[torch.Tensor]:
    """Return the state of torch's random generators that a step may draw from.

    The order of samples and their augmentation need no state: they are functions of (seed, epoch, sample).

    Returns:
        The CPU's state, then each CUDA device's, as uint8 tensors.
    """
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else ())]


def set_random_state(state: list[torch.Tensor]) -> None:
    """Restore generators to a `state` from `random_state`."""
    torch.set_rng_state(state[0])
    if torch.cuda.is_available() and len(state) > 1:
        torch.cuda.set_rng_state_all(state[1:])
