"""Damaged files of data: each is read, or is one typed error that names it; nothing crashes, hangs or swells.

Seeds of every kind; mutants by truncation, flipped bits, zeroed bytes, large numbers in place of small ones, and of
texts with other values in place of theirs. 50 of each kind here, 300 in the slow set; `make fuzz`
reads 10,000 of each.
"""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

CHOSEN = os.environ.get("PENNYWEIGHT_MUTANTS")
SOME = ("npy", "parquet", "archive", "bundle")
"""Fuzzed a little in the default set; all are fuzzed more with the slow cases."""
MOST_MIB = 1024
PROGRAM = Path(__file__).with_name("fuzz_program.py")
ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2**31, 2**63, 2**200, 1.5, -0.0, 1e308, "", "x", "3", "\x1b[31m\n", "\u202e", "\udcff"),
    *([], [[]], {}, {"a": 1}, [1, "a", None], "hf:nobody/nothing", "https://localhost:1/{0..9}.tar", "timm:resnet18"),
)
CUBE = np.random.default_rng(0).integers(0, 4000, (9, 7, 4)).astype(np.int16)
IDS = np.arange(63, dtype=np.uint8).reshape(9, 7) % 3


def png(level: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (level, 0, 0)).save(file, "PNG")
    return file.getvalue()


PICTURES = [(f"{'ab'[number % 2]}/{number}.png", png(number * 9)) for number in range(12)]


def mat(**options: Any) -> bytes:
    from scipy.io import savemat

    file = io.BytesIO()
    savemat(file, {"cube": CUBE, "map": IDS, "name": "text", "more": {"a": 1}}, **options)
    return file.getvalue()


def mat73(**options: Any) -> bytes:
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w", userblock_size=512) as opened:
        opened.create_dataset("cube", data=CUBE.T, **options)
        opened.create_dataset("map", data=IDS.T)
        opened.create_group("more")
    return file.getvalue()


def geotiff(**options: Any) -> bytes:
    from affine import Affine
    from rasterio.io import MemoryFile

    options |= {"crs": "EPSG:32611", "transform": Affine(9, 0, 5, 0, -9, 7)}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", height=9, width=7, count=4, dtype="int16", **options) as file:
            file.write(CUBE.transpose(2, 0, 1))
        return memory.read()


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(*, packed: bool) -> bytes:
    file = io.BytesIO()
    images = np.random.default_rng(0).integers(0, 256, (10, 6, 6, 3), dtype=np.uint8)
    (np.savez_compressed if packed else np.savez)(file, images=images, labels=np.arange(10) % 2)
    return file.getvalue()


def parquet(**options: Any) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as files

    image = [{"bytes": content, "path": name} for name, content in PICTURES]
    table = pyarrow.table({"image": image, "label": [number % 2 for number in range(12)]})
    file = io.BytesIO()
    files.write_table(table, file, **options)
    return file.getvalue()


def tar(mode: str, *, shard: bool = False) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tape:
        for number, (name, content) in enumerate(PICTURES):
            parts = [(f"{number:03d}.png", content), (f"{number:03d}.cls", b"1")] if shard else [(name, content)]
            for member, data in parts:
                info = tarfile.TarInfo(member)
                info.size = len(data)
                info.pax_headers = {"comment": "x"} if number == 3 else {}
                tape.addfile(info, io.BytesIO(data))
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in PICTURES:
            packed.writestr(name, content)
    return file.getvalue()


NETWORK = {"name": "mobilenet_v1_x0_25", "num_classes": 2, "in_channels": 3, "stem": "imagenet", "config": {}}
PREPROCESS = {
    "size": 16,
    "resize": 16,
    "interpolation": "bilinear",
    "channels": 3,
    "decoding": "full",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.2, 0.2, 0.2],
}
WHERE = {"name": "set", "fingerprint": "sha256:0"}
RUN = {
    "name": "set-1",
    "created": "2026-01-01T00:00:00+00:00",
    "status": "complete",
    "seed": 0,
    "model": NETWORK,
    "data": {"source": "set", "address": "/no/set", "labels": ["a", "b"], "fingerprint": "sha256:0", "group_by": None},
    "preprocess": PREPROCESS,
    "best": {"epoch": 1},
    "versions": {},
    "machine": {},
}
BUNDLE = {
    "format": 1,
    "network": NETWORK,
    "labels": ["a", "b"],
    "preprocess": PREPROCESS,
    "data": WHERE,
    "cost": {"params": 1, "macs": 1},
    "evaluation": None,
    "parity": {},
    "versions": {},
    "created": "2026-01-01",
}
SCENE = {
    "format": 1,
    "network": NETWORK,
    "labels": ["a", "b"],
    "ids": [1, 2],
    "form": "tile",
    "window": 5,
    "bands": 4,
    "evaluation": None,
    "parity": {},
    "data": WHERE,
    "versions": {},
    "created": "2026-01-01",
}
HEADER = "ENVI\nsamples = 7\nlines = 9\nbands = 4\ndata type = 2\ninterleave = bip\nheader offset = 0\n"
HEADER += "data ignore value = 5\nmap info = {UTM, 1, 1}\nclass names = {a, b}\n"

TARGETS: dict[str, tuple[str, str, Callable[[], list[bytes]]]] = {
    "mat": ("scene", ".mat", lambda: [mat(), mat(do_compression=True)]),
    "mat-v7.3": ("scene", ".mat", lambda: [mat73(), mat73(compression="gzip", chunks=True)]),
    "envi": ("scene", ".img", lambda: [HEADER.encode()]),
    "geotiff": ("scene", ".tif", lambda: [geotiff(), geotiff(compress="deflate", nodata=5), geotiff(compress="lzw")]),
    "npy": ("scene", ".npy", lambda: [npy(CUBE)]),
    "npz": ("source", ".npz", lambda: [npz(packed=False), npz(packed=True)]),
    "parquet": ("source", ".parquet", lambda: [parquet(), parquet(compression="zstd"), parquet(use_dictionary=False)]),
    "archive": ("source", ".tar.gz", lambda: [zipped(), tar("w"), tar("w:gz"), tar("w:bz2"), tar("w:xz")]),
    "shard": ("shard", ".tar", lambda: [tar("w", shard=True)]),
    "bundle": ("manifest", ".json", lambda: [json.dumps(BUNDLE).encode()]),
    "scene-bundle": ("scene-manifest", ".json", lambda: [json.dumps(SCENE).encode()]),
    "run": ("run", ".json", lambda: [json.dumps(RUN).encode()]),
}
"""Kind of file -> how it is read, its ending, and seeds."""


def replaced(draw: random.Random, value: Any) -> Any:
    """Return a JSON value with one inside it, or itself, replaced, removed, doubled or nested."""
    if not isinstance(value, (dict, list)) or not value or draw.random() < 0.2:
        odd = draw.choice(ODD)
        return [odd, value, [value], odd][draw.randrange(4)]
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = draw.choice(keys)
    changed = value.copy()
    if draw.random() < 0.15:
        del changed[key]
    else:
        changed[key] = replaced(draw, value[key])
    return changed


def mutant(draw: random.Random, content: bytes) -> bytes:
    if content.startswith(b"{") and draw.random() < 0.8:
        deep = "[" * 50_000 if draw.random() < 0.02 else json.dumps(replaced(draw, json.loads(content)))
        return deep.encode()
    if content.startswith(b"ENVI") and draw.random() < 0.8:
        lines = content.decode().splitlines()
        number = draw.randrange(1, len(lines))
        odd = draw.choice(("-1", "0", "1", "4", "99999999999", "{", "}", "1e9", "x", "", "\u202e", "-7", "2.0"))
        lines[number] = f"{lines[number].partition('=')[0]}= {odd}"
        return "\n".join(lines).encode()
    array = bytearray(content)
    kind = draw.randrange(5)
    if kind == 0:
        return content[: draw.randrange(len(content))]
    if kind == 1:
        start = draw.randrange(len(content))
        array[start : start + draw.randrange(1, 64)] = bytes(draw.randrange(64))
    elif kind == 2:
        start, size = draw.randrange(len(content)), draw.choice((2, 4, 8))
        array[start : start + size] = draw.choice((2**15, 2**31 - 1, 2**31, 2**40, 2**63 - 1)).to_bytes(
            8, draw.choice(("little", "big"))
        )[:size]
    else:
        for _ in range(draw.randrange(1, 12)):
            array[draw.randrange(len(array) if kind == 3 else min(len(array), 600))] ^= 1 << draw.randrange(8)
    return bytes(array)


@pytest.mark.parametrize(
    ("mutants", "target"),
    [(int(CHOSEN), target) for target in TARGETS]
    if CHOSEN
    else [
        *((50, target) for target in SOME),
        *(pytest.param(300, target, marks=pytest.mark.slow) for target in TARGETS),
    ],
)
def test_each_mutant_is_read_or_is_one_line_that_names_it(
    target: str, mutants: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, ending, make = TARGETS[target]
    seeds, draw = make(), random.Random(mutants)
    (folder := tmp_path / "mutants").mkdir()
    for number in range(mutants + len(seeds)):
        seed = seeds[number % len(seeds)]
        content = seed if number < len(seeds) else mutant(draw, seed)
        path = folder / f"{number:05d}{ending}"
        path.write_bytes(CUBE.tobytes() if ending == ".img" else content)
        if ending == ".img":
            path.with_suffix(".hdr").write_bytes(content)
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    command = [sys.executable, str(PROGRAM), kind, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120 + mutants, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["bad"] == []
    assert len(seeds) <= found["whole"] < mutants + len(seeds)
    assert found["mib"] < MOST_MIB
    assert "Traceback" not in done.stderr
