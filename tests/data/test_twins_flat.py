"""Twins among flat pictures: different things do not chain, recordings stay whole, and the answer says it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from pennyweight.data.twins import find_twins, thumbnail_of
from pennyweight.data.twins.chains import FEW


def noisy(gray: np.ndarray, levels: float) -> np.ndarray:
    """Thumbnails with noise of some gray levels, as small pictures of a sensor have it."""
    return np.clip(np.rint(gray + np.random.default_rng(0).normal(0, levels, gray.shape)), 0, 255).astype(np.uint8)


def stars(count: int) -> np.ndarray:
    """Thumbnails of stars of different colors, sizes and numbers of points on white."""
    draw = np.random.default_rng(5)
    pictures = []
    for _ in range(count):
        points, radius, turn = int(draw.integers(4, 9)), draw.integers(15, 32), draw.uniform(0, 2 * np.pi)
        angles = turn + np.arange(2 * points) * np.pi / points
        reach = np.where(np.arange(2 * points) % 2, radius, radius / 2)
        corners = draw.integers(40, 60, 2) + np.stack([np.cos(angles), np.sin(angles)], 1) * reach[:, None]
        picture = Image.new("RGB", (100, 100), (250, 250, 250))
        ImageDraw.Draw(picture).polygon([*map(tuple, corners.tolist())], fill=tuple(map(int, draw.integers(0, 256, 3))))
        pictures.append(thumbnail_of(picture.filter(ImageFilter.GaussianBlur(1))))
    return np.stack(pictures)


def flat_things(count: int, *, frames: int = 1, seed: int = 5) -> np.ndarray:
    """Thumbnails of rectangles and discs of different colors and sizes on white, each moved in its frames."""
    draw = np.random.default_rng(seed)
    pictures = []
    for number in range(count):
        color, radius = tuple(map(int, draw.integers(0, 256, 3))), draw.integers(8, 28, 2)
        center = draw.integers(35, 65, 2)
        for _ in range(frames):
            picture = Image.new("RGB", (100, 100), (250, 250, 250))
            pen, moved = ImageDraw.Draw(picture), center + draw.integers(-3, 4, 2)
            (pen.ellipse if number % 2 else pen.rectangle)((*(moved - radius), *(moved + radius)), fill=color)
            pictures.append(thumbnail_of(picture.filter(ImageFilter.GaussianBlur(1))))
    return np.stack(pictures)


@pytest.mark.parametrize("count", [100, pytest.param(240, marks=pytest.mark.slow)])
def test_discs_and_rectangles_do_not_chain_to_a_cluster(count: int) -> None:
    found = find_twins(flat_things(count))
    assert max(map(len, found.clusters(count)), default=0) <= FEW
    assert found.unsure.sum() > count / 2
    assert "--group-by" in str(found.reason)


@pytest.mark.parametrize("levels", [0, 2, 3])
def test_noise_makes_no_clusters_of_stars(levels: float) -> None:
    found = find_twins(noisy(stars(120), levels))
    assert max(map(len, found.clusters(120)), default=0) <= FEW
    assert found.unsure.sum() > 60


def test_flat_things_of_two_sets_do_not_chain() -> None:
    found = find_twins(flat_things(80, seed=1), against=flat_things(80, seed=2))
    assert len(found.pairs) <= 2
    assert found.unsure.sum() > 40


@pytest.mark.parametrize(("thing", "levels"), [(0, 0), (1, 0), (1, 2), (4, 2)])
def test_a_recording_of_a_flat_thing_stays_whole(thing: int, levels: float) -> None:
    frames = noisy(flat_things(thing + 1, frames=20, seed=3)[20 * thing :], levels)
    draw = np.random.default_rng(0)
    others = [np.asarray(Image.fromarray(draw.integers(0, 256, (9, 9), dtype=np.uint8)).resize((32, 32), 3))
              for _ in range(30)]  # fmt: skip
    found = find_twins(np.concatenate([frames, np.stack(others)]))
    assert found.clusters(50) == (tuple(range(20)),)
    assert found.reason is None


def test_pictures_with_too_few_shapes_are_counted() -> None:
    plain = np.full((3, 32, 32), 200, np.uint8)
    assert "3 of 3 pictures have too few shapes" in str(find_twins(plain).reason)
    found = find_twins(np.concatenate([plain, flat_things(100)]))
    assert found.plain[:3].all()
    assert f"and {found.plain.sum()} have too few shapes" in str(found.reason)


def test_a_picture_that_cannot_be_read_is_not_counted_as_plain() -> None:
    assert find_twins(np.zeros((2, 32, 32), np.uint8)).reason is None
