"""`digits`: 1,797 scanned digits of 8×8 pixels, the UCI test set that comes with scikit-learn; no download.

Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from pennyweight.data.digests import digest_of_array
from pennyweight.data.source import Sample, Source

__all__ = ["read_digits"]


@cache
def read_digits() -> Source:
    """Return the 8×8 gray pictures in ten classes; the 17 levels of the scans are scaled to 0..255."""
    from sklearn.datasets import load_digits  # slow to import, and no other source needs it

    bunch = load_digits()
    pictures = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    samples = tuple(
        Sample(picture, int(label), digest_of_array(picture), None, f"digits/{number:04d}")
        for number, (picture, label) in enumerate(zip(pictures, bunch.target, strict=True))
    )
    labels = tuple(map(str, range(10)))
    return Source(name="digits", address="digits", labels=labels, samples=samples, size=32, channels=1, mirrors=False)
