"""Formats by their endings and their first bytes: what is read, and what a file is that is not."""

from __future__ import annotations

import builtins
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core import formats
from pennyweight.core.errors import ImageError
from pennyweight.core.images import EXTENSIONS, decode, header
from pennyweight.core.preprocess import Preprocess

Noise = Callable[..., NDArray[np.uint8]]
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(60)
AVIF = b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf" + bytes(60)


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", "b")
    return file.getvalue()


KINDS: dict[str, tuple[bytes, str]] = {
    "Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "it is a Git LFS pointer, not a picture that is read here; git lfs pull fetches the picture",
    ),
    "git-annex": (b"../../.git/annex/objects/ab/cd/MD5E-s1--1.jpg", "it is a git-annex pointer"),
    "HTML": (
        b"<!DOCTYPE html>\n<html><body>404</body></html>",
        "it is an HTML page, not a picture that is read here; a",
    ),
    "HTML after a mark and lines": (b"\xef\xbb\xbf\n\n  <HTML lang=en>", "it is an HTML page"),
    "HTML after a comment": (b"<!-- saved from -->\n<html>", "it is an HTML page"),
    "XML": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "it is an XML document"),
    "SVG": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "it is an SVG drawing"),
    "JSON": (b'{"error": "not found"}', "it is JSON"),
    "a list": (b"[1, 2]", "it is JSON"),
    "text": (b"Not found", "it is text"),
    "text of other letters": ("żółć ".encode() * 300, "it is text"),
    "zeros": (bytes(5000), "it is zeros throughout, not a picture that is read here; the copy or the download did not"),
    "video": (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "it is a video"),
    "QuickTime": (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "it is a video"),
    "JPEG XL": (b"\xff\x0a" + bytes(20), "it is JPEG XL"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20), "it is JPEG 2000"),
    "Photoshop": (b"8BPS\0\1" + bytes(20), "it is a Photoshop document"),
    "DICOM": (bytes(128) + b"DICM" + b"\2\0", "it is DICOM"),
    "PDF": (b"%PDF-1.7\n", "it is a PDF document"),
    "zip": (zipped(), "it is a zip archive"),
    "gzip": (b"\x1f\x8b\x08" + bytes(20), "it is gzip data"),
    "AppleDouble": (b"\0\5\x16\7\0\2\0\0Mac OS X", "it is metadata of macOS (AppleDouble)"),
    "cut": (b"\xff\xd8\xff", "it is a damaged or cut-off JPEG"),
    "cut PNG": (b"\x89PNG\r\n\x1a\n\0\0", "it is a damaged or cut-off PNG"),
    "empty": (b"", "it is empty"),
    "unknown": (b"\x03\x99\xfe\xdc" * 9, "not a picture in a known format"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [".jpg", ".tif", ".npy"])
def test_a_file_that_is_no_picture_is_called_what_it_is(tmp_path: Path, kind: str, ending: str) -> None:
    content, said = KINDS[kind]
    path = tmp_path / f"a{ending}"
    path.write_bytes(content)
    for read in (decode, header):
        with pytest.raises(ImageError) as caught:
            read(path)
        assert str(caught.value).startswith(f"cannot read {path}: {said}")
    with pytest.raises(ImageError, match="cannot read the picture: "):
        decode(content)


@pytest.mark.parametrize("ending", [".jfif", ".jpe", ".jif", ".jfi", ".JFIF"])
def test_jpeg_has_many_endings(noise: Noise, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    Image.fromarray(noise(20, 30)).save(path, "JPEG")
    assert ending.lower() in EXTENSIONS
    assert decode(path).size == (30, 20)
    assert header(path).format in formats.ENDINGS[ending.lower()]


@pytest.mark.skipif("AVIF" not in formats.FORMATS, reason="this Pillow reads no AVIF")
def test_avif_is_read_where_pillow_does(noise: Noise, tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    Image.fromarray(noise(24, 36)).save(path, "AVIF", quality=95)
    assert np.abs(np.asarray(decode(path)).astype(int) - noise(24, 36)).mean() < 6
    assert header(path)[:4] == (24, 36, 3, "AVIF")


def test_avif_is_named_where_pillow_does_not_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "FORMATS", ("JPEG", "PNG"))
    with pytest.raises(ImageError, match="it is AVIF, not a picture that is read here; a newer Pillow reads it"):
        decode(AVIF)


@pytest.mark.skipif("AVIF" not in formats.FORMATS, reason="this Pillow reads no AVIF")
def test_avif_is_called_damaged_where_pillow_reads_avif() -> None:
    with pytest.raises(ImageError, match=r"it is a damaged or cut-off AVIF, not a picture that is read here$"):
        decode(AVIF)


@pytest.fixture
def without_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where pillow-heif is not installed."""
    original = builtins.__import__

    def missing(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "pillow_heif":
            raise ModuleNotFoundError(name=name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    formats.heif_reader.cache_clear()
    yield
    formats.heif_reader.cache_clear()


@pytest.mark.usefixtures("without_heif")
@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"hevc"])
def test_heic_is_named_with_what_reads_it(brand: bytes) -> None:
    with pytest.raises(ImageError, match=r"it is HEIC, not.*; pip install .*\[heic\]'? reads it"):
        decode(HEIC.replace(b"heic", brand))


def test_heic_is_read_with_pillow_heif(noise: Noise, tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    pixels = noise(48, 64)
    Image.fromarray(pixels).save(tmp_path / "a.heic", "HEIF", quality=90)
    shutil.copy(tmp_path / "a.heic", tmp_path / "b.jpg")
    for path in (tmp_path / "a.heic", tmp_path / "b.jpg"):
        assert np.abs(np.asarray(decode(path)).astype(int) - pixels).mean() < 8
        assert header(path)[:4] == (48, 64, 3, "HEIF")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM"])
def test_more_pixels_are_read_where_that_is_asked(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.effect_noise((300, 200), 60).save(file, kind)
    monkeypatch.setattr("pennyweight.core.images.MAX_PIXELS", 50_000)
    with pytest.raises(ImageError, match="300×200 pixels are more than the 50,000 allowed; --max-pixels 60000"):
        decode(file.getvalue())
    assert decode(file.getvalue(), max_pixels=60_000).size == (300, 200)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000)  # Pillow refuses from twice that on
    assert decode(file.getvalue(), max_pixels=60_000).size == (300, 200)
    assert header(file.getvalue()).width == 300
    with pytest.raises(ImageError, match="300×200 pixels are more than the 50,000 allowed"):
        decode(file.getvalue())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000)
    with pytest.raises(ImageError, match=r"60000 pixels are more than the 40,000 allowed; --max-pixels 60000 reads it"):
        header(file.getvalue()) if kind != "TIFF" else decode(file.getvalue())


def test_arrays_have_the_same_limit(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((20, 30, 4), np.uint8))
    with pytest.raises(ImageError, match="20×30×4 values are more than the 2,396 allowed; --max-pixels 600 reads it"):
        decode(tmp_path / "a.npy", channels=4, max_pixels=599)
    assert decode(tmp_path / "a.npy", channels=4, max_pixels=600).size == (30, 20)


def test_the_limit_is_no_part_of_a_network() -> None:
    usual, more = Preprocess.for_input(32), Preprocess(size=32, resize=32, max_pixels=10**9)
    assert usual == more
    assert "max_pixels" not in more.to_dict()
    assert Preprocess.from_dict(more.to_dict()).max_pixels is None
    with pytest.raises(ValueError, match="max_pixels must be at least 1, not 0"):
        Preprocess(size=32, resize=32, max_pixels=0)
