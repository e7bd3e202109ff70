"""Damaged picture files: each is a picture or one typed error that names the file; nothing crashes, hangs or swells.

40 seeds of every format and mode; mutants by truncation, flipped bits, inflated sizes, zeroed bytes, wrong endings and
hostile EXIF. 300 here; `make fuzz` runs 10,000.
"""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

MUTANTS = int(os.environ.get("PENNYWEIGHT_MUTANTS", "300"))
MOST_MIB = 1024

RUN = """
import json, re, sys, warnings
from pathlib import Path
warnings.simplefilter("error")
from pennyweight.core.errors import PennyweightError
from pennyweight.core.images import header
from pennyweight.core.preprocess import Preprocess
sides = [Preprocess(size=32, resize=36),
         Preprocess(size=32, resize=36, decoding="draft", channels=1, mean=(0,), std=(1,)),
         Preprocess(size=16, resize=16, channels=4, mean=(0,) * 4, std=(1,) * 4)]
bad, pictures = [], 0
for number, path in enumerate(sorted(Path(sys.argv[1]).iterdir())):
    for read in (header, sides[number % 3]):
        try:
            out = read(path)
            if read is not header:
                pictures += 1
                assert out.shape == read.shape and str(out.dtype) == "uint8"
        except PennyweightError as error:
            if str(path) not in str(error) or "\\n" in str(error):
                bad.append(f"{path.name}: {error}")
        except BaseException as error:
            bad.append(f"{path.name}: {type(error).__name__} {error}")
print(json.dumps({"bad": bad, "pictures": pictures,
                  # getrusage would count what the process was before it became this program
                  "mib": int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024}))
"""


def seeds() -> dict[str, bytes]:
    """40 files: each format in each of its modes, with and without metadata."""
    draw = np.random.default_rng(0)
    colours = Image.fromarray(draw.integers(0, 256, (12, 14, 3), dtype=np.uint8)).resize((56, 48))
    alpha = colours.convert("RGBA")
    alpha.putalpha(colours.convert("L"))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    png = PngImagePlugin.PngInfo()
    png.add_text("comment", "x" * 200, zip=True)
    wide = Image.fromarray(draw.integers(0, 65536, (20, 20), dtype=np.uint16))
    modes = {"L": colours.convert("L"), "1": colours.convert("1"), "RGB": colours, "RGBA": alpha, "I;16": wide}
    modes |= {"P": colours.convert("P"), "LA": alpha.convert("LA"), "CMYK": colours.convert("CMYK")}
    modes |= {"YCbCr": colours.convert("YCbCr"), "F": colours.convert("F")}
    rows = {
        "jpg": [(m, {}) for m in ("L", "RGB", "CMYK", "YCbCr")]
        + [
            ("RGB", o)
            for o in ({"progressive": True}, {"subsampling": 0}, {"subsampling": 1}, {"exif": exif}, {"quality": 10})
        ],
        "png": [(m, {}) for m in ("L", "1", "RGB", "RGBA", "I;16", "P", "LA")]
        + [("RGB", {"pnginfo": png}), ("RGB", {"exif": exif})],
        "bmp": [(m, {}) for m in ("L", "1", "RGB", "P")],
        "gif": [("L", {}), ("P", {}), ("RGB", {"save_all": True, "append_images": [colours.rotate(9)]})],
        "webp": [("RGB", {}), ("RGBA", {"lossless": True})],
        "tif": [(m, {}) for m in ("L", "RGB", "RGBA", "I;16", "CMYK", "F")]
        + [("RGB", {"compression": c}) for c in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")],
        "ppm": [("RGB", {})],
        "pgm": [("L", {})],
    }
    made = {}
    names = {"jpg": "JPEG", "tif": "TIFF", "ppm": "PPM", "pgm": "PPM"}
    for ending, files in rows.items():
        for number, (mode, options) in enumerate(files):
            file = io.BytesIO()
            modes[mode].save(file, names.get(ending, ending.upper()), **options)
            made[f"{ending}-{number}.{ending}"] = file.getvalue()
    for name, array in (("rgb", np.asarray(colours)), ("bands", draw.integers(0, 256, (20, 20, 7), dtype=np.uint8))):
        file = io.BytesIO()
        np.save(file, array)
        made[f"{name}.npy"] = file.getvalue()
    return made


def inflated(content: bytes, ending: str, side: int) -> bytes:
    """The same file with larger sizes in its header, for the formats where they stand at one place."""
    if ending == "png":
        import zlib

        head = content[12:16] + struct.pack(">II", side, side) + content[24:29]
        return content[:12] + head + struct.pack(">I", zlib.crc32(head)) + content[33:]
    at = {"bmp": 18, "gif": 6}.get(ending)
    if ending == "jpg":
        start = next((i for m in (b"\xff\xc0", b"\xff\xc2") if (i := content.find(m)) >= 0), -5)
        return content[: start + 5] + struct.pack(">HH", side % 65536, side % 65536) + content[start + 9 :]
    if at is None:
        return content.replace(b"56 48", f"{side} {side}".encode()).replace(b"(48, 56,", f"({side}, {side},".encode())
    kind = "<ii" if ending == "bmp" else "<HH"
    return content[:at] + struct.pack(kind, side % 65536, side % 65536) + content[at + struct.calcsize(kind) :]


def mutant(draw: np.random.Generator, content: bytes, ending: str) -> bytes:
    array = bytearray(content)
    kind = draw.integers(6)
    if kind == 0:
        return content[: draw.integers(len(content))]
    if kind == 1:
        return inflated(content, ending, int(draw.choice([300, 5000, 8000, 20000, 65535, 2**31 - 1])))
    if kind == 2:
        start = int(draw.integers(len(content)))
        array[start : start + int(draw.integers(1, 64))] = b"\0" * min(64, len(content) - start)
        return bytes(array)
    if kind == 3 and ending == "jpg":
        hostile = draw.bytes(int(draw.integers(10, 400)))
        exif = b"Exif\0\0" + (b"II*\0\x08\0\0\0" if draw.random() < 0.5 else b"") + hostile
        return content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:]
    low = 0 if draw.random() < 0.5 else min(64, len(content) - 1)
    high = len(content) if low else min(64, len(content))
    for _ in range(int(draw.integers(1, 12))):
        array[int(draw.integers(low, high))] ^= 1 << int(draw.integers(8))
    return bytes(array)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a process of its own made of the mutants."""
    folder = tmp_path_factory.mktemp("mutants")
    draw = np.random.default_rng(MUTANTS)
    files = list(seeds().items())
    endings = [".jpg", ".png", ".tif", ".npy", ".gif", ""]
    for number in range(MUTANTS):
        name, content = files[number % len(files)]
        ending = name.partition(".")[2]
        wrong = endings[int(draw.integers(len(endings)))] if draw.random() < 0.1 else f".{ending}"
        (folder / f"{number:05d}-{name.partition('.')[0]}{wrong}").write_bytes(mutant(draw, content, ending))
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(folder)], capture_output=True, text=True, timeout=60 + MUTANTS
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_there_are_forty_seeds_and_all_but_the_odd_can_be_read(tmp_path: Path) -> None:
    made = seeds()
    assert len(made) == 40
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    done = subprocess.run([sys.executable, "-c", RUN, str(tmp_path)], capture_output=True, text=True, timeout=300)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["bad"] == []
    assert found["pictures"] == 38  # not the one of floats, nor that of seven bands


def test_each_mutant_is_a_picture_or_an_error_that_names_the_file(outcome: dict[str, object]) -> None:
    assert outcome["bad"] == []
    assert 0 < outcome["pictures"] < MUTANTS


def test_none_takes_much_memory(outcome: dict[str, object]) -> None:
    assert outcome["mib"] < MOST_MIB
