"""A whole scene, tile by tile, in bounded memory: the cube may be larger than memory, when it is memory-mapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import InputError
from pennyweight.core.spectral import finite
from pennyweight.runtime.classifier import Outputs

__all__ = ["MASKED", "SceneEngine", "SceneMap", "Tile", "TileEngine", "WindowsEngine", "map_scene", "tiles"]

TILE = 128
"""Pixels a side of what is answered at once; with the windows' reach the engine sees a little more."""
MASKED = 255
"""In a map: a pixel without numbers."""
WINDOWS = 256


class SceneEngine(Protocol):
    """(h, w, bands) float32, NaN where nothing is known -> Outputs (h - window + 1, w - window + 1, classes)."""

    window: int
    bands: int

    def __call__(self, tile: NDArray[np.float32]) -> Outputs: ...


class Tile(NamedTuple):
    """A part of a scene: where it lies, which of its pixels have numbers, and what the engine says of it."""

    rows: slice
    cols: slice
    known: NDArray[np.bool_]
    outputs: Outputs


@dataclass(frozen=True, eq=False)
class SceneMap:
    """What every pixel is, and how sure that is; both (H, W)."""

    classes: NDArray[np.uint8]
    """Index into the labels; MASKED where the pixel has no numbers."""
    confidence: NDArray[np.float32]
    """Probability of that class; 0 where masked."""

    @property
    def masked(self) -> int:
        return int((self.classes == MASKED).sum())


class TileEngine:
    """A network that takes tiles as they are: `answer` is the engine's call."""

    def __init__(self, answer: Callable[[NDArray[Any]], Outputs], *, window: int, bands: int) -> None:
        self.window, self.bands = window, bands
        self._answer = answer

    def __call__(self, tile: NDArray[np.float32]) -> Outputs:
        return self._answer(tile)


class WindowsEngine:
    """A network without a convolutional form: `answer` takes (B, window, window, bands), a batch at a time."""

    def __init__(self, answer: Callable[[NDArray[Any]], Outputs], *, window: int, bands: int) -> None:
        self.window, self.bands = window, bands
        self._answer = answer

    def __call__(self, tile: NDArray[np.float32]) -> Outputs:
        sides = (self.window, self.window)
        views = np.lib.stride_tricks.sliding_window_view(tile, sides, axis=(0, 1))
        height, width = views.shape[:2]
        parts = []
        for start in range(0, height * width, WINDOWS):
            rows, cols = np.unravel_index(np.arange(start, min(start + WINDOWS, height * width)), (height, width))
            parts.append(self._answer(np.ascontiguousarray(views[rows, cols].transpose(0, 2, 3, 1))))
        return Outputs(*(np.concatenate(part).reshape(height, width, -1) for part in zip(*parts, strict=True)))


def tiles(engine: SceneEngine, cube: NDArray[Any], *, tile: int = TILE) -> Iterator[Tile]:
    """Every part of (H, W, bands), answered. Only one tile of the cube is in memory at a time.

    Raises InputError for other bands than the network was trained on.
    """
    if cube.ndim != 3 or cube.shape[2] != engine.bands:
        shape = "×".join(map(str, cube.shape))
        raise InputError(f"this network takes scenes of height×width×{engine.bands} bands, not {shape}")
    half = engine.window // 2
    height, width = cube.shape[:2]
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            first, start = max(top - half, 0), max(left - half, 0)
            part = np.asarray(cube[first : bottom + half, start : right + half], dtype=np.float32)
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
    advance: Callable[[int], None] = lambda count: None,
) -> SceneMap:
    """The class of every pixel of (H, W, bands); `advance(n)` after every n pixels."""
    classes = np.empty(cube.shape[:2], np.uint8)
    confidence = np.empty(cube.shape[:2], np.float32)
    for rows, cols, known, outputs in tiles(engine, cube, tile=tile):
        best = outputs.probabilities.argmax(axis=-1)
        sure = np.take_along_axis(outputs.probabilities, best[..., None], axis=-1)[..., 0]
        classes[rows, cols] = np.where(known, best, MASKED)
        confidence[rows, cols] = np.where(known, sure, 0)
        advance(known.size)
    return SceneMap(classes, confidence)
