"""Gray thumbnails: the same picture gives nearly the same thumbnail, however it was stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.data.twins.thumbnails import SIDE, thumbnail_of

Noise = Callable[..., np.ndarray]


@pytest.fixture(name="picture", scope="module")
def picture_fixture(noise: Noise) -> Image.Image:
    return Image.fromarray(noise(300, 400))


@pytest.mark.parametrize("size", [(200, 150), (800, 600), (400, 300), (97, 111)])
def test_a_thumbnail_does_not_depend_on_the_stored_size(picture: Image.Image, size: tuple[int, int]) -> None:
    other = thumbnail_of(picture.resize(size, Image.Resampling.BICUBIC)).astype(int)
    assert other.shape == (SIDE, SIDE)
    assert np.abs(other - thumbnail_of(picture)).mean() < 1.5


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "CMYK", "LA"])
def test_every_mode_of_pillow_makes_a_thumbnail(picture: Image.Image, mode: str) -> None:
    other = thumbnail_of(picture.convert(mode)).astype(int)
    assert np.abs(other - thumbnail_of(picture)).mean() < 8


def test_hidden_colors_of_transparent_pixels_do_not_count(picture: Image.Image) -> None:
    hidden = picture.copy()
    hidden.putalpha(0)
    assert (thumbnail_of(hidden) == 255).all()


def test_many_bands_use_the_middle_band(tmp_path: Path, noise: Noise) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    cube = noise(40, 40, 7)
    np.save(tmp_path / "a" / "x.npy", cube)
    np.save(tmp_path / "b" / "y.npy", 255 - cube)
    made = data.glance_at(data.open(tmp_path))
    assert made is not None
    assert (made.gray[0] == thumbnail_of(Image.fromarray(cube[..., 3]))).all()


def test_a_large_jpeg_gives_the_thumbnail_of_its_whole_size(tmp_path: Path, noise: Noise) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    large = Image.fromarray(noise(1200, 1600))
    large.save(tmp_path / "a" / "x.jpg", quality=95)
    large.save(tmp_path / "b" / "y.png")
    made = data.glance_at(data.open(tmp_path))
    assert made is not None
    assert np.abs(made.gray[0].astype(int) - made.gray[1]).mean() < 1.5
