"""Picture files to pixels, whatever their mode, and files that are no pictures."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pennyweight.core import images
from pennyweight.core.errors import ImageError, InputError
from pennyweight.core.images import EXTENSIONS, decode, header

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


def damaged_files() -> dict[str, Callable[[Path], object]]:
    """Name -> what makes a file at a path that is no picture."""
    photo = Image.effect_noise((64, 64), 60)

    def float_tiff(path: Path) -> None:
        Image.fromarray(np.zeros((4, 4), np.float32)).save(path, "TIFF")

    bomb = bytearray(encoded(photo, "BMP"))
    struct.pack_into("<ii", bomb, 18, 30_000, 30_000)
    return {
        "text": lambda path: path.write_text("not a picture\n" * 50),
        "empty": lambda path: path.write_bytes(b""),
        "one byte": lambda path: path.write_bytes(b"\xff"),
        "truncated JPEG": lambda path: path.write_bytes(encoded(photo, "JPEG")[:-400]),
        "JPEG header only": lambda path: path.write_bytes(encoded(photo, "JPEG")[:30]),
        "truncated PNG": lambda path: path.write_bytes(encoded(photo, "PNG")[:-400]),
        "PNG with a wrong checksum": lambda path: path.write_bytes(encoded(photo, "PNG").replace(b"IHDR", b"IHDX")),
        "folder": lambda path: path.mkdir(),
        "missing": lambda path: None,
        "PostScript": lambda path: photo.convert("RGB").save(path, "EPS"),
        "PDF": lambda path: photo.convert("RGB").save(path, "PDF"),
        "Photoshop": lambda path: path.write_bytes(b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 4, 4, 8, 3)),
        "a format that nobody needs": lambda path: photo.save(path, "PCX"),
        "SVG": lambda path: path.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>"),
        "floating point": float_tiff,
        "too many pixels": lambda path: path.write_bytes(bomb),
    }


@pytest.mark.parametrize("kind", damaged_files())
@pytest.mark.parametrize("spell", [str, Path])
def test_what_is_no_picture_is_one_line_that_names_the_file(tmp_path: Path, kind: str, spell: type) -> None:
    path = tmp_path / "odd one.jpg"
    damaged_files()[kind](path)
    with pytest.raises(ImageError) as caught:
        decode(spell(path))
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"text", encoded(Image.effect_noise((64, 64), 60), "PNG")[:-400]])
def test_bytes_that_are_no_picture_are_an_image_error(content: bytes) -> None:
    with pytest.raises(ImageError, match="the picture"):
        decode(content)


def test_a_damaged_file_that_pillow_has_opened_is_an_image_error() -> None:
    opened = Image.open(io.BytesIO(encoded(Image.effect_noise((64, 64), 60), "PNG")[:-400]))
    with pytest.raises(ImageError, match="the picture"):
        decode(opened)


def test_more_pixels_than_allowed_are_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 99)
    Image.new("L", (9, 11)).save(tmp_path / "fits.png")
    Image.new("L", (10, 10)).save(tmp_path / "large.png")
    decode(tmp_path / "fits.png")
    with pytest.raises(ImageError, match=r"large\.png: 10×10 pixels are more than the 99 allowed"):
        decode(tmp_path / "large.png")
    assert header(tmp_path / "large.png")[:2] == (10, 10)


def test_the_limit_is_on_what_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 20_000)
    large = encoded(Image.effect_noise((400, 300), 60), "JPEG")
    assert decode(large, least=70).size == (100, 75)
    with pytest.raises(ImageError, match="400×300 pixels are more"):
        decode(large)


def test_what_the_limit_allows_pillow_allows_too() -> None:
    """Beyond twice its own limit Pillow refuses, with its own words."""
    assert Image.MAX_IMAGE_PIXELS is not None
    assert images.MAX_PIXELS <= 2 * Image.MAX_IMAGE_PIXELS


def test_the_size_is_read_from_the_header(tmp_path: Path) -> None:
    whole = encoded(Image.effect_noise((30, 20), 60), "PNG")
    (tmp_path / "cut.png").write_bytes(whole[:100])
    assert header(tmp_path / "cut.png") == (20, 30, 1, "PNG", "L", 1)


@pytest.mark.parametrize("kind", ["text", "empty", "missing", "folder", "PDF"])
def test_the_size_of_what_is_no_picture_is_an_image_error(tmp_path: Path, kind: str) -> None:
    damaged_files()[kind](tmp_path / "odd.jpg")
    with pytest.raises(ImageError, match=r"odd\.jpg"):
        header(tmp_path / "odd.jpg")


@pytest.mark.parametrize("extension", sorted(EXTENSIONS))
def test_every_extension_that_is_looked_for_can_be_read(tmp_path: Path, noise, extension: str) -> None:
    grey = extension == ".pgm"
    pixels = noise(12, 14, None if grey else 3)
    path = tmp_path / f"a{extension}"
    if extension == ".npy":
        np.save(path, pixels)
    else:
        Image.fromarray(pixels).save(path)
    image = decode(path)
    assert image.mode == "RGB"
    assert image.size == (14, 12)
    assert header(path)[:2] == (12, 14)
