"""`scene:synthetic`: mixtures of smooth spectra with noise and texture; no download."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pennyweight.data.scenes.rasters import Raster
from pennyweight.data.scenes.scene import UNLABELED, Scene

__all__ = ["synthetic"]

HEIGHT, WIDTH, BANDS, CLASSES = 72, 64, 60, 6
FIELD = 18
"""Approximate side of a field in pixels; fields of one class lie in several places."""
BORDER = 0.12
"""Share of the pixels, those nearest to another field, that have no label."""


def synthetic(
    height: int = HEIGHT, width: int = WIDTH, bands: int = BANDS, classes: int = CLASSES, seed: int = 0
) -> Scene:
    """Make a scene of fields; each pixel mixes the spectra of its own and the neighboring fields, with texture.

    Args:
        height: Rows of pixels.
        width: Columns of pixels.
        bands: Bands of the cube.
        classes: Number of classes.
        seed: Equal seeds give equal scenes.

    Returns:
        A labeled scene whose name, labels and notes call it synthetic.
    """
    draw = np.random.default_rng(seed)
    centers, kinds = _fields(draw, height, width, classes)
    rows, cols = np.mgrid[:height, :width]
    away = np.hypot(rows[..., None] - centers[:, 0], cols[..., None] - centers[:, 1])
    nearest_two = np.sort(away, axis=-1)[..., :2]
    closeness = nearest_two[..., 1] - nearest_two[..., 0]
    owner = kinds[away.argmin(axis=-1)]
    shares = np.stack([_smooth(owner == kind, 2) for kind in range(classes)], axis=-1)
    texture = 1 + 0.12 * _smooth(draw.standard_normal((height, width)), 1) * (1 + owner % 3)
    cube = (shares @ _spectra(draw, classes, bands)) * texture[..., None]
    cube += draw.normal(0, 0.05, cube.shape)
    targets = np.where(closeness > np.quantile(closeness, BORDER), owner, UNLABELED)
    return Scene(
        name="synthetic",
        address={"cube": "scene:synthetic"},
        raster=Raster((1000 * np.clip(cube, 0, None)).astype(np.float32)),
        targets=targets.astype(np.int16),
        labels=tuple(f"synthetic {kind + 1}" for kind in range(classes)),
        ids=tuple(range(1, classes + 1)),
        synthetic=True,
        notes=("synthetic: made of smooth spectra, noise and texture; its scores say nothing about real scenes",),
    )


def _fields(
    draw: np.random.Generator, height: int, width: int, classes: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return centers (N, 2) and classes (N,) of the fields; every class has about the same number of fields."""
    tops, lefts = (np.arange(FIELD / 2, side, FIELD) for side in (height, width))
    grid = np.stack(np.meshgrid(tops, lefts, indexing="ij"), axis=-1).reshape(-1, 2)
    centers = grid + draw.uniform(-FIELD / 3, FIELD / 3, grid.shape)
    return centers, draw.permutation(np.arange(len(grid)) % classes)


def _spectra(draw: np.random.Generator, classes: int, bands: int) -> NDArray[np.float64]:
    """Return spectra (classes, bands): one common curve plus three smooth bumps for each class."""
    places = np.linspace(0, 1, bands)
    common = 0.6 + 0.3 * np.sin(3 * places)
    middles, widths = draw.uniform(0.1, 0.9, (classes, 3, 1)), draw.uniform(0.05, 0.2, (classes, 3, 1))
    heights = draw.uniform(-0.12, 0.12, (classes, 3, 1))
    spectra: NDArray[np.float64] = common + (heights * np.exp(-(((places - middles) / widths) ** 2))).sum(axis=1)
    return spectra


def _smooth(values: NDArray[np.generic], radius: int) -> NDArray[np.float64]:
    """Return the mean over (2·radius + 1)² neighbors, with repeated edges. (H, W) -> same."""
    side = 2 * radius + 1
    padded = np.pad(values.astype(np.float64), radius, mode="edge")
    means: NDArray[np.float64] = np.lib.stride_tricks.sliding_window_view(padded, (side, side)).mean(axis=(2, 3))
    return means
