"""Files that are no pictures, damaged ones, and what a header says."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pennyweight.core import images
from pennyweight.core.errors import ImageError
from pennyweight.core.formats import ENDINGS
from pennyweight.core.images import EXTENSIONS, decode, header


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


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


@pytest.mark.parametrize(
    ("kind", "at", "coded"),
    [("JPEG", b"\xff\xc0\0\x0b\x08", ">H"), ("PNG", b"IHDR", ">I"), ("GIF", b"GIF87a", "<H")],
)
def test_a_header_that_says_more_than_a_file_can_hold_is_refused_before_decoding(
    kind: str, at: bytes, coded: str
) -> None:
    white = encoded(Image.new("L", (3000, 3000), 255), kind)
    assert decode(white).size == (3000, 3000)  # nothing whole is smaller
    start = white.find(at) + len(at)
    sides = struct.pack(coded, 8000) * 2
    assert white[start : start + len(sides)] == struct.pack(coded, 3000) * 2
    lying = white[:start] + sides + white[start + len(sides) :]
    if kind == "PNG":
        lying = lying[:29] + struct.pack(">I", zlib.crc32(lying[12:29])) + lying[33:]
    with pytest.raises(ImageError, match="4,000 bytes cannot hold the 8000×8000 pixels of its header"):
        decode(lying[:4000])


def test_more_pixels_than_allowed_are_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 99)
    Image.new("L", (9, 11)).save(tmp_path / "fits.png")
    Image.new("L", (10, 10)).save(tmp_path / "large.png")
    decode(tmp_path / "fits.png")
    with pytest.raises(ImageError, match=r"large\.png: 10×10 pixels are more than the 99 allowed"):
        decode(tmp_path / "large.png")
    assert header(tmp_path / "large.png")[:2] == (10, 10)


def test_the_limit_is_on_what_is_stored_whatever_the_scale_of_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor, a training and a bundle decode at other scales, and read the same files."""
    monkeypatch.setattr(images, "MAX_PIXELS", 20_000)
    large = encoded(Image.effect_noise((400, 300), 60), "JPEG")
    for least in (None, 70):
        with pytest.raises(ImageError, match="400×300 pixels are more than the 20,000 allowed; --max-pixels 120000"):
            decode(large, least=least)
    assert decode(large, least=70, max_pixels=120_000).size == (100, 75)


def test_what_the_limit_allows_pillow_allows_too() -> None:
    """Beyond twice its own limit Pillow refuses, with its own words."""
    assert Image.MAX_IMAGE_PIXELS is not None
    assert images.MAX_PIXELS <= 2 * Image.MAX_IMAGE_PIXELS


def test_the_size_is_read_from_the_header(tmp_path: Path) -> None:
    whole = encoded(Image.effect_noise((30, 20), 60), "PNG")
    (tmp_path / "cut.png").write_bytes(whole[:100])
    assert header(tmp_path / "cut.png") == (20, 30, 1, "PNG", "L", 1, False)


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
        if "HEIF" in ENDINGS[extension]:
            pytest.importorskip("pillow_heif").register_heif_opener()
        Image.fromarray(pixels).save(path, ENDINGS[extension][0])
    image = decode(path)
    assert image.mode == "RGB"
    assert image.size == (14, 12)
    assert header(path)[:2] == (12, 14)
