"""Windows and tiles of a scene hold what they should, and nothing is copied before it is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from pennyweight.core.spectral import Projection
from pennyweight.data import Augment
from pennyweight.data.scenes.synthetic import synthetic
from pennyweight.data.scenes.windows import Padded, SceneTiles, SceneWindows, tile_steps

WINDOW = 7
PLAIN = Augment(flip=False, shift=0)
TURNING = Augment(flip=True, shift=0)


@pytest.fixture(scope="module")
def padded() -> Padded:
    scene = synthetic(40, 36)
    rows, cols = np.nonzero(scene.truth >= 0)
    return Padded.of(scene, Projection.fit(scene.cube[rows, cols], 5), WINDOW)


@pytest.fixture(scope="module")
def pixels(padded: Padded) -> np.ndarray:
    known = np.flatnonzero(padded.truth >= 0)
    return np.sort(np.random.default_rng(0).permutation(known)[:90])


def test_the_pixel_is_in_the_middle_and_zeros_lie_outside(padded: Padded) -> None:
    corner = SceneWindows(padded, np.array([0, padded.truth.size - 1])).cut(np.array([0, 1]))
    half = WINDOW // 2
    np.testing.assert_array_equal(corner[0, half, half], padded.values[half, half])
    assert not corner[0, :half].any()
    assert not corner[1, :, half + 1 :].any()
    assert corner[0, half:, half:].any()


def test_an_epoch_gives_every_window_once_with_its_class(padded: Padded, pixels: np.ndarray) -> None:
    windows = SceneWindows(padded, pixels)
    whole = windows.cut(np.arange(90))
    batches = list(windows.epoch(1, batch=16, seed=0, augment=PLAIN))
    assert len(batches) == windows.steps(16) == 6
    seen = np.concatenate([batch.pixels for batch in batches])
    targets = np.concatenate([batch.targets for batch in batches])
    order = [int(np.flatnonzero((whole == window).all(axis=(1, 2, 3)))[0]) for window in seen]
    assert sorted(order) == list(range(90))
    assert order != list(range(90))
    np.testing.assert_array_equal(targets, padded.truth.ravel()[pixels][order])
    again = next(iter(windows.epoch(1, batch=16, seed=0, augment=PLAIN))).pixels
    np.testing.assert_array_equal(batches[0].pixels, again)
    assert not np.array_equal(again, next(iter(windows.epoch(2, batch=16, seed=0, augment=PLAIN))).pixels)


def test_turned_windows_keep_their_middle(padded: Padded, pixels: np.ndarray) -> None:
    windows, half = SceneWindows(padded, pixels), WINDOW // 2
    plain, turned = (next(iter(windows.epoch(1, batch=90, seed=0, augment=a))) for a in (PLAIN, TURNING))
    np.testing.assert_array_equal(plain.pixels[:, half, half], turned.pixels[:, half, half])
    np.testing.assert_array_equal(plain.targets, turned.targets)
    assert (plain.pixels != turned.pixels).any(axis=(1, 2, 3)).mean() > 0.7
    np.testing.assert_allclose(plain.pixels.sum(axis=(1, 2)), turned.pixels.sum(axis=(1, 2)), atol=1e-3)


@pytest.mark.parametrize("augment", [None, TURNING], ids=["in order", "turned"])
def test_marks_and_targets_of_tiles_agree(padded: Padded, pixels: np.ndarray, augment: Augment | None) -> None:
    tiles = SceneTiles(padded, pixels, tile=16)
    batches = list(tiles.in_order(20) if augment is None else tiles.epoch(1, batch=20, seed=0, augment=augment))
    assert len(batches) == tiles.steps(20) == tile_steps(pixels, padded.truth.shape, 20, tile=16) > 1
    assert len(tiles) == sum(len(batch.targets) for batch in batches) == 90
    single = {
        tuple(padded.values[row + WINDOW // 2, col + WINDOW // 2].tolist()): padded.truth[row, col]
        for row, col in zip(*np.unravel_index(pixels, padded.truth.shape), strict=True)
    }
    for values, targets, _ in batches:
        marked = values[values[..., -1] > 0][:, :-1]
        assert [single[tuple(spectrum.tolist())] for spectrum in marked] == targets.tolist()


def test_no_patches_are_made_before_they_are_asked_for(padded: Padded, pixels: np.ndarray) -> None:
    windows = SceneWindows(padded, pixels)
    assert np.shares_memory(windows._views, padded.values)
