"""How much of a test window training has already seen: the figure that says what a score on a scene is worth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.boxes import count_in_windows

__all__ = ["Leakage", "leakage"]


@dataclass(frozen=True, kw_only=True)
class Leakage:
    """Test windows that hold pixels of the training share, validation included."""

    window: int
    test_windows: int
    share: float
    """Of the test windows: those with at least one training centre."""
    mean_centres: float
    """Training centres in a test window, on average."""
    share_own_class: float
    """Those with at least one training centre of the test pixel's own class."""
    mean_centres_own_class: float

    def to_dict(self) -> dict[str, Any]:
        """As evaluation.json keeps it."""
        return asdict(self)


def leakage(truth: NDArray[np.int16], share: NDArray[np.int64], test: NDArray[np.int64], *, window: int) -> Leakage:
    """Count the pixels `share` in the `window`×`window` around each of `test`; both number the pixels of (H, W)."""
    flat = truth.ravel()
    of_class = np.where(np.isin(np.arange(flat.size), share), flat, -1).reshape(truth.shape)
    anyone = count_in_windows(of_class >= 0, window).ravel()[test]
    own = np.zeros(len(test), np.int64)
    for kind in np.unique(flat[test]):
        of_kind = flat[test] == kind
        own[of_kind] = count_in_windows(of_class == kind, window).ravel()[test[of_kind]]
    return Leakage(
        window=window,
        test_windows=len(test),
        share=float((anyone > 0).mean()),
        mean_centres=float(anyone.mean()),
        share_own_class=float((own > 0).mean()),
        mean_centres_own_class=float(own.mean()),
    )
