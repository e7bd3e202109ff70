"""Pictures that would take minutes or gigabytes are refused by what their headers say."""

import io
import os
import re
import signal
import threading

import numpy as np
import pytest
from PIL import Image

from pennyweight.core import bands, images
from pennyweight.core.errors import ImageError
from pennyweight.core.images import decode
from pennyweight.core.interruptible import interruptible


def progressive(scans: int, side: int = 64) -> bytes:
    """Return a grey progressive JPEG with some empty scans more."""
    file = io.BytesIO()
    Image.new("L", (side, side)).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    starts = [found.start() for found in re.finditer(b"\xff\xda", content)]
    tables = [found.start() for found in re.finditer(b"\xff\xc4", content)]
    second = content[starts[1] : tables[2]]
    return content[: starts[-1]] + second * scans + b"\xff\xd9"


def test_a_jpeg_of_thousands_of_scans_is_refused_by_their_number() -> None:
    assert decode(progressive(20)).size == (64, 64)
    with pytest.raises(ImageError, match=r"it has 2,005 scans of 4,096 pixels; 100 at most are decoded"):
        decode(progressive(2000), name="scans.jpg")


def test_a_large_jpeg_may_have_fewer_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennyweight.core.jpeg.MOST_SCANNED", 64 * 64 * 10)
    assert decode(progressive(10)).size == (64, 64)
    with pytest.raises(ImageError, match="20 at most are decoded"):
        decode(progressive(30))


def test_scans_of_a_thumbnail_and_of_what_follows_do_not_count() -> None:
    whole, many = progressive(1), b"\xff\xda" * 500
    thumbnail = b"\xff\xe1" + (len(many) + 2).to_bytes(2) + many
    assert decode(whole[:2] + thumbnail + whole[2:] + many).size == (64, 64)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, np.complex64])
def test_values_that_no_picture_has_are_refused_before_they_are_read(
    monkeypatch: pytest.MonkeyPatch, dtype: type
) -> None:
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((8, 8, 5), dtype), planarconfig="contig", photometric="minisblack")
    monkeypatch.setattr(tifffile.TiffPage, "asarray", None)
    with pytest.raises(ImageError, match="save them as uint8 or uint16"):
        decode(file.getvalue())
    array = io.BytesIO()
    np.save(array, np.zeros((8, 8, 5), dtype))
    with pytest.raises(ValueError, match="save them as uint8 or uint16"):
        bands.read(array.getvalue(), images.MAX_PIXELS)


def test_work_in_c_is_interrupted_at_once() -> None:
    ended = threading.Event()
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        interruptible(lambda: ended.wait(5) or ended.set())
    assert not ended.is_set()
    ended.set()


def test_what_interruptible_work_raises_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 / 0)
    assert interruptible(lambda: 5) == 5
