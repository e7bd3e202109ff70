"""Twins: recall of made twins, false pairs among different things, twins of CIFAR-10, and time compared with decoding.

    python benchmarks/twins.py [photographs] [kinds] [cifar10] [accuracy] [apart] [small] [many] [--count N]
                               [--sheet FOLDER]

It needs $PENNYWEIGHT_DATA with cats-dogs, imagenet-photos, salinas-a and cifar10-jpeg. `photographs` changes each
photograph in ten ways and makes two frames of a burst. The digests of the files divide them into two halves: the
threshold is chosen on one, and the table reports the other one, too. `kinds` searches sets where everything looks
alike. `cifar10` searches all 60,000 pictures, and `accuracy` trains a network on them. `apart` counts pairs among
pictures of different things: the photographs, and pictures of CIFAR-10 with two labels. `small` times the search and
the decoding of small files. `many` times the search among N
pictures (by default 100,000: CIFAR-10 and enlarged quarters of it) and the decoding of photographs, in seconds of
processor time, which a busy machine changes least. `--sheet` writes contact sheets of 100 pairs to look at.
"""

import argparse
import hashlib
import io
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from rich.console import Console

import pennyweight as pw
from pennyweight import data
from pennyweight.core.accuracy_line import accuracy_line
from pennyweight.core.images import decode_bands
from pennyweight.core.machine import machine_line
from pennyweight.data.intervals import exact
from pennyweight.data.scenes.open import open_scene
from pennyweight.data.twins import SIDE, Twins, find_twins, side, thumbnail_of
from pennyweight.report.tables import Column, table

DATA = Path(os.environ["PENNYWEIGHT_DATA"])
SETS = ("cats-dogs", "imagenet-photos")
Draw = np.random.Generator
Change = Callable[[Image.Image, Draw], Image.Image]


def saved(image: Image.Image, quality: int = 90) -> Image.Image:
    """Return the picture as JPEG of a quality."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def cropped(image: Image.Image, draw: Draw) -> Image.Image:
    """Return 90% of the width and the height, from anywhere."""
    left, top = draw.uniform(0, 0.1, 2) * image.size
    return image.crop((int(left), int(top), int(left + 0.9 * image.width), int(top + 0.9 * image.height)))


def shifted(image: Image.Image, draw: Draw) -> Image.Image:
    """Return the picture moved by up to 8% of each side, with its edges repeated."""
    down, right = (draw.uniform(-0.08, 0.08, 2) * (image.height, image.width)).astype(int)
    rows = np.clip(np.arange(image.height) + down, 0, image.height - 1)
    columns = np.clip(np.arange(image.width) + right, 0, image.width - 1)
    return Image.fromarray(np.asarray(image)[rows][:, columns])


def captioned(image: Image.Image, draw: Draw) -> Image.Image:
    """Return the picture with a black bar and a line of text over its lowest 12%."""
    image, height = image.copy(), int(image.height * 0.12)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, image.height - height, image.width, image.height), fill="black")
    pen.text((image.width * 0.1, image.height - height), "What a day it was!", fill="white", font_size=height * 0.7)
    return image


def frame(image: Image.Image, draw: Draw) -> Image.Image:
    """Return a frame of a burst: 148 of 160 pixels from anywhere, up to 10% brighter or darker."""
    left, top = draw.integers(0, 12, 2)
    part = image.resize((160, 160)).crop((left, top, left + 148, top + 148))
    return ImageEnhance.Brightness(part).enhance(draw.uniform(0.9, 1.1))


CHANGES: dict[str, Change] = {
    "cropped to 90%": cropped,
    "shifted by up to 8%": shifted,
    "brightness ±15%": lambda image, draw: ImageEnhance.Brightness(image).enhance(draw.choice([0.85, 1.15])),
    "JPEG of quality 40": lambda image, draw: saved(image, 40),
    "half the size": lambda image, draw: image.resize((image.width // 2, image.height // 2)),
    "mirrored": lambda image, draw: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned by 5°": lambda image, draw: image.rotate(draw.choice([-5, 5]), Image.Resampling.BICUBIC),
    "blurred, 2 pixels": lambda image, draw: image.filter(ImageFilter.GaussianBlur(2)),
    "gray": lambda image, draw: image.convert("L").convert("RGB"),
    "caption over 12%": captioned,
}


def photographs(console: Console, sheet: Path | None) -> None:
    """Print recall of each change and of bursts, and the pairs found among different photographs."""
    files = [path for name in SETS for path in sorted((DATA / name).rglob("*.jpg"))]
    made: dict[str, list[NDArray[np.uint8]]] = {}
    for number, path in enumerate(files):
        image, draw = Image.open(path).convert("RGB"), np.random.default_rng(number)
        pictures = {"": image, **{name: saved(change(image, draw)) for name, change in CHANGES.items()}}
        pictures |= {"frame 1": saved(frame(image, draw)), "two frames of a burst": saved(frame(image, draw))}
        for name, picture in pictures.items():
            made.setdefault(name, []).append(thumbnail_of(picture))
    stacks = {name: np.stack(pictures) for name, pictures in made.items()}
    chosen = np.array([hashlib.sha256(path.read_bytes()).digest()[0] % 2 == 0 for path in files])
    swept: list[tuple[str, str, int]] = []
    usual = side.TWIN
    for side.TWIN in (0.5, 0.55, 0.6, 0.65, 0.7, 0.75):
        recalls = [recall(stacks, name, chosen) for name in list(CHANGES)[:7]]
        swept.append((f"{side.TWIN}", f"{min(recalls):.1%}", len(find_twins(stacks[""][chosen]).pairs)))
    side.TWIN = usual
    columns = [Column("threshold"), Column("least recall of the first seven"), Column("pairs of photographs")]
    console.print(table(f"{chosen.sum()} photographs on which the threshold was chosen", columns, swept))
    changes = (*CHANGES, "two frames of a burst")
    rows = [(name, *(f"{recall(stacks, name, half):.1%}" for half in (chosen, ~chosen))) for name in changes]
    columns = [Column("change"), Column("chosen on"), Column(f"other {(~chosen).sum()} photographs")]
    console.print(table(None, columns, rows))
    report(console, f"{len(files)} photographs", find_twins(stacks[""]), stacks[""], sheet)


def recall(stacks: dict[str, NDArray[np.uint8]], name: str, half: NDArray[np.bool_]) -> float:
    """Return the share of changed photographs of one half that are found as twins of the photograph."""
    before = stacks["frame 1" if name == "two frames of a burst" else ""][half]
    found = find_twins(before, against=stacks[name][half])
    return float((found.pairs[:, 0] == found.pairs[:, 1]).sum() / half.sum())


def texture(draw: Draw) -> NDArray[np.uint8]:
    """Return a patch of woven cloth: threads of one width in two directions, and grain."""
    down, right = np.mgrid[:SIDE, :SIDE] + draw.uniform(0, 8, (2, 1, 1))
    cloth = 128 + 40 * np.sin(2 * np.pi * down / 5) + 40 * np.sin(2 * np.pi * right / 5)
    patch: NDArray[np.uint8] = np.clip(cloth + draw.normal(0, 12, (SIDE, SIDE)), 0, 255).astype(np.uint8)
    return patch


def grain(draw: Draw) -> NDArray[np.uint8]:
    """Return a patch of concrete: noise whose spots are a few pixels wide."""
    spots = Image.fromarray(draw.normal(128, 40, (12, 12)).clip(0, 255).astype(np.uint8))
    return thumbnail_of(spots.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def flat(things: int, frames: int, draw: Draw) -> NDArray[np.uint8]:
    """Return rectangles and discs of different colors and sizes on white, each moved by up to 3% in its frames."""
    pictures = []
    for number in range(things):
        color, radius = tuple(map(int, draw.integers(0, 256, 3))), draw.integers(8, 28, 2)
        center = draw.integers(35, 65, 2)
        for _ in range(frames):
            picture = Image.new("RGB", (100, 100), (250, 250, 250))
            pen, moved = ImageDraw.Draw(picture), center + draw.integers(-3, 4, 2)
            (pen.ellipse if number % 2 else pen.rectangle)((*(moved - radius), *(moved + radius)), fill=color)
            pictures.append(thumbnail_of(picture.filter(ImageFilter.GaussianBlur(1))))
    return np.stack(pictures)


def kinds(console: Console, sheet: Path | None) -> None:
    """Print the pairs found in sets of one kind of thing: flat things, a scene's windows, digits and textures."""
    for things, frames in ((240, 1), (500, 1), (40, 6)):
        pictures = flat(things, frames, np.random.default_rng(5))
        report(console, f"{things} discs and rectangles, {frames} frames each", find_twins(pictures), pictures, None)
    band = open_scene(str(DATA / "salinas-a" / "SalinasA_corrected.mat")).cube[..., 100].astype(np.float32)
    gray = np.clip((band - band.min()) * (255 / np.ptp(band)), 0, 255).astype(np.uint8)
    for step in (25, 5, 1):
        windows = [
            np.asarray(Image.fromarray(gray[top : top + 25, left : left + 25]).resize((SIDE, SIDE)))
            for top in range(0, gray.shape[0] - 24, step)
            for left in range(0, gray.shape[1] - 24, step)
        ]
        report(
            console, f"windows of SalinasA, every {step} pixels", find_twins(np.stack(windows)), np.stack(windows), None
        )
    glances = data.glance_at(data.open("digits"))
    assert glances is not None
    report(console, "digits", find_twins(glances.gray), glances.gray, sheet)
    draw = np.random.default_rng(0)
    for make in (texture, grain):
        patches = np.stack([make(draw) for _ in range(1000)])
        report(console, f"{make.__name__} patches", find_twins(patches), patches, None)


def report(console: Console, name: str, found: Twins, gray: NDArray[np.uint8], sheet: Path | None) -> None:
    """Print how many pairs were found, and write a contact sheet of 100 of them, the least alike first."""
    count = len(gray)
    clusters = sorted(map(len, found.clusters(count)))
    console.print(
        f"{name}: {len(found.pairs):,} pairs of {count * (count - 1) // 2:,}, {len(clusters):,} clusters, the largest "
        f"{clusters[-3:]}; {found.plain.sum():,} plain, {found.unsure.sum():,} unsure"
    )
    if sheet is None or not len(found.pairs):
        return
    some = np.random.default_rng(0).permutation(len(found.pairs))[:100]
    some = some[np.argsort(found.scores[some])]
    page = Image.new("L", (10 * 150, 10 * 80))
    for place, pair in enumerate(found.pairs[some]):
        for half, number in enumerate(pair):
            page.paste(Image.fromarray(gray[number]).resize((70, 70)), (place % 10 * 150 + half * 71, place // 10 * 80))
    sheet.mkdir(parents=True, exist_ok=True)
    page.save(sheet / f"{name.split()[-1]}.png")


def cifar() -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_]]:
    """Return (thumbnails, labels, whether in the test split) of CIFAR-10."""
    gray, labels, test = [], [], []
    for file in sorted((DATA / "cifar10-jpeg").glob("*.parquet")):
        for row in pq.read_table(file).to_pylist():
            picture = next(value for value in row.values() if isinstance(value, dict))
            gray.append(thumbnail_of(Image.open(io.BytesIO(picture["bytes"]))))
            labels.append(row["label"])
            test.append(file.name.startswith("test"))
    return np.stack(gray), np.array(labels), np.array(test)


def cifar10(console: Console, sheet: Path | None) -> None:
    """Print the twins of CIFAR-10, and how many test pictures have one in training."""
    gray, labels, test = cifar()
    found = find_twins(gray)
    report(console, "CIFAR-10", found, gray, sheet)
    across = found.pairs[test[found.pairs[:, 0]] != test[found.pairs[:, 1]]]
    same = (labels[across[:, 0]] == labels[across[:, 1]]).mean()
    pictures = len(np.unique(across[test[across]]))
    console.print(f"{pictures} test pictures have a twin in training: {len(across):,} pairs, {same:.1%} of one label")


def accuracy(console: Console, sheet: Path | None) -> None:
    """Train a network on CIFAR-10, and print its score with and without the pictures that have a twin in training."""
    with tempfile.TemporaryDirectory() as folder:
        run = pw.fit(DATA / "cifar10-jpeg", "resnet_9_x0_25", recipe={"epochs": 4}, out=f"{folder}/run", progress=False)
        console.print("resnet_9_x0_25, 4 epochs:", accuracy_line(run.evaluation))


def apart(console: Console, sheet: Path | None) -> None:
    """Print the pairs that are found among pictures of different things, and the bound of their rate."""
    files = [path for name in SETS for path in sorted((DATA / name).rglob("*.jpg"))]
    gray = np.stack([thumbnail_of(Image.open(path).convert("RGB")) for path in files])
    count = len(gray) * (len(gray) - 1) // 2
    bound(console, f"photographs at full size, {len(find_twins(gray).pairs)} of which is a true copy", 0, count - 1)
    gray, labels, _ = cifar()
    pairs = find_twins(gray).pairs
    sizes = np.bincount(labels).astype(np.int64)
    count = int(sizes.sum() ** 2 - np.square(sizes).sum()) // 2
    bound(console, "CIFAR-10, two labels", int((labels[pairs[:, 0]] != labels[pairs[:, 1]]).sum()), count)


def bound(console: Console, name: str, found: int, count: int) -> None:
    """Print a number of pairs with the upper end of its exact 95% interval, a pair in a million."""
    high = exact(found, count)[1]
    console.print(f"{name}: {found} of {count:,} pairs, at most {1e6 * high:.3g} in a million (97.5% confidence)")


def small(console: Console, sheet: Path | None) -> None:
    """Print the time of the search among 10,000 pictures, and of the decoding of as many small JPEG files."""
    count = 10_000
    tables = [pq.read_table(file) for file in sorted((DATA / "cifar10-jpeg").glob("*.parquet"))]
    rows = [next(iter(row.values()))["bytes"] for part in tables for row in part.to_pylist()][:count]
    began = time.process_time()
    gray = np.stack([thumbnail_of(decode_bands(row, channels=3, least=2 * SIDE, name="")[0]) for row in rows])
    decoding_s = time.process_time() - began
    began = time.process_time()
    find_twins(gray)
    search_s = time.process_time() - began
    console.print(f"{count:,} pictures: search {search_s:.1f} s; JPEG files of 32×32 decode in {decoding_s:.1f} s")
    photographs = [Image.open(path).convert("RGB") for path in sorted((DATA / "cats-dogs").rglob("*.jpg"))[:300]]
    files = [io.BytesIO() for _ in photographs]
    for file, image in zip(files, photographs, strict=True):
        image.resize((224, 224)).save(file, "JPEG", quality=90)
    began = time.process_time()
    for file in files:
        thumbnail_of(decode_bands(file.getvalue(), channels=3, least=2 * SIDE, name="")[0])
    decoding_s = (time.process_time() - began) * count / len(files)
    console.print(f"JPEG files of 224×224, reduced while they are decoded: {decoding_s:.1f} s for {count:,}")


def many(console: Console, count: int) -> None:
    """Print the time and the memory of a search among `count` pictures, and the time to decode as many photographs."""
    source = data.open(str(DATA / "cats-dogs"))
    began = time.process_time()
    for sample in source.samples:
        decode_bands(sample.read(), channels=3, least=2 * SIDE, name=sample.name)
    decoding_s = (time.process_time() - began) * count / len(source.samples)
    gray = cifar()[0]
    parts = [gray] + [gray[:, top : top + 16, left : left + 16] for top in (0, 16) for left in (0, 16)]
    quarters = (Image.fromarray(part).resize((SIDE, SIDE)) for quarter in parts[1:] for part in quarter)
    more = [np.asarray(part) for part, _ in zip(quarters, range(max(count - len(gray), 0)), strict=False)]
    gray = np.concatenate([gray, np.stack(more)])[:count] if more else gray[:count]
    began, clock = time.process_time(), time.perf_counter()
    found = find_twins(gray)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    console.print(
        f"{len(gray):,} pictures, {len(found.pairs):,} pairs: {time.process_time() - began:.0f} s of processor time "
        f"({time.perf_counter() - clock:.0f} s passed), at most {memory:.1f} GiB; as many photographs of 440×370 take "
        f"{decoding_s:.0f} s of processor time to decode"
    )


PARTS = {
    "photographs": photographs,
    "kinds": kinds,
    "cifar10": cifar10,
    "accuracy": accuracy,
    "apart": apart,
    "small": small,
}


def main() -> None:
    """Run the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, "many", []])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    console = Console()
    console.print(machine_line())
    for name, part in PARTS.items():
        if name in (options.parts or PARTS):
            part(console, options.sheet)
    if "many" in (options.parts or ["many"]):
        many(console, options.count)


if __name__ == "__main__":
    main()
