"""Peak resident memory of a whole training on shards, by the size of a picture: index, two epochs, scores.

    python benchmarks/streams_memory.py [--megabytes 1 5 10] [--gigabytes 2] [--trust] [--only tar|parquet]

Each set has the same number of bytes, in shards of 100 MB that are made and removed by this script. Pictures are JPEGs
of noise with as many pixels as a camera's. `pennyweight fit` runs in a process of its own, and its peak is what the
kernel counted for it.
"""

import argparse
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from pennyweight.core.machine import machine, versions
from pennyweight.report.tables import Column, table
from stream_sets import write_table, write_tars

SHARD_BYTES = 100_000_000
CLASSES = 4
VARIANTS = 2
"""Different pictures of a class; bytes after the end of a JPEG make each file another."""
OPTIONS = ("--model", "mobilenet_v1_x0_25", "--input-size", "96", "--batch", "32", "--speed", "fixed", "--no-preflight")


def picture(draw: np.random.Generator, label: int, file_bytes: int) -> bytes:
    """Return a JPEG of about `file_bytes` whose brightness tells its class."""
    side = int((file_bytes / 0.8) ** 0.5)  # about 0.8 bytes a pixel
    coarse = draw.normal(70 + 40 * label, 40, (side // 2, side // 2, 3)).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BILINEAR)
    best = b""
    for quality in range(96, 50, -3):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality, subsampling=0)
        best = file.getvalue()
        if len(best) <= file_bytes:
            break
    return best


def rows(file_bytes: int, count: int) -> Iterator[tuple[bytes, int]]:
    """Yield `count` pictures of `file_bytes` each, and their classes."""
    draw = np.random.default_rng(0)
    made = [[picture(draw, label, file_bytes) for _ in range(VARIANTS)] for label in range(CLASSES)]
    for number in range(count):
        content = made[number % CLASSES][number // CLASSES % VARIANTS]
        yield content + draw.bytes(max(64, file_bytes - len(content))), number % CLASSES


def write_set(folder: Path, file_bytes: int, total: int, kind: str) -> int:
    """Write train, val and test shards of pictures, and return the number of pictures."""
    count = max(8 * CLASSES, total // file_bytes)
    a_shard = max(CLASSES, SHARD_BYTES // file_bytes)
    shares = {"val": max(CLASSES, count // 10), "test": max(CLASSES, count // 10)}
    shares["train"] = count - sum(shares.values())
    samples = rows(file_bytes, count)
    for split, pictures in shares.items():
        for shard, start in enumerate(range(0, pictures, a_shard)):
            some = [next(samples) for _ in range(min(a_shard, pictures - start))]
            if kind == "tar":
                write_tars(folder / f"{shard:02d}", some, split=split)
                (folder / f"{shard:02d}" / f"{split}-00.tar").rename(folder / f"{split}-{shard:02d}.tar")
            else:
                write_table(folder / f"{shard:02d}", some, split=split, group=max(1, len(some) // 4))
                (folder / f"{shard:02d}" / f"{split}-00.parquet").rename(folder / f"{split}-{shard:02d}.parquet")
            (folder / f"{shard:02d}").rmdir()
    return count


def peak_of(command: list[str], cache: Path) -> tuple[float, float]:
    """Run a command, and return its peak resident memory in MB and its seconds."""
    started = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, "PENNYWEIGHT_CACHE": str(cache)})
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {os.waitstatus_to_exitcode(status)}")
    return resource_mb(used), time.perf_counter() - started


def resource_mb(used: resource.struct_rusage) -> float:
    """Return the peak in MB; the kernel counts KiB."""
    return used.ru_maxrss * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[1, 5, 10], help="sizes of a picture")
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of each set")
    parser.add_argument("--trust", action="store_true")
    parser.add_argument("--only", choices=("tar", "parquet"), default="tar")
    options = parser.parse_args()
    found = []
    for megabytes in options.megabytes:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            count = write_set(folder / "set", int(megabytes * 1e6), int(options.gigabytes * 1e9), options.only)
            names = ",".join(sorted(path.name for path in (folder / "set").iterdir()))
            command = [sys.executable, "-m", "pennyweight", "fit", f"{folder / 'set'}/{{{names}}}", *OPTIONS]
            command += ["--epochs", "2", "--out", str(folder / "run"), *(["--trust"] if options.trust else [])]
            peak, seconds = peak_of(command, folder / "cache")
            found.append((f"{megabytes:g} MB", count, round(peak), round(seconds)))
            print(*found[-1], flush=True)
    peaks = [peak for _, _, peak, _ in found]
    console = Console()
    columns = ("a picture", "pictures", "peak MB", "seconds")
    title = (
        f"{options.gigabytes:g} GB in {options.only} shards; largest peak {max(peaks) / min(peaks):.2f} times the least"
    )
    console.print(table(title, [Column(c) for c in columns], found))
    console.print(machine() | versions())


if __name__ == "__main__":
    main()
