"""Map a whole scene tile by tile in bounded memory: a memory-mapped cube may be larger than memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.band_choice import BandChoice
from pennyweight.core.errors import InputError
from pennyweight.core.figures import number, shape, share
from pennyweight.core.spectral import finite
from pennyweight.core.summary import Facts, Summary
from pennyweight.runtime.classifier import Outputs

__all__ = ["MASKED", "SceneEngine", "SceneMap", "Tile", "TileEngine", "WindowsEngine", "map_scene", "tiles"]

TILE = 128
"""Side of a tile's output in pixels; the engine's input is larger by window - 1."""
MASKED = 255
"""Value of a map's pixel whose spectrum has NaN or infinity."""
WINDOWS = 256
"""Windows computed together."""


class SceneEngine(Protocol):
    """Callable (h, w, bands) float32, NaN outside the scene -> Outputs (h - window + 1, w - window + 1, classes)."""

    window: int
    bands: int

    def __call__(self, tile: NDArray[np.float32]) -> Outputs: ...


class Tile(NamedTuple):
    """Part of a scene: its place, the pixels with finite spectra, and the engine's outputs."""

    rows: slice
    cols: slice
    known: NDArray[np.bool_]
    outputs: Outputs


@dataclass(frozen=True, eq=False, repr=False)
class SceneMap(Summary):
    """Class and confidence of every pixel, both (H, W)."""

    classes: NDArray[np.uint8]
    """Index into the labels; MASKED for a pixel without a finite spectrum."""
    confidence: NDArray[np.float32]
    """Probability of that class; 0 where masked."""

    @property
    def masked(self) -> int:
        """Number of masked pixels."""
        return int((self.classes == MASKED).sum())

    def _facts(self) -> Facts:
        yield "pixels", shape(self.classes.shape)
        known = self.classes != MASKED
        yield "classes found", number(len(np.unique(self.classes[known])))
        if self.masked:
            yield "masked", number(self.masked)
        if known.any():
            yield "mean confidence", share(float(self.confidence[known].mean()))


class TileEngine:
    """Engine of a convolutional network: `compute` takes a whole tile, (h, w, bands)."""

    def __init__(self, compute: Callable[[NDArray[Any]], Outputs], *, window: int, bands: int) -> None:
        self.window, self.bands = window, bands
        self._compute = compute

    def __call__(self, tile: NDArray[np.float32]) -> Outputs:
        """Compute the outputs of a tile."""
        return self._compute(tile)


class WindowsEngine:
    """Engine of a network without a convolutional form: `compute` takes windows, (B, window, window, bands)."""

    def __init__(self, compute: Callable[[NDArray[Any]], Outputs], *, window: int, bands: int) -> None:
        self.window, self.bands = window, bands
        self._compute = compute

    def __call__(self, tile: NDArray[np.float32]) -> Outputs:
        """Compute the outputs of every window of a tile."""
        sides = (self.window, self.window)
        views = np.lib.stride_tricks.sliding_window_view(tile, sides, axis=(0, 1))
        height, width = views.shape[:2]
        parts = []
        for start in range(0, height * width, WINDOWS):
            rows, cols = np.unravel_index(np.arange(start, min(start + WINDOWS, height * width)), (height, width))
            parts.append(self._compute(np.ascontiguousarray(views[rows, cols].transpose(0, 2, 3, 1))))
        return Outputs(*(np.concatenate(part).reshape(height, width, -1) for part in zip(*parts, strict=True)))


def tiles(
    engine: SceneEngine, cube: NDArray[Any], *, tile: int = TILE, choice: BandChoice | None = None
) -> Iterator[Tile]:
    """Compute a scene tile by tile; one tile of the cube is in memory at a time.

    Args:
        engine: Engine of the network.
        cube: The scene, (H, W, bands).
        tile: Side of a tile in pixels.
        choice: Bands of a cube that the network takes; None for all.

    Yields:
        Each tile with its outputs, row by row.

    Raises:
        InputError: The cube has other bands than the network was trained on.
    """
    choice = choice or BandChoice.whole(engine.bands)
    if cube.ndim == 3 and not choice.is_whole:
        choice.take(cube[:0])  # refuses a cube of other bands
    elif cube.ndim != 3 or cube.shape[2] != engine.bands:
        shape = "×".join(map(str, cube.shape))
        raise InputError(f"this network takes scenes of height×width×{engine.bands} bands, not {shape}")
    half = engine.window // 2
    height, width = cube.shape[:2]
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            first, start = max(top - half, 0), max(left - half, 0)
            part = np.asarray(choice.take(cube[first : bottom + half, start : right + half]), dtype=np.float32)
            known = finite(part)[top - first : bottom - first, left - start : right - start]
            around = np.full((bottom - top + 2 * half, right - left + 2 * half, engine.bands), np.nan, np.float32)
            down, across = first - top + half, start - left + half
            around[down : down + part.shape[0], across : across + part.shape[1]] = part
            yield Tile(slice(top, bottom), slice(left, right), known, engine(around))


def map_scene(
    engine: SceneEngine,
    cube: NDArray[Any],
    *,
    tile: int = TILE,
    choice: BandChoice | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> SceneMap:
    """Classify every pixel of a scene.

    Args:
        engine: Engine of the network.
        cube: The scene, (H, W, bands).
        tile: Side of a tile in pixels.
        choice: Bands of a cube that the network takes; None for all.
        advance: Function called with n after every n pixels.

    Returns:
        Class and confidence of every pixel, (H, W).

    Raises:
        InputError: The cube has other bands than the network was trained on.
    """
    classes = np.empty(cube.shape[:2], np.uint8)
    confidence = np.empty(cube.shape[:2], np.float32)
    for rows, cols, known, outputs in tiles(engine, cube, tile=tile, choice=choice):
        best = outputs.probabilities.argmax(axis=-1)
        sure = np.take_along_axis(outputs.probabilities, best[..., None], axis=-1)[..., 0]
        classes[rows, cols] = np.where(known, best, MASKED)
        confidence[rows, cols] = np.where(known, sure, 0)
        advance(known.size)
    return SceneMap(classes, confidence)
