"""EXIF tags are read by name, whatever the format, and damaged metadata is no metadata."""

from __future__ import annotations

import io
import struct
import zlib
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from pennyweight.core.exif import parse_time, read_tags
from pennyweight.core.images import header


def exif(**tags: str) -> Image.Exif:
    made = Image.Exif()
    made[0x010F], made[0x0110], made[0x0112] = tags.get("Make", "Acme"), tags.get("Model", "X1"), 6
    made.get_ifd(0x8769)[0x9003] = tags.get("DateTimeOriginal", "2024:05:01 12:30:00")
    return made


def saved(ending: str, metadata: Image.Exif) -> bytes:
    file = io.BytesIO()
    options = {"exif": metadata.tobytes()} if metadata else {}
    Image.new("RGB", (20, 10), "red").save(file, ending, **options)
    return file.getvalue()


@pytest.mark.parametrize("ending", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_tags_of_every_format_are_read_by_name(ending: str, tmp_path: Path) -> None:
    file = saved(ending, exif())
    (tmp_path / "a").write_bytes(file)
    for picture in (file, tmp_path / "a"):
        tags = read_tags(picture)
        assert {name: tags[name] for name in ("Make", "Model")} == {"Make": "Acme", "Model": "X1"}
        assert tags["DateTimeOriginal"] == "2024:05:01 12:30:00"


def test_missing_and_damaged_metadata_is_no_metadata(tmp_path: Path) -> None:
    plain, whole = saved("JPEG", Image.Exif()), saved("JPEG", exif())
    assert read_tags(plain) == {}
    assert read_tags(whole.replace(b"MM\0*", b"MM\0!").replace(b"II*\0", b"II!\0")) == {}
    assert read_tags(b"no picture") == {}
    assert read_tags(tmp_path / "missing.jpg") == {}


def test_a_png_is_not_decoded_for_metadata_that_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: PngImagePlugin.PngImageFile) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", refuse)
    assert header(saved("PNG", Image.Exif())).orientation == 1
    assert header(saved("PNG", exif())).orientation == 6


def test_metadata_behind_the_pixels_of_a_png_is_read() -> None:
    plain, content = saved("PNG", Image.Exif()), exif().tobytes()
    content = content.removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(content)) + b"eXIf" + content + struct.pack(">I", zlib.crc32(b"eXIf" + content))
    late = plain[:-12] + chunk + plain[-12:]
    assert header(late).orientation == 6
    assert read_tags(late)["Model"] == "X1"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024:05:01 12:30:00", datetime(2024, 5, 1, 12, 30)),
        ("2024-05-01T12:30:00.250+02:00", datetime(2024, 5, 1, 12, 30)),
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("2024:13:01 12:30:00", None),
        ("noon", None),
        ("", None),
    ],
)
def test_times_are_parsed_and_unset_clocks_are_none(text: str, time: datetime | None) -> None:
    assert parse_time(text) == time
