"""Mirroring and shifting."""

from __future__ import annotations

import numpy as np
import pytest

from pennyweight.data import Augment

SIDE = 16


@pytest.fixture
def pixels(noise) -> np.ndarray:
    return np.stack([noise(SIDE, SIDE + 4, seed=seed) for seed in range(64)])


def augmented(pixels: np.ndarray, *, flip: bool, shift: float, seed: int = 0, epoch: int = 1) -> np.ndarray:
    numbers = np.arange(len(pixels))
    return Augment(flip=flip, shift=shift)(pixels, seed=seed, epoch=epoch, samples=numbers)


def test_nothing_changes_when_off(pixels: np.ndarray) -> None:
    assert np.array_equal(augmented(pixels, flip=False, shift=0.0), pixels)


def test_a_flip_only_mirrors_about_half(pixels: np.ndarray) -> None:
    out = augmented(pixels, flip=True, shift=0.0)
    same = (out == pixels).all((1, 2, 3))
    mirrored = (out == pixels[:, :, ::-1]).all((1, 2, 3))
    assert (same ^ mirrored).all()
    assert 16 < mirrored.sum() < 48


def moves(pixels: np.ndarray, out: np.ndarray, most: int) -> list[tuple[int, int]]:
    """The (down, across) by which each picture was moved with its edges repeated."""
    found = []
    for before, after in zip(pixels, out, strict=True):
        height, width, _ = before.shape
        padded = np.pad(before, ((most, most), (most, most), (0, 0)), mode="edge")
        found += [
            (down - most, across - most)
            for down in range(2 * most + 1)
            for across in range(2 * most + 1)
            if np.array_equal(padded[down : down + height, across : across + width], after)
        ]
    return found


def test_a_shift_moves_by_up_to_its_share_and_repeats_edges(pixels: np.ndarray) -> None:
    found = moves(pixels, augmented(pixels, flip=False, shift=0.125), most=4)
    assert len(found) == len(pixels)  # each is one of the moves
    downs, across = (set(direction) for direction in zip(*found, strict=True))
    assert downs == {-2, -1, 0, 1, 2}  # an eighth of 16
    assert across == {-2, -1, 0, 1, 2}  # and of 20, rounded down


def test_directions_are_drawn_apart(pixels: np.ndarray) -> None:
    found = moves(pixels, augmented(pixels, flip=False, shift=0.125), most=2)
    assert len(set(found)) > 15


def test_another_epoch_or_seed_changes_otherwise(pixels: np.ndarray) -> None:
    base = augmented(pixels, flip=True, shift=0.125)
    assert np.array_equal(base, augmented(pixels, flip=True, shift=0.125))
    assert not np.array_equal(base, augmented(pixels, flip=True, shift=0.125, epoch=2))
    assert not np.array_equal(base, augmented(pixels, flip=True, shift=0.125, seed=1))


def test_a_sample_is_changed_alike_in_any_batch(pixels: np.ndarray) -> None:
    augment = Augment(flip=True, shift=0.25)
    whole = augment(pixels, seed=3, epoch=4, samples=np.arange(64))
    some = np.array([40, 2, 63])
    assert np.array_equal(augment(pixels[some], seed=3, epoch=4, samples=some), whole[some])


def test_the_original_is_left_alone(pixels: np.ndarray) -> None:
    before = pixels.copy()
    out = augmented(pixels, flip=True, shift=0.25)
    assert out.dtype == np.uint8
    assert out.shape == pixels.shape
    assert np.array_equal(pixels, before)
