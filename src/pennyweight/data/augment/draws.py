"""Random numbers from (seed, epoch, sample) alone: worker count and restarts do not change them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["draws", "shuffled"]


def draws(seed: int, epoch: int, samples: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Draw `count` numbers in [0, 1) for each sample. (B,) -> (B, count).

    A counter is hashed twice by splitmix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195).
    """
    streams = np.arange(count, dtype=np.uint64)
    key = _mix(_mix(np.array([seed], np.uint64)) + np.array([epoch], np.uint64))
    state = _mix(key + samples.astype(np.uint64))[:, None] + streams
    return (_mix(_mix(state)) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def shuffled(seed: int, epoch: int, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of samples in an order drawn from (seed, epoch, sample). (N,) -> (N,)"""
    return np.argsort(draws(seed, epoch, numbers, 1)[:, 0], kind="stable")


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Apply one step of splitmix64; uint64 arrays wrap modulo 2^64 without a warning."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
