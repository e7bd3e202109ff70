"""16-bit pictures: the range that is used becomes 256 levels, in every file format, and the others are clipped."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pennyweight.core.errors import ImageError, InputError
from pennyweight.core.images import decode, decode_bands, header
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.sixteen_bit import to_bytes

LEVELS = ((100, 1630),)
COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels -> PNG's color type."""


def png(values: np.ndarray) -> bytes:
    """(H, W, C) uint16 as a PNG file, which Pillow does not write in colors."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    height, width, channels = values.shape
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, COLOR_TYPES[channels], 0, 0, 0),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    chunks = (struct.pack(">I", len(v)) + k + v + struct.pack(">I", zlib.crc32(k + v)) for k, v in parts.items())
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff(values: np.ndarray, **options: object) -> bytes:
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def pgm(values: np.ndarray, most: int) -> bytes:
    height, width = values.shape
    return f"P5 {width} {height} {most}\n".encode() + values.astype(">u2").tobytes()


@pytest.fixture
def values() -> np.ndarray:
    """(24, 30, 3) uint16 of 11 bits."""
    return np.random.default_rng(0).integers(0, 2048, (24, 30, 3)).astype(np.uint16)


def expected(values: np.ndarray) -> np.ndarray:
    black, white = LEVELS[0]
    return np.floor((np.clip(values.astype(float), black, white) - black) * 255 / (white - black) + 0.5)


COLORS = {
    "png": png,
    "npy": npy,
    "npy of another byte order": lambda values: npy(values.astype(">u2")),
    "tiff": lambda values: tiff(values, photometric="rgb"),
    "tiff of another byte order": lambda values: tiff(values, photometric="rgb", byteorder=">"),
    "tiff deflated": lambda values: tiff(values, photometric="rgb", compression="zlib"),
    "tiff planar": lambda values: tiff(np.moveaxis(values, -1, 0), photometric="rgb", planarconfig="separate"),
    "array": lambda values: values,
}
GREYS = {
    "png": lambda values: png(values[..., None]),
    "npy": npy,
    "tiff": lambda values: tiff(values, photometric="minisblack"),
    "array": lambda values: values,
    "image": lambda values: Image.fromarray(values),
}


@pytest.mark.parametrize("made", COLORS.values(), ids=COLORS)
def test_16_bit_colors_fill_the_8_bits(values: np.ndarray, made) -> None:
    picture = made(values)
    assert header(picture).wide
    assert np.array_equal(np.asarray(decode(picture, levels=LEVELS)), expected(values))
    assert np.array_equal(np.asarray(decode(picture)), values >> 8)  # as before there were levels


@pytest.mark.parametrize("made", GREYS.values(), ids=GREYS)
def test_16_bit_grey_fills_the_8_bits(values: np.ndarray, made) -> None:
    picture = made(values[..., 0])
    assert np.array_equal(np.asarray(decode(picture, channels=1, levels=LEVELS)), expected(values[..., 0]))
    assert np.array_equal(np.asarray(decode(picture, channels=1)), values[..., 0] >> 8)


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_keeps_its_full_range(values: np.ndarray, channels: int) -> None:
    wide = np.concatenate([values, values[..., :1] * 16], axis=-1)[..., 4 - channels :]
    found = np.asarray(decode(png(wide), channels=4, levels=LEVELS))
    assert np.array_equal(found[..., 3], wide[..., -1] >> 8)
    assert np.array_equal(found[..., 2], expected(wide[..., -2]))


def test_a_pgm_says_its_own_white(values: np.ndarray) -> None:
    small = np.minimum(values[..., 0], 1023)
    found = np.asarray(decode(pgm(small, 1023), channels=1)).astype(int)
    assert np.abs(found - small / 1023 * 255).max() <= 1


def test_each_of_many_bands_has_its_own_range() -> None:
    bands = np.stack([np.full((4, 4), value, np.uint16) for value in (10, 3000, 60000, 7, 20)], axis=-1)
    levels = ((0, 20), (2000, 4000), (0, 65535), (8, 9), (0, 10))
    found = [np.asarray(image)[0, 0] for image in decode_bands(npy(bands), channels=5, levels=levels)]
    assert found == [128, 128, 233, 0, 255]
    assert np.array_equal(
        np.stack(decode_bands(bands, channels=5, levels=levels)), np.stack([found] * 16, -1).reshape(5, 4, 4)
    )


def test_8_bit_pictures_stay_as_they_are(noise) -> None:
    pixels = noise(20, 20)
    usual = Preprocess(size=20, resize=20)
    assert np.array_equal(Preprocess(size=20, resize=20, levels=LEVELS)(pixels), usual(pixels))


def test_levels_are_kept_as_json_and_older_json_has_none() -> None:
    usual, stretched = Preprocess(size=20, resize=20), Preprocess(size=20, resize=20, levels=LEVELS)
    assert "levels" not in usual.to_dict()
    assert Preprocess.from_dict(usual.to_dict()).levels == ()
    assert Preprocess.from_dict({**stretched.to_dict(), "levels": [[100, 1630]]}) == stretched
    assert usual.pixels_key != stretched.pixels_key


@pytest.mark.parametrize("levels", [((5, 5),), ((0, 65536),), ((-1, 9),), ((0, 9), (0, 9)), ((0, 9, 10),), (3,)])
def test_levels_that_are_no_range_are_refused(levels: object) -> None:
    with pytest.raises(InputError):
        Preprocess(size=20, resize=20, levels=levels)  # type: ignore[arg-type]


def test_the_whole_range_and_a_wrong_number_of_bands() -> None:
    values = np.arange(256 * 300, dtype=np.uint16).reshape(300, 256)
    assert np.array_equal(to_bytes(values, ((0, 65535),)), np.floor(values.astype(float) * 255 / 65535 + 0.5))
    with pytest.raises(ImageError, match="5 bands"):
        decode_bands(npy(np.zeros((4, 4, 5), np.uint16)), channels=6, levels=((0, 9),) * 6)
