"""Trivial classifiers on photographs: false alarms under random labels, recall on made shortcuts, and time.

    python benchmarks/shortcuts.py PHOTOGRAPHS FOLDER [--draws N]
    python benchmarks/shortcuts.py --scenes [--draws N]
    python benchmarks/shortcuts.py --time SOURCE

PHOTOGRAPHS is a source of at least 200 photographs. Each made set gives them random labels and changes one class, so
that nothing but the change can be learned; FOLDER receives the sets. `--scenes` gives labels at random to the
scenes of `leaks_sets`, with several frames each, and counts alarms where intervals count frames one by one, and where
they count twins as one; it needs $PENNYWEIGHT_DATA. `--time` scores 10,000 pictures of SOURCE, in
seconds of processor time, which a busy machine changes least.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageOps
from rich.console import Console

from leaks_sets import CLASSES, SCENE_SETS, SHELF, label_scenes, make_scenes
from pennyweight import data
from pennyweight.core.figures import share
from pennyweight.core.images import decode
from pennyweight.core.intervals import wilson
from pennyweight.core.machine import machine_line
from pennyweight.data.checks.doctor import diagnose
from pennyweight.data.checks.glance import Glances, glance
from pennyweight.data.checks.shortcuts import Shortcut, held_out, shortcuts, telling
from pennyweight.data.checks.views import VIEWS
from pennyweight.data.source import SPLITS, Source
from pennyweight.report.tables import Column, table

Made = Callable[[Image.Image, Path, np.random.Generator], None]
SIDE = 224


def jpeg(image: Image.Image, path: Path, draw: np.random.Generator, quality: int = 90, **options: Any) -> None:
    image.save(path.with_suffix(".jpg"), quality=quality, **options)


def of_model(model: str) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0110] = model
    return exif


def turned(image: Image.Image, path: Path, draw: np.random.Generator) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    jpeg(image.transpose(Image.Transpose.ROTATE_90), path, draw, exif=exif)


def watermark(image: Image.Image, path: Path, draw: np.random.Generator, strength: float = 0.9) -> None:
    layer = Image.new("RGB", image.size, "white")
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).text((8, image.height - 30), "(c) STOCK", fill=round(255 * strength), font_size=22)
    jpeg(Image.composite(layer, image, mask), path, draw)


def noisy(image: Image.Image, path: Path, draw: np.random.Generator) -> None:
    grain = draw.normal(0, 8, (image.height, image.width, 3))
    jpeg(Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)), path, draw)


def cast(image: Image.Image, path: Path, draw: np.random.Generator) -> None:
    values = np.asarray(image) * np.array([1.12, 1.0, 0.85])
    jpeg(Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)), path, draw)


def zoomed(image: Image.Image, path: Path, draw: np.random.Generator) -> None:
    edge = image.width // 5
    inner = image.crop((edge, edge, image.width - edge, image.height - edge))
    jpeg(inner.resize(image.size), path, draw)


def white_edge(image: Image.Image, path: Path, draw: np.random.Generator) -> None:
    edged = image.copy()
    edged.paste((245, 245, 245), (0, 0, image.width, 4))
    jpeg(edged, path, draw)


def letterbox(image: Image.Image, path: Path, draw: np.random.Generator) -> None:
    jpeg(ImageOps.pad(image.resize((SIDE, SIDE * 3 // 4)), (SIDE, SIDE)), path, draw)


SETS: dict[str, Made] = {
    "nothing": jpeg,
    "quality 85 for 90": lambda image, path, draw: jpeg(image, path, draw, quality=85),
    "progressive": lambda image, path, draw: jpeg(image, path, draw, progressive=True),
    "PNG": lambda image, path, draw: image.save(path.with_suffix(".png")),
    "size 216 for 224": lambda image, path, draw: jpeg(image.resize((216, 216)), path, draw),
    "camera in EXIF": lambda image, path, draw: jpeg(image, path, draw, exif=of_model("X1")),
    "turned, with EXIF orientation": turned,
    "gray": lambda image, path, draw: jpeg(image.convert("L"), path, draw),
    "gray, stored as RGB": lambda image, path, draw: jpeg(image.convert("L").convert("RGB"), path, draw),
    "white edge of 4 pixels": white_edge,
    "border of 1 pixel": lambda image, path, draw: jpeg(ImageOps.expand(image.crop((1, 1, 223, 223)), 1), path, draw),
    "letterbox": letterbox,
    "watermark": watermark,
    "faint watermark": lambda image, path, draw: watermark(image, path, draw, 0.35),
    "sensor noise": noisy,
    "color cast": cast,
    "zoomed crop": zoomed,
}
"""Name of a made set -> function that saves a picture of the changed class."""


def make(images: Sequence[Image.Image], folder: Path, save: Made) -> Source:
    """Save every picture under a label drawn at random, those of one class changed."""
    draw = np.random.default_rng(0)
    for number, (image, label) in enumerate(zip(images, draw.integers(0, 2, len(images)), strict=True)):
        path = folder / "ab"[label] / f"{number:05d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        (save if label else jpeg)(image, path, draw)
    return data.open(folder)


def scores(source: Source, glances: Glances) -> tuple[Shortcut, ...]:
    """Score the trivial classifiers on the splits that `fit` makes."""
    twins = data.twins_among(glances)
    parts = data.split_by_rule(source, twins, "group")
    place = {sample.name: part for part in SPLITS for sample in parts[part]}
    where = [place.get(sample.name) for sample in source.samples]
    train, val, test = ([number for number, part in enumerate(where) if part == name] for name in SPLITS)
    labels, moments = [sample.label for sample in source.samples], data.moments_of(source, twins, source.samples)
    return shortcuts(glances, labels, train, held_out(test, val), moments)


def one_by_one(found: Sequence[Shortcut]) -> tuple[Shortcut, ...]:
    """Return the scores with intervals that count each picture."""
    return tuple(replace(one, interval=wilson(one.correct, one.count), effective_images=None) for one in found)


def scenes(console: Console, draws: int) -> None:
    """Print the alarms on scenes under labels drawn at random, of a network at chance: the most that can be."""
    photos, rows = sorted((SHELF / "cats-dogs").rglob("*.jpg")), []
    for name in ("bursts", "pans", "time lapses", "resized"):
        with tempfile.TemporaryDirectory() as folder:
            made = make_scenes(SCENE_SETS[name], photos, Path(folder) / "frames")
            alarms = [0, 0]
            for seed in range(draws):
                root = Path(folder) / "sets" / str(seed)
                for label in CLASSES:
                    (root / label).mkdir(parents=True)
                label_scenes(made, root, seed)
                source = data.open(root)
                found = scores(source, glance(source))
                for place, each in enumerate((one_by_one(found), found)):
                    alarms[place] += bool(telling(each) or telling(each, max(one.chance for one in each)))
        rows.append((name, draws, *alarms))
    heads = [Column(name) for name in ("scenes", "draws", "alarms, one by one", "alarms, twins as one")]
    console.print(table("Random labels of scenes", heads, rows))


def random_labels(source: Source, classes: int, seed: int) -> Source:
    draw = np.random.default_rng(seed).integers(0, classes, len(source.samples))
    samples = tuple(
        replace(sample, label=int(label), split=None) for sample, label in zip(source.samples, draw, strict=True)
    )
    return replace(source, labels=tuple(map(str, range(classes))), samples=samples)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photographs", nargs="?")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--scenes", action="store_true")
    parser.add_argument("--time", metavar="SOURCE")
    asked = parser.parse_args()
    console = Console()
    console.print(machine_line())
    if asked.time:
        timed(data.open(asked.time), console)
    if asked.scenes:
        scenes(console, asked.draws)
    if asked.folder is None:
        return
    source = data.open(asked.photographs)
    glances = glance(source)
    rows = []
    for classes in (2, 5, 10):
        drawn = [scores(random_labels(source, classes, seed), glances) for seed in range(asked.draws)]
        alone = sum(bool(telling(found)) for found in drawn)
        near = sum(bool(telling(found, max(one.chance for one in found))) for found in drawn)
        rows.append((classes, asked.draws, alone, near))
    heads = [Column(name) for name in ("classes", "draws", "alarms", "alarms near a network at chance")]
    console.print(table("Random labels", heads, rows))

    images = [ImageOps.fit(decode(sample.read(), least=SIDE), (SIDE, SIDE)) for sample in source.samples]
    made_rows: list[tuple[str, ...]] = []
    for name, save in SETS.items():
        folder = asked.folder / name.replace(" ", "-")
        made = data.open(folder) if folder.exists() else make(images, folder, save)
        found = diagnose(made, quick=True)
        accuracy = {one.name: share(one.accuracy) for one in found.shortcuts}
        told = telling(found.shortcuts)
        close = [one for one in telling(found.shortcuts, 1.0) if one not in told]
        made_rows.append(
            (
                name,
                *(accuracy.get(view.name, "–") for view in VIEWS),
                ", ".join(one.name for one in told) or "–",
                ", ".join(one.name for one in close) or "–",
            )
        )
    heads = [
        Column(name)
        for name in ("change of one class", *(view.name for view in VIEWS), "told", "told near a network at 100%")
    ]
    console.print(table("Made shortcuts", heads, made_rows))


def timed(source: Source, console: Console) -> None:
    """Print the time of a glance at 10,000 pictures, and of the classifiers on it."""
    draw = np.random.default_rng(0).permutation(len(source.samples))[:10_000]
    source = replace(source, samples=tuple(source.samples[number] for number in draw), address="timed")
    start = time.process_time()
    glances = glance(source)
    looked = time.process_time() - start
    took = []
    for _ in range(3):
        start = time.process_time()
        found = scores(source, glances)
        took.append(time.process_time() - start)
    console.print(f"{len(glances):,} pictures: looked at in {looked:.1f} s; classifiers {min(took):.2f} s", *found)


if __name__ == "__main__":
    main()
