"""Scores on sets of which nothing can be learned: labels of scenes drawn at random, several pictures of each scene.

    PENNYWEIGHT_DATA=… python benchmarks/leaks.py [--draws N] [--fits N] [--only TEXT]

An honest classifier is at chance. For each rule of `--twins` a table says, over the draws, the share of test pictures
with a picture of their scene in training, the accuracy of the nearest neighbor in 8×8 thumbnails, the leakiest of
classifiers, and the draws whose 95% interval holds chance. `--fits` trains a network in that many of them.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance
from rich.console import Console

import pennyweight as pw
from pennyweight import data
from pennyweight.core.figures import share
from pennyweight.core.intervals import wilson
from pennyweight.core.machine import machine, versions
from pennyweight.report.tables import Column, table

SHELF = Path(os.environ.get("PENNYWEIGHT_DATA", "."))
SCENES = 40
Frames = Callable[[Image.Image, np.random.Generator], Iterator[Image.Image]]


def burst(photo: Image.Image, draw: np.random.Generator) -> Iterator[Image.Image]:
    """A hand that shakes, and light that changes."""
    photo = photo.resize((160, 160))
    for _ in range(12):
        x, y = draw.integers(0, 12, 2)
        yield ImageEnhance.Brightness(photo.crop((x, y, x + 148, y + 148))).enhance(float(draw.uniform(0.9, 1.1)))


def pan(photo: Image.Image, draw: np.random.Generator) -> Iterator[Image.Image]:
    """A camera that turns by a twentieth of its view from frame to frame."""
    photo = photo.resize((240, 160))
    for frame in range(12):
        yield photo.crop((8 * frame, 0, 8 * frame + 152, 160))


def zoom(photo: Image.Image, draw: np.random.Generator) -> Iterator[Image.Image]:
    """A camera that comes closer by 5% from frame to frame."""
    photo = photo.resize((200, 200))
    for frame in range(10):
        inset = 100 - 100 * 0.95**frame
        yield photo.resize((144, 144), box=(inset, inset, 200 - inset, 200 - inset))


def lapse(photo: Image.Image, draw: np.random.Generator) -> Iterator[Image.Image]:
    """A fixed camera from morning to evening, with something that passes by."""
    photo = photo.resize((160, 160))
    for frame in range(12):
        light = np.asarray(photo).astype(np.float32) * (0.7 + 0.05 * frame) * (1 + 0.02 * frame, 1, 1 - 0.02 * frame)
        pixels = light.clip(0, 255).astype(np.uint8)
        x, y = draw.integers(0, 130, 2)
        pixels[y : y + 30, x : x + 30] = draw.integers(0, 256, 3)
        yield Image.fromarray(pixels)


def mirrored(photo: Image.Image, draw: np.random.Generator) -> Iterator[Image.Image]:
    """A photograph and its mirror image."""
    yield photo
    yield photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def resized(photo: Image.Image, draw: np.random.Generator) -> Iterator[Image.Image]:
    """A photograph as it was sent around."""
    for side in (320, 240, 200, 160, 128):
        yield photo.resize((side, round(side * photo.height / photo.width)))


SETS: dict[str, Frames] = {
    "bursts": burst, "pans": pan, "zooms": zoom, "time lapses": lapse, "mirror images": mirrored, "resized": resized,
}  # fmt: skip


def make(frames: Frames, photos: list[Path], root: Path) -> list[list[Path]]:
    """Write the frames of each scene; return their files by scene."""
    draw = np.random.default_rng(0)
    scenes: list[list[Path]] = []
    for number, photo in enumerate(photos):
        with Image.open(photo) as opened:
            scenes.append([])
            for frame, picture in enumerate(frames(opened.convert("RGB"), draw)):
                scenes[-1].append(root / f"{number:03d}_{frame:02d}.jpg")
                scenes[-1][-1].parent.mkdir(parents=True, exist_ok=True)
                picture.save(scenes[-1][-1], quality=int(draw.integers(70, 95)))
    return scenes


def label(scenes: list[list[Path]], root: Path, seed: int) -> Path:
    """Link the frames into two classes, whole scenes by a draw of `seed`."""
    draw = np.random.default_rng(seed)
    for scene in scenes:
        folder = root / ("open", "closed")[draw.integers(2)]
        folder.mkdir(parents=True, exist_ok=True)
        for file in scene:
            (folder / file.name).hardlink_to(file)
    return root


def score(source: data.Source, parts: data.Splits, colors: np.ndarray) -> tuple[float, float, bool]:
    """Return (share of test pictures with their scene in training, accuracy of the nearest neighbor, chance is in)."""
    number_of = {sample.name: number for number, sample in enumerate(source.samples)}
    train, test = ([number_of[sample.name] for sample in parts[part]] for part in ("train", "test"))
    labels = np.array([sample.label for sample in source.samples])
    scene = np.array([Path(sample.name).name[:3] for sample in source.samples])
    distances = ((colors[test][:, None] - colors[train][None]) ** 2).sum(2)
    correct = int((labels[train][distances.argmin(1)] == labels[test]).sum())
    low, high = interval_by_scene(labels[train][distances.argmin(1)] == labels[test], scene[test])
    return float(np.isin(scene[test], scene[train]).mean()), correct / len(test), low <= 0.5 <= high


def interval_by_scene(correct: np.ndarray, scene: np.ndarray) -> tuple[float, float]:
    """Return Wilson's interval for as many independent pictures as there are scenes."""
    scenes = len(np.unique(scene))
    return wilson(round(correct.mean() * scenes), scenes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--fits", type=int, default=0, help="draws of each set in which a network is trained")
    parser.add_argument("--only", default="", help="sets whose name has this in it")
    arguments = parser.parse_args()
    photos = sorted((SHELF / "cats-dogs").rglob("*.jpg"))[:: 550 // SCENES][:SCENES]
    if len(photos) < SCENES:
        sys.exit("PENNYWEIGHT_DATA has no cats-dogs, from whose photographs the scenes are made")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, frames in SETS.items():
            if arguments.only not in name:
                continue
            scenes = make(frames, photos, Path(folder) / "frames" / name)
            for rule in ("keep", "group"):
                found, networks = [], []
                for seed in range(arguments.draws):
                    root = label(scenes, Path(folder) / rule / name / str(seed), seed)
                    source = data.open(root)
                    glances = data.glance_at(source)
                    assert glances is not None
                    parts = data.split_by_rule(source, data.find_twins(glances.gray), rule)
                    colors = glances.colors.reshape(len(glances), -1).astype(np.float32)
                    found.append(score(source, parts, colors))
                    if seed < arguments.fits:
                        run = pw.fit(root, "mobilenet_v1_x0_25", out=f"{root}-run", input_size=32, twins=rule,
                                     recipe={"epochs": 8, "batch": 32}, progress=False)  # fmt: skip
                        networks.append(run.evaluation["accuracy"])
                leak, nearest, inside = zip(*found, strict=True)
                rows.append((
                    name, rule, statistics.mean(leak), statistics.mean(nearest), sum(inside),
                    statistics.mean(networks) if networks else None,
                ))  # fmt: skip
    columns = (
        Column("set"),
        Column("--twins"),
        Column("scene in training", share),
        Column("nearest neighbor", share),
        Column(f"chance within, of {arguments.draws}"),
        Column("network", share),
    )
    Console().print(table(None, columns, rows))
    print(machine()["processor"], {name: version for name, version in versions().items() if name in ("numpy", "torch")})


if __name__ == "__main__":
    main()
