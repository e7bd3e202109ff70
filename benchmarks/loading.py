"""Loading throughput in pictures per second: this loader against torchvision's datasets with torch's DataLoader.

    python benchmarks/loading.py [--repeats N] [--photos N] [--memory N]

It needs $PENNYWEIGHT_DATA with cats-dogs and cifar10-jpeg. Both sides have one worker per available core and treat each
picture alike: short side to 256, random crop of 224, mirror (photographs); shift by up to 4 with edges repeated, mirror
(CIFAR-10). They take turns; the table shows medians over all pictures of an epoch. `--memory` also measures the memory
for a folder of N photographs (links). Quote the ratio, because the figures depend on the machine and the hour.
"""

import argparse
import io
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from PIL import Image
from rich.console import Console
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from pennyweight import data
from pennyweight.core.heap import keeping_memory
from pennyweight.core.machine import cores, machine, versions
from pennyweight.core.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess
from pennyweight.data import Augment, DecodedCache, Pictures
from pennyweight.nn import FromPixels
from pennyweight.report.tables import Column, table

PREPROCESS = Preprocess.for_input(224, decoding="draft")
SMALL = Preprocess.for_input(32, decoding="draft")
BATCH = 64
SMALL_BATCH = 512
MEGAPIXELS_12 = (4000, 3000)

CROP = [v2.Resize(256), v2.RandomCrop(224), v2.RandomHorizontalFlip(), v2.PILToTensor()]
FLOAT = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
SHIFT = [v2.RandomCrop(32, padding=4, padding_mode="edge"), v2.RandomHorizontalFlip(), v2.PILToTensor()]

Epoch = Callable[[], Iterator[Any]]


class Rows(Dataset[tuple[Any, int]]):
    """Encoded pictures of Parquet files in memory, decoded one by one, as in a torchvision dataset."""

    def __init__(self, files: list[Path], transform: Any) -> None:
        self.rows = [(row["image"]["bytes"], row["label"]) for file in files for row in pq.read_table(file).to_pylist()]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> tuple[Any, int]:
        content, label = self.rows[number]
        return self.transform(Image.open(io.BytesIO(content)).convert("RGB")), label


def peer(dataset: Dataset[Any], batch: int) -> Epoch:
    """Return the epochs of a DataLoader used as its documentation advises: shuffled, with persistent workers."""
    loader = DataLoader(dataset, batch, shuffle=True, num_workers=cores(), persistent_workers=True)
    return lambda: iter(loader)


def ours(pictures: Pictures, batch: int, *, normalize: bool = False) -> Epoch:
    """Return our epochs in sequence; with `normalize`, up to the float batch."""
    augment = Augment(flip=True, shift=0.125)
    to_float = FromPixels(IMAGENET_MEAN, IMAGENET_STD)
    number = iter(range(10**9))

    def epoch() -> Iterator[Any]:
        for made in pictures.epoch(next(number), batch=batch, seed=0, augment=augment):
            yield to_float(torch.as_tensor(made.pixels)) if normalize else made.pixels

    return epoch


def per_s(epoch: Epoch) -> float:
    """Return pictures per second over one epoch."""
    started, count = time.perf_counter(), 0
    for batch in epoch():
        count += len(batch[0]) if isinstance(batch, (list, tuple)) else len(batch)
    return count / (time.perf_counter() - started)


def compare(name: str, target: float, theirs: Epoch, own: Epoch, repeats: int, *, warm: bool = True) -> tuple[Any, ...]:
    """Return a row: medians of both sides, measured in turn, and their ratio; `warm` adds an untimed epoch each."""
    if warm:
        per_s(theirs), per_s(own)
    turns = [(per_s(theirs), per_s(own)) for _ in range(repeats)]
    peer_per_s, own_per_s = (statistics.median(side) for side in zip(*turns, strict=True))
    return (name, round(peer_per_s), round(own_per_s), own_per_s / peer_per_s, target)


def first(name: str, target: float, folder: Path, batch: int, repeats: int) -> tuple[Any, ...]:
    """Return a row for the first epoch of each side, including reading the folder and starting the workers."""

    def theirs() -> Iterator[Any]:
        return peer(ImageFolder(folder, v2.Compose(CROP)), batch)()

    def own() -> Iterator[Any]:
        with keeping_memory():  # as `fit` does
            pictures = Pictures(data.open(folder).samples, PREPROCESS, margin=True)
            pictures.read()
            yield from ours(pictures, batch)()

    return compare(name, target, theirs, own, repeats, warm=False)


def link(source: Path, target: Path, count: int) -> Path:
    """Make class folders of `count` links to the photographs of `source`."""
    files = sorted(source.glob("*/*/*.jpg"))
    for number in range(count):
        file = files[number % len(files)]
        (target / file.parent.name).mkdir(parents=True, exist_ok=True)
        (target / file.parent.name / f"{number:06d}.jpg").symlink_to(file)
    return target


def enlarge(source: Path, target: Path, count: int) -> Path:
    """Make class folders of 12-megapixel JPEGs."""
    for file in sorted(source.glob("train/*/*.jpg"))[:: 400 // count][:count]:
        (target / file.parent.name).mkdir(parents=True, exist_ok=True)
        with Image.open(file) as image:
            image.convert("RGB").resize(MEGAPIXELS_12, Image.Resampling.BICUBIC).save(
                target / file.parent.name / file.name, quality=90
            )
    return target


def memory(folder: Path, cache: Path, result: Any) -> None:
    """Send the peak anonymous memory (MiB) of a process that reads a folder and loads an epoch."""
    pictures = Pictures(data.open(folder).samples, PREPROCESS, margin=True, cache=DecodedCache(cache))
    most = 0.0

    def look(count: int = 0) -> None:
        nonlocal most
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        most = max(most, *(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")))

    seen = iter(range(10**9))
    pictures.read(lambda count: look() if next(seen) % 1000 == 0 else None)
    for _ in pictures.epoch(0, batch=BATCH, seed=0, augment=Augment(flip=True, shift=0.125)):
        look()
    result.put((len(pictures), pictures.kept, most))


def photograph_rows(shelf: Path, folder: Path, count: int, repeats: int) -> list[tuple[Any, ...]]:
    """Return the rows for `count` photographs, linked or enlarged in `folder`."""
    photos = link(shelf / "cats-dogs", folder / "photos", count)
    kept = Pictures(data.open(photos).samples, PREPROCESS, margin=True)
    kept.read()
    return [
        compare(
            "photographs, later epochs, uint8",
            5.0,
            peer(ImageFolder(photos, v2.Compose(CROP)), BATCH),
            ours(kept, BATCH),
            repeats,
        ),
        compare(
            "photographs, later epochs, float",
            3.5,
            peer(ImageFolder(photos, v2.Compose([*CROP, *FLOAT])), BATCH),
            ours(kept, BATCH, normalize=True),
            repeats,
        ),
        first("photographs, first epoch, uint8", 1.2, photos, BATCH, repeats),
        first(
            "12 megapixels, first epoch, uint8",
            4.0,
            enlarge(shelf / "cats-dogs", folder / "large", 48),
            8,
            repeats,
        ),
    ]


def print_memory(console: Console, shelf: Path, folder: Path, count: int) -> None:
    """Print the peak memory of reading `count` linked photographs, measured in a separate process."""
    many = link(shelf / "cats-dogs", folder / "many", count)
    context = multiprocessing.get_context("spawn")
    result = context.Queue()
    process = context.Process(target=memory, args=(many, folder / "cache", result))
    process.start()
    read, mapped, most = result.get()
    process.join()
    console.print(
        f"{read:,} photographs: at most {most:,.0f} MiB without the cache ({'mapped' if mapped else 'no room'})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--photos", type=int, default=1600, help="photographs in the folder (links)")
    parser.add_argument("--memory", type=int, default=0, metavar="N")
    options = parser.parse_args()
    torch.set_num_threads(cores())
    shelf = Path(os.environ["PENNYWEIGHT_DATA"])
    with tempfile.TemporaryDirectory() as temporary:
        rows = photograph_rows(shelf, Path(temporary), options.photos, options.repeats)
        small = Pictures(data.open(shelf / "cifar10-jpeg").samples, SMALL)
        small.read()
        files = sorted((shelf / "cifar10-jpeg").glob("*.parquet"))
        rows.append(
            compare(
                "CIFAR-10, later epochs, uint8",
                15.0,
                peer(Rows(files, v2.Compose(SHIFT)), SMALL_BATCH),
                ours(small, SMALL_BATCH),
                options.repeats,
            )
        )
        console = Console()
        columns = ("what", "torchvision /s", "here /s", "times faster", "wanted")
        console.print(table(f"pictures per second, median of {options.repeats}", [Column(c) for c in columns], rows))
        if options.memory:
            print_memory(console, shelf, Path(temporary), options.memory)
        console.print({**machine(), **versions()})


if __name__ == "__main__":
    main()
