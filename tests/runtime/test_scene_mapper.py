"""A scene in tiles is answered as a whole is, from memory or from disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pennyweight.core.errors import InputError
from pennyweight.runtime import Outputs
from pennyweight.runtime.scene_mapper import MASKED, TileEngine, WindowsEngine, map_scene

WINDOW = 5
CUBE = np.random.default_rng(0).random((23, 19, 3)).astype(np.float32)


def windows(values: np.ndarray) -> Outputs:
    """Each class's logit is its band's mean over the window, unknown pixels as nothing; (B, w, w, 3) -> (B, 3)."""
    logits = np.nan_to_num(values).mean(axis=(1, 2)) * 20
    exp = np.exp(logits)
    return Outputs(exp / exp.sum(axis=-1, keepdims=True), logits)


def expected(cube: np.ndarray) -> np.ndarray:
    """Window by window, zeros outside."""
    half = WINDOW // 2
    padded = np.pad(np.nan_to_num(cube), ((half, half), (half, half), (0, 0)))
    return np.array(
        [
            [padded[r : r + WINDOW, c : c + WINDOW].mean(axis=(0, 1)).argmax() for c in range(cube.shape[1])]
            for r in range(cube.shape[0])
        ]
    )


@pytest.mark.parametrize("tile", [4, 7, 64])
def test_tiles_join_without_a_seam(tile: int) -> None:
    seen = 0

    def advance(count: int) -> None:
        nonlocal seen
        seen += count

    mapped = map_scene(WindowsEngine(windows, window=WINDOW, bands=3), CUBE, tile=tile, advance=advance)
    np.testing.assert_array_equal(mapped.classes, expected(CUBE))
    assert seen == CUBE.shape[0] * CUBE.shape[1]
    assert mapped.confidence.min() >= 1 / 3
    assert mapped.masked == 0


def test_pixels_without_numbers_are_masked_and_their_neighbours_are_not() -> None:
    cube = CUBE.copy()
    cube[3, 4, 1] = np.nan
    mapped = map_scene(WindowsEngine(windows, window=WINDOW, bands=3), cube, tile=8)
    assert mapped.masked == 1
    assert mapped.classes[3, 4] == MASKED
    assert mapped.confidence[3, 4] == 0


def test_a_cube_on_disk_is_read_a_tile_at_a_time(tmp_path: Path) -> None:
    np.save(tmp_path / "cube.npy", CUBE)
    sizes = []

    def answer(tile: np.ndarray) -> Outputs:
        sizes.append(tile.shape)
        shape = (tile.shape[0] - WINDOW + 1, tile.shape[1] - WINDOW + 1, 3)
        return Outputs(np.full(shape, 1 / 3, np.float32), np.zeros(shape, np.float32))

    engine = TileEngine(answer, window=WINDOW, bands=3)
    mapped = map_scene(engine, np.load(tmp_path / "cube.npy", mmap_mode="r"), tile=8)
    assert mapped.classes.shape == (23, 19)
    assert max(sizes) == (12, 12, 3)


def test_other_bands_are_refused() -> None:
    with pytest.raises(InputError, match="takes scenes of height×width×4 bands, not 23×19×3"):
        map_scene(WindowsEngine(windows, window=WINDOW, bands=4), CUBE)
