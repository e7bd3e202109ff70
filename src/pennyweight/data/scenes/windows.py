"""Batches of a scene's pixels for training: windows, or tiles with their labeled pixels.

Both are cut on demand from one projected and padded array; no array of patches is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.spectral import Projection
from pennyweight.data.augment.draws import draws
from pennyweight.data.batch import Batch
from pennyweight.data.scenes.scene import Scene

__all__ = ["NoPreprocess", "Padded", "SceneTiles", "SceneWindows", "tile_steps"]

ROWS = 64
"""Rows that are projected together."""
TILE = 8
"""Side of a training tile in pixels, without the margin of its windows. Larger tiles share more work, but then all
pixels of a step come from one place, and networks learn far less."""


class NoPreprocess:
    """Stand-in for the preprocessing of pictures, which leaves a scene's projected values unchanged."""

    def __init__(self, channels: int) -> None:
        self.mean = (0.0,) * channels
        self.std = (1 / 255,) * channels  # cancels the division of 0..255 pixels by 255


@dataclass(frozen=True, eq=False)
class Padded:
    """Projected scene with half a window of zeros around it."""

    values: NDArray[np.float32]
    """(H + window - 1, W + window - 1, channels)"""
    truth: NDArray[np.int16]
    """(H, W)"""
    window: int

    @classmethod
    def of(cls, scene: Scene, projection: Projection, window: int) -> Padded:
        """Project and pad a scene, ROWS rows at a time, so that the cube may stay on disk."""
        half = window // 2
        height, width = scene.shape
        values = np.zeros((height + 2 * half, width + 2 * half, projection.channels), np.float32)
        for start in range(0, height, ROWS):
            part = projection(scene.cube[start : start + ROWS])
            values[half + start : half + start + len(part), half : half + width] = part
        return cls(values, scene.truth, window)


def _turn(part: NDArray[Any], draw: float) -> NDArray[Any]:
    """Rotate and mirror a square by one of its eight symmetries, chosen by `draw`. (side, side, …) -> same."""
    symmetry = int(draw * 8)
    part = np.rot90(part, symmetry % 4)
    return part[:, ::-1] if symmetry >= 4 else part


class SceneWindows:
    """Windows around some pixels of a scene, in the interface of Pictures for `train`."""

    def __init__(self, scene: Padded, pixels: NDArray[np.int64]) -> None:
        self.preprocess = NoPreprocess(scene.values.shape[2])
        self._scene = scene
        self._rows, self._cols = np.unravel_index(pixels, scene.truth.shape)
        self.targets = scene.truth.ravel()[pixels].astype(np.int64)
        sides = (scene.window, scene.window)
        # (H, W, channels, window, window), a view: windows are copied only when a batch is cut.
        self._views = np.lib.stride_tricks.sliding_window_view(scene.values, sides, axis=(0, 1))

    def __len__(self) -> int:
        return len(self.targets)

    def cut(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cut windows by their numbers. (B,) -> (B, window, window, channels)."""
        return self._views[self._rows[numbers], self._cols[numbers]].transpose(0, 2, 3, 1)

    def in_order(self, batch: int) -> Iterator[Batch]:
        """Yield every window once, in order and unchanged."""
        for start in range(0, len(self), batch):
            numbers = np.arange(start, min(start + batch, len(self)))
            yield _batch(self.cut(numbers), self.targets[numbers])

    def steps(self, batch: int) -> int:
        """Return the number of batches in an epoch: as few as hold all windows, none with a single window."""
        return max(1, min(-(-len(self) // batch), len(self) // 2))

    def epoch(
        self, epoch: int, *, batch: int, seed: int, augment: Any, device: Any = None, start: int = 0
    ) -> Iterator[Batch]:
        """Yield every window once, shuffled by (seed, epoch); with `augment.flip`, rotated and mirrored at random."""
        drawn = draws(seed, epoch, np.arange(len(self)), 2)
        for numbers in np.array_split(np.argsort(drawn[:, 0], kind="stable"), self.steps(batch))[start:]:
            windows = self.cut(numbers)
            if augment.flip:
                pairs = zip(windows, drawn[numbers, 1], strict=True)
                windows = np.stack([_turn(window, draw) for window, draw in pairs])
            yield _batch(windows, self.targets[numbers])


class SceneTiles:
    """Tiles around some pixels of a scene, for TileTraining: the last channel marks the pixels, in order of targets."""

    def __init__(self, scene: Padded, pixels: NDArray[np.int64], *, tile: int = TILE) -> None:
        self.preprocess = NoPreprocess(scene.values.shape[2] + 1)
        self._scene, self._tile = scene, tile
        height, width = scene.truth.shape
        marked = np.zeros(height * width, bool)
        marked[pixels] = True
        # The scene is padded at the right and bottom, so that all tiles have one size.
        spare = [(0, -side % tile) for side in (height, width)]
        self._marked = np.pad(marked.reshape(height, width), spare)
        self._truth = np.pad(scene.truth, spare)
        self._values = np.pad(scene.values, [*spare, (0, 0)])
        places = np.argwhere(self._marked)
        self.corners = np.unique(places // tile * tile, axis=0)
        counts = [self._marked[top : top + tile, left : left + tile].sum() for top, left in self.corners]
        self.mean_marks = float(np.mean(counts))
        self.targets = np.concatenate([self._cut(number, None)[1] for number in range(len(self.corners))])

    def __len__(self) -> int:
        return len(self.targets)

    def _cut(self, number: int, draw: float | None) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cut a tile with its margin and marks, (side, side, channels + 1), and the targets of the marked pixels."""
        top, left = self.corners[number]
        side, half = self._tile + self._scene.window - 1, self._scene.window // 2
        inner = np.s_[top : top + self._tile, left : left + self._tile]
        values, marks, truth = (
            self._values[top : top + side, left : left + side],
            self._marked[inner],
            self._truth[inner],
        )
        if draw is not None:
            values, marks, truth = (_turn(part, draw) for part in (values, marks, truth))
        last = np.pad(marks.astype(np.float32), half)[..., None]
        return np.concatenate([values, last], axis=2), truth[marks].astype(np.int64)

    def _join(self, numbers: NDArray[np.int64], drawn: NDArray[np.float64] | None) -> Batch:
        cut = [self._cut(int(number), None if drawn is None else float(drawn[number])) for number in numbers]
        return _batch(np.stack([values for values, _ in cut]), np.concatenate([targets for _, targets in cut]))

    def in_order(self, batch: int) -> Iterator[Batch]:
        """Yield every tile once, in order and unchanged."""
        for numbers in np.array_split(np.arange(len(self.corners)), self.steps(batch)):
            yield self._join(numbers, None)

    def steps(self, batch: int) -> int:
        """Return the number of batches in an epoch, of about `batch` marked pixels each."""
        return _steps(len(self.corners), self.mean_marks, batch)

    def epoch(
        self, epoch: int, *, batch: int, seed: int, augment: Any, device: Any = None, start: int = 0
    ) -> Iterator[Batch]:
        """Yield every tile once, shuffled by (seed, epoch); with `augment.flip`, rotated and mirrored at random."""
        drawn = draws(seed, epoch, np.arange(len(self.corners)), 2)
        for numbers in np.array_split(np.argsort(drawn[:, 0], kind="stable"), self.steps(batch))[start:]:
            yield self._join(numbers, drawn[:, 1] if augment.flip else None)


def tile_steps(pixels: NDArray[np.int64], shape: tuple[int, int], batch: int, *, tile: int = TILE) -> int:
    """Return the number of steps of an epoch over the tiles of some pixels, without cutting them."""
    rows, cols = np.unravel_index(pixels, shape)
    tiles = len(np.unique(rows // tile * shape[1] + cols // tile))
    return _steps(tiles, len(pixels) / tiles, batch)


def _steps(tiles: int, mean_marks: float, batch: int) -> int:
    return max(1, round(tiles / max(1.0, batch / mean_marks)))


def _batch(values: NDArray[np.float32], targets: NDArray[np.int64]) -> Batch:
    return Batch(np.ascontiguousarray(values), targets)
