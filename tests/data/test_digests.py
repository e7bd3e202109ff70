"""Equal pixels have equal digests in a small PNG and in an array; what an array does not hold keeps a file apart."""

import hashlib
import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pennyweight import data
from pennyweight.data.digests import digest_of_array, digests_of_file
from pennyweight.data.training_pictures import exclude_seen

DRAW = np.random.default_rng(0)
PICTURES: dict[str, np.ndarray[Any, Any]] = {
    "gray": DRAW.integers(0, 256, (7, 5), dtype=np.uint8),
    "color": DRAW.integers(0, 256, (7, 5, 3), dtype=np.uint8),
    "transparent": DRAW.integers(0, 256, (7, 5, 4), dtype=np.uint8),
    "16 bits": DRAW.integers(0, 65536, (7, 5), dtype=np.uint16),
}


def png(image: Image.Image, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG", **options)
    return content.getvalue()


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("level", [0, 9])
def test_a_png_is_known_by_its_pixels_however_it_is_packed(kind: str, level: int) -> None:
    file = png(Image.fromarray(PICTURES[kind]), compress_level=level)
    assert digests_of_file(file) == (digest_of_array(PICTURES[kind]), hashlib.sha256(file).hexdigest())


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return png(Image.fromarray(PICTURES["color"]), exif=exif)


def damaged() -> bytes:
    file = bytearray(png(Image.fromarray(PICTURES["color"])))
    file[60] ^= 255
    return bytes(file)


def of_long_text() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("notes", "x" * (1 << 20))
    return png(Image.fromarray(PICTURES["gray"]), pnginfo=info)


def in_16_bit_colors() -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + bytes(range(12)) for _ in range(2))
    head = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def as_jpeg() -> bytes:
    content = io.BytesIO()
    Image.fromarray(PICTURES["color"]).save(content, "JPEG")
    return content.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "a JPEG": as_jpeg,
    "a large PNG": lambda: png(Image.new("L", (257, 256))),
    "a palette": lambda: png(Image.fromarray(PICTURES["color"]).convert("P")),
    "a transparent color": lambda: png(Image.fromarray(PICTURES["color"]), transparency=(1, 2, 3)),
    "an orientation": rotated,
    "further frames": lambda: png(
        Image.new("L", (5, 5)), save_all=True, append_images=[Image.new("L", (5, 5), 9)], duration=9
    ),
    "16-bit colors": in_16_bit_colors,
    "much text": of_long_text,
    "damage": damaged,
    "no picture": lambda: b"\x89PNG\r\n\x1a\n",
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("kind", FILES)
def test_any_other_file_is_known_by_its_bytes(kind: str) -> None:
    file = FILES[kind]()
    assert digests_of_file(file) == (hashlib.sha256(file).hexdigest(), "")


def test_the_byte_order_of_an_array_does_not_count() -> None:
    assert digest_of_array(PICTURES["16 bits"].astype(">u2")) == digest_of_array(PICTURES["16 bits"])


SHAPES = [(1, 48), (3, 16), (6, 8), (8, 6), (2, 8, 3), (4, 4, 3), (8, 2, 3), (2, 6, 4)]


def test_equal_bytes_in_other_shapes_are_other_pictures() -> None:
    values = np.arange(48, dtype=np.uint8)
    arrays = [values.reshape(shape) for shape in SHAPES]
    wide = [values.view(np.uint16).reshape(shape) for shape in ((4, 6), (6, 4), (2, 4, 3))]
    digests = {digest_of_array(each) for each in (*arrays, *wide)}
    assert len(digests) == len(arrays) + len(wide)
    assert digest_of_array(values.reshape(6, 8, 1)) == digest_of_array(values.reshape(6, 8))
    files = {digests_of_file(png(Image.fromarray(each))).content for each in arrays[:4]}
    assert files == {digest_of_array(each) for each in arrays[:4]}


def test_square_pictures_are_known_by_their_values_alone() -> None:
    """So splits of digits, MNIST and CIFAR-10 stay as they were."""
    square = PICTURES["color"][:5]
    assert digest_of_array(square) == hashlib.sha256(square.tobytes()).hexdigest()


def test_training_pictures_of_earlier_versions_are_known_by_their_files() -> None:
    file = hashlib.sha256(b"file").hexdigest()
    seen = data.Sample(b"", 0, file, None, "seen")  # type: ignore[arg-type]
    digests = data.digests_of_samples([seen])
    now = data.Sample(b"", 0, hashlib.sha256(b"pixels").hexdigest(), None, "now", file_digest=file)  # type: ignore[arg-type]
    assert exclude_seen([now], digests) == []
    assert exclude_seen([now], data.digests_of_samples([now])) == []
