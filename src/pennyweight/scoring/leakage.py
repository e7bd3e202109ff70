"""Leakage of a scene's split: the share of test windows that overlap training pixels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.boxes import count_in_windows

__all__ = ["Leakage", "measure_leakage"]


@dataclass(frozen=True, kw_only=True)
class Leakage:
    """Overlap of test windows with the training pixels, validation included. A score of a leaking split is too high."""

    window: int
    """Side of a window in pixels."""
    test_windows: int
    share: float
    """Share of the test windows with at least one training pixel."""
    mean_training_pixels: float
    """Mean number of training pixels in a test window."""
    share_own_class: float
    """Share of the test windows with at least one training pixel of the test pixel's own class."""
    mean_training_pixels_own_class: float
    """Mean number of training pixels of the test pixel's own class in a test window."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as evaluation.json keeps them."""
        return asdict(self)


def measure_leakage(
    truth: NDArray[np.int16], share: NDArray[np.int64], test: NDArray[np.int64], *, window: int
) -> Leakage:
    """Count the training pixels in the window around each test pixel.

    Args:
        truth: Class of every pixel, (H, W).
        share: Indices of the training and validation pixels in the flattened scene.
        test: Indices of the test pixels in the flattened scene.
        window: Side of the window in pixels.

    Returns:
        Shares and mean counts over the test windows.
    """
    flat = truth.ravel()
    trained = np.where(np.isin(np.arange(flat.size), share), flat, -1).reshape(truth.shape)
    every = count_in_windows(trained >= 0, window).ravel()[test]
    own = np.zeros(len(test), np.int64)
    for label in np.unique(flat[test]):
        members = flat[test] == label
        own[members] = count_in_windows(trained == label, window).ravel()[test[members]]
    return Leakage(
        window=window,
        test_windows=len(test),
        share=float((every > 0).mean()),
        mean_training_pixels=float(every.mean()),
        share_own_class=float((own > 0).mean()),
        mean_training_pixels_own_class=float(own.mean()),
    )
