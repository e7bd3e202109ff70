"""A scene's pixels as training takes them: windows cut when they are asked for, or tiles with their labelled pixels.

Both read one projected and padded array; no array of patches is ever made.
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

__all__ = ["AsTheyAre", "Padded", "SceneTiles", "SceneWindows", "tile_steps"]

ROWS = 64
"""Rows that are projected together."""
TILE = 8
"""Pixels a side of a training tile, without what its windows reach beyond. Larger ones share more work, but then the
pixels of a step come from one place, and networks learn far less of them."""


class AsTheyAre:
    """Stands where pictures' preprocessing would: values are numbers already, and stay as they are."""

    def __init__(self, channels: int) -> None:
        self.mean = (0.0,) * channels
        self.std = (1 / 255,) * channels  # of pixels in 0..255, which these are not


@dataclass(frozen=True, eq=False)
class Padded:
    """A projected scene with half a window of zeros around it."""

    values: NDArray[np.float32]
    """(H + window - 1, W + window - 1, channels)"""
    truth: NDArray[np.int16]
    """(H, W)"""
    window: int

    @classmethod
    def of(cls, scene: Scene, projection: Projection, window: int) -> Padded:
        """Project row by row, so that the scene itself may stay on disk."""
        half = window // 2
        height, width = scene.shape
        values = np.zeros((height + 2 * half, width + 2 * half, projection.channels), np.float32)
        for start in range(0, height, ROWS):
            part = projection(scene.cube[start : start + ROWS])
            values[half + start : half + start + len(part), half : half + width] = part
        return cls(values, scene.truth, window)


def _turned(part: NDArray[Any], draw: float) -> NDArray[Any]:
    """One of the eight ways to lay a square picture from above. (side, side, …) -> same."""
    way = int(draw * 8)
    part = np.rot90(part, way % 4)
    return part[:, ::-1] if way >= 4 else part


class SceneWindows:
    """The windows around some pixels, as `train` takes pictures."""

    def __init__(self, scene: Padded, pixels: NDArray[np.int64]) -> None:
        self.preprocess = AsTheyAre(scene.values.shape[2])
        self._scene = scene
        self._rows, self._cols = np.unravel_index(pixels, scene.truth.shape)
        self.targets = scene.truth.ravel()[pixels].astype(np.int64)
        sides = (scene.window, scene.window)
        # (H, W, channels, window, window), a view: nothing is copied before a batch is cut.
        self._views = np.lib.stride_tricks.sliding_window_view(scene.values, sides, axis=(0, 1))

    def __len__(self) -> int:
        return len(self.targets)

    def cut(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B,) -> (B, window, window, channels)."""
        return self._views[self._rows[numbers], self._cols[numbers]].transpose(0, 2, 3, 1)

    def in_order(self, batch: int) -> Iterator[Batch]:
        """Every window once, as it is."""
        for start in range(0, len(self), batch):
            numbers = np.arange(start, min(start + batch, len(self)))
            yield _batch(self.cut(numbers), self.targets[numbers])

    def steps(self, batch: int) -> int:
        """How many batches `epoch` gives: as few as hold everything, and none of a single window."""
        return max(1, min(-(-len(self) // batch), len(self) // 2))

    def epoch(
        self, epoch: int, *, batch: int, seed: int, augment: Any, device: Any = None, start: int = 0
    ) -> Iterator[Batch]:
        """Every window once, in the order of (seed, epoch); with `augment.flip` turned and mirrored by its own draw."""
        drawn = draws(seed, epoch, np.arange(len(self)), 2)
        for numbers in np.array_split(np.argsort(drawn[:, 0], kind="stable"), self.steps(batch))[start:]:
            windows = self.cut(numbers)
            if augment.flip:
                turned = zip(windows, drawn[numbers, 1], strict=True)
                windows = np.stack([_turned(window, draw) for window, draw in turned])
            yield _batch(windows, self.targets[numbers])


class SceneTiles:
    """The same pixels as tiles, for TileTraining: a last channel marks them, and targets are in the marks' order."""

    def __init__(self, scene: Padded, pixels: NDArray[np.int64], *, tile: int = TILE) -> None:
        self.preprocess = AsTheyAre(scene.values.shape[2] + 1)
        self._scene, self._tile = scene, tile
        height, width = scene.truth.shape
        marked = np.zeros(height * width, bool)
        marked[pixels] = True
        # Tiles at the right and bottom reach beyond the scene, so that all have one size.
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
        """A tile with its surroundings and marks (side, side, channels + 1), and the targets of its marks."""
        top, left = self.corners[number]
        side, half = self._tile + self._scene.window - 1, self._scene.window // 2
        inner = np.s_[top : top + self._tile, left : left + self._tile]
        values, marks, truth = (
            self._values[top : top + side, left : left + side],
            self._marked[inner],
            self._truth[inner],
        )
        if draw is not None:
            values, marks, truth = (_turned(part, draw) for part in (values, marks, truth))
        last = np.pad(marks.astype(np.float32), half)[..., None]
        return np.concatenate([values, last], axis=2), truth[marks].astype(np.int64)

    def _join(self, numbers: NDArray[np.int64], drawn: NDArray[np.float64] | None) -> Batch:
        cut = [self._cut(int(number), None if drawn is None else float(drawn[number])) for number in numbers]
        return _batch(np.stack([values for values, _ in cut]), np.concatenate([targets for _, targets in cut]))

    def in_order(self, batch: int) -> Iterator[Batch]:
        """Every tile once, as it is."""
        for numbers in np.array_split(np.arange(len(self.corners)), self.steps(batch)):
            yield self._join(numbers, None)

    def steps(self, batch: int) -> int:
        """How many batches of tiles there are, of about `batch` marked pixels each."""
        return _steps(len(self.corners), self.mean_marks, batch)

    def epoch(
        self, epoch: int, *, batch: int, seed: int, augment: Any, device: Any = None, start: int = 0
    ) -> Iterator[Batch]:
        """Every tile once, in the order of (seed, epoch); with `augment.flip` turned and mirrored by its own draw."""
        drawn = draws(seed, epoch, np.arange(len(self.corners)), 2)
        for numbers in np.array_split(np.argsort(drawn[:, 0], kind="stable"), self.steps(batch))[start:]:
            yield self._join(numbers, drawn[:, 1] if augment.flip else None)


def tile_steps(pixels: NDArray[np.int64], shape: tuple[int, int], batch: int, *, tile: int = TILE) -> int:
    """How many steps an epoch over the tiles of some pixels has, before any is cut."""
    rows, cols = np.unravel_index(pixels, shape)
    tiles = len(np.unique(rows // tile * shape[1] + cols // tile))
    return _steps(tiles, len(pixels) / tiles, batch)


def _steps(tiles: int, mean_marks: float, batch: int) -> int:
    return max(1, round(tiles / max(1.0, batch / mean_marks)))


def _batch(values: NDArray[np.float32], targets: NDArray[np.int64]) -> Batch:
    return Batch(np.ascontiguousarray(values), targets)  # numbers in place of pixels
