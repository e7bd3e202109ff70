"""Project spectra to the few channels that a network sees: scaling and whitened principal components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import InputError

__all__ = ["Projection", "finite"]

NO_VARIANCE = 1e-12
"""Smallest variance of a component, as a share of the first one's; below it are rounding errors, set to 0."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """Linear projection of spectra, (spectra - mean) @ matrix: (…, bands) -> (…, channels) float32.

    A pixel with a value that is not finite becomes zeros, the mean spectrum, as does padding outside the scene.
    """

    mean: NDArray[np.float32]
    """Mean spectrum (bands,)."""
    matrix: NDArray[np.float32]
    """Weights (bands, channels)."""

    @classmethod
    def fit(cls, spectra: NDArray[Any], components: int | None) -> Projection:
        """Scale bands to standard deviation 1, then take `components` whitened principal components.

        Args:
            spectra: (N, bands) without NaN.
            components: Number of components; None scales only.

        Returns:
            The projection. The largest weight of each component is positive, so that equal spectra give equal signs.

        Raises:
            InputError: More components than bands, or than N pixels can span.
        """
        pixels, bands = spectra.shape
        if components is not None and not 1 <= components <= bands:
            raise InputError(f"{components} components cannot be made of {bands} bands; take 1 to {bands}")
        if components is not None and components >= pixels:
            raise InputError(
                f"{components} components cannot be fitted on {pixels} pixels; train on more, or take at most "
                f"{max(1, pixels - 1)} components"
            )
        values = spectra.astype(np.float64)
        mean, std = values.mean(axis=0), values.std(axis=0)
        scale = np.divide(1.0, std, out=np.zeros(bands), where=std > 0)
        if components is None:
            return cls(mean=mean.astype(np.float32), matrix=np.diag(scale).astype(np.float32))
        scaled = (values - mean) * scale
        variances, axes = np.linalg.eigh(scaled.T @ scaled / pixels)
        variances, axes = variances[::-1][:components], axes[:, ::-1][:, :components]
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(components)])
        lasting = variances > NO_VARIANCE * variances[0]
        whiten = np.divide(1.0, np.sqrt(np.abs(variances)), out=np.zeros(components), where=lasting)
        return cls(mean=mean.astype(np.float32), matrix=(scale[:, None] * axes * whiten).astype(np.float32))

    @property
    def bands(self) -> int:
        """Return the number of bands of the input."""
        return len(self.mean)

    @property
    def channels(self) -> int:
        """Return the number of channels of the output."""
        return int(self.matrix.shape[1])

    def __call__(self, spectra: NDArray[Any]) -> NDArray[np.float32]:
        """Project spectra of any number type. (…, bands) -> (…, channels)."""
        centered = spectra.astype(np.float32) - self.mean
        known = finite(centered)
        out: NDArray[np.float32] = np.where(known[..., None], centered, np.float32(0)) @ self.matrix
        return out

    def to_dict(self) -> dict[str, Any]:
        """Return the projection as JSON values."""
        return {"mean": self.mean.tolist(), "matrix": self.matrix.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Projection:
        """Make a projection from the values of `to_dict`."""
        return cls(mean=np.array(values["mean"], np.float32), matrix=np.array(values["matrix"], np.float32))


def finite(spectra: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask of the pixels with a number in every band. (…, bands) -> (…)."""
    known: NDArray[np.bool_] = np.isfinite(spectra).all(axis=-1)
    return known
