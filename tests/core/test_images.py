"""Picture files to pixels, whatever their mode, and files that are no pictures."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pennyweight.core.errors import ImageError, InputError
from pennyweight.core.images import decode

ORIENTATION = 0x0112


def upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """EXIF 2.32, table 4.6.4: how to turn the stored rows and columns so that the picture stands upright."""
    return {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: stored[::-1].swapaxes(0, 1),
        7: stored[::-1, ::-1].swapaxes(0, 1),
        8: stored[:, ::-1].swapaxes(0, 1),
    }[orientation]


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_pictures_are_turned_upright(noise, orientation: int, kind: str) -> None:
    pixels = noise(5, 9)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(Image.fromarray(pixels), kind, exif=exif, **options)
    assert np.array_equal(np.asarray(decode(content)), upright(pixels, orientation))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_picture_that_pillow_opened_is_that_of_its_file(noise, orientation: int, kind: str) -> None:
    exif, stream = Image.Exif(), io.BytesIO()
    exif[ORIENTATION] = orientation
    Image.fromarray(noise(24, 36)).save(stream, kind, exif=exif)
    expected = np.asarray(decode(stream.getvalue()))
    opened, loaded = Image.open(stream), Image.open(stream)
    loaded.load()
    assert np.array_equal(np.asarray(decode(opened)), expected)
    assert np.array_equal(np.asarray(decode(loaded)), expected)


def test_a_jpeg_of_a_camera_held_sideways_stands_upright(tmp_path: Path) -> None:
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, :32] = (255, 0, 0)
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # turn clockwise: the left side comes to the top
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
    image = decode(tmp_path / "a.jpg")
    assert image.size == (32, 64)
    assert image.getpixel((16, 8))[0] > 240
    assert max(image.getpixel((16, 56))) < 15


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    image = Image.new(mode, (3, 1), 0)
    black, half = ((0,) * (len(mode) - 1) + (alpha,) for alpha in (255, 128))
    image.putpixel((1, 0), half)
    image.putpixel((2, 0), black)
    seen = np.asarray(decode(encoded(image, "PNG")))[0]
    assert [tuple(pixel) for pixel in seen] == [(255, 255, 255), (127, 127, 127), (0, 0, 0)]
    assert np.asarray(decode(encoded(image, "PNG"), channels=1)).tolist() == [[255, 127, 0]]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_white(kind: str) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.putpixel((1, 0), 1)
    seen = np.asarray(decode(encoded(image, kind, transparency=0)))[0]
    assert [tuple(pixel) for pixel in seen] == [(255, 255, 255), (200, 0, 0)]
    solid = np.asarray(decode(encoded(image, kind)))[0]
    assert [tuple(pixel) for pixel in solid] == [(10, 20, 30), (200, 0, 0)]


def test_the_transparent_colour_of_an_rgb_png_is_white() -> None:
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (9, 9, 9))
    seen = np.asarray(decode(encoded(image, "PNG", transparency=(1, 2, 3))))[0]
    assert [tuple(pixel) for pixel in seen] == [(255, 255, 255), (9, 9, 9)]


def test_cmyk_becomes_rgb() -> None:
    inks = {(0, 0, 0, 0): (255, 255, 255), (0, 255, 255, 0): (255, 0, 0), (0, 0, 0, 255): (0, 0, 0)}
    for ink, colour in inks.items():
        seen = decode(encoded(Image.new("CMYK", (8, 8), ink), "JPEG", quality=100)).getpixel((4, 4))
        assert np.abs(np.subtract(seen, colour)).max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_keep_their_upper_eight(kind: str, channels: int) -> None:
    wide = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    seen = np.asarray(decode(encoded(Image.fromarray(wide), kind), channels=channels)).reshape(5, channels)
    assert seen.tolist() == [[level] * channels for level in (0, 0, 1, 128, 255)]


def test_sixteen_bits_of_a_pgm_keep_their_upper_eight() -> None:
    content = b"P5 3 1 65535\n" + np.array([255, 32768, 65535], ">u2").tobytes()
    assert np.asarray(decode(content, channels=1)).tolist() == [[0, 128, 255]]


def test_thirty_two_bits_have_no_white_to_go_by(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 200, np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"a\.tif: its pixels are 32-bit numbers.* save it as 16-bit"):
        decode(tmp_path / "a.tif")


def test_pillows_remarks_are_not_shown_and_no_other_warning_is_lost() -> None:
    script = """
import io, warnings
from concurrent.futures import ThreadPoolExecutor
from PIL import Image
from pennyweight.core.images import decode
file = io.BytesIO()
Image.new("RGB", (64, 64)).save(file, "JPEG", exif=b"Exif\\0\\0MM\\0*\\0\\0\\0\\x08\\0\\x09")
before = list(warnings.filters)
with ThreadPoolExecutor(4) as pool:
    list(pool.map(decode, [file.getvalue()] * 400))
assert warnings.filters == before
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_grey_becomes_three_equal_channels(noise) -> None:
    grey = noise(6, 7, None)
    seen = np.asarray(decode(encoded(Image.fromarray(grey), "PNG")))
    assert np.array_equal(seen, np.stack([grey] * 3, axis=-1))


def test_colour_becomes_grey_by_luma() -> None:
    """ITU-R 601-2, as Pillow documents it: 0.299 red, 0.587 green, 0.114 blue."""
    colours = Image.fromarray(np.diag([255, 255, 255]).astype(np.uint8).reshape(1, 3, 3))
    assert np.asarray(decode(colours, channels=1)).tolist() == [[76, 150, 29]]


@pytest.mark.parametrize("channels", [1, 3])
def test_one_bit_pictures_become_black_and_white(channels: int) -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    seen = np.asarray(decode(encoded(image, "PNG"), channels=channels)).reshape(2, channels)
    assert seen.tolist() == [[0] * channels, [255] * channels]


def test_of_an_animation_the_first_frame_is_taken() -> None:
    red, blue = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    content = encoded(red, "GIF", save_all=True, append_images=[blue], duration=50)
    assert decode(content).getpixel((2, 2)) == (255, 0, 0)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3)])
def test_arrays_are_taken_as_they_are(noise, shape: tuple[int, ...]) -> None:
    pixels = noise(4, 5)[..., : shape[2]] if len(shape) == 3 else noise(4, 5, None)
    channels = 3 if shape[-1] == 3 else 1
    assert np.array_equal(np.asarray(decode(pixels, channels=channels)), pixels.reshape(shape).squeeze())
    flipped = pixels[:, ::-1]  # not contiguous
    assert np.array_equal(np.asarray(decode(flipped, channels=channels)), flipped.squeeze())


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 5, 3), np.float32),
        np.zeros((4, 5, 3), np.int64),
        np.zeros((4, 5, 2), np.uint8),
        np.zeros((4, 5, 5), np.uint8),
        np.zeros((3, 4, 5), np.uint8),
        np.zeros((2, 4, 5, 3), np.uint8),
        np.zeros(5, np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 0), np.uint8),
    ],
)
def test_other_arrays_are_refused_with_their_type_and_shape(array: np.ndarray) -> None:
    with pytest.raises(InputError) as caught:
        decode(array)
    assert f"{array.dtype} {array.shape}" in str(caught.value)


@pytest.mark.parametrize("channels", [0, 2, 5])
def test_other_channel_counts_are_refused(noise, channels: int) -> None:
    with pytest.raises(InputError, match=f"1, 3, 4 channels, not {channels}"):
        decode(noise(4, 5), channels=channels)
