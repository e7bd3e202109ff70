"""Whole pictures: sets whose classes differ near the ends of long pictures, each trained with the default command.

python benchmarks/frames.py                 # small pictures of 32×132, five sets, three seeds
python benchmarks/frames.py --large         # 96×400, trained as photographs are: hours on two cores
python benchmarks/frames.py --speed         # decoding, loading and steps per pixel, compared with a square
python benchmarks/frames.py --frame crop    # a square from the middle, as before
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

import pennyweight as pw
from pennyweight import data, zoo
from pennyweight.core.frame import Frame, Size
from pennyweight.core.machine import machine_line
from pennyweight.core.preprocess import Preprocess

SOURCES = ((1600, 400), (400, 100))
"""Width and height of the pictures whose loading is timed."""
RED, BLUE = (220, 60, 60), (60, 60, 220)


def wide(draw: np.random.Generator, unit: int, color: tuple[int, int, int]) -> np.ndarray:
    """Draw noise of about 4:1 with a mark near one of the ends, where a square from the middle does not reach."""
    height, width = 32 * unit, 400 * unit // 3
    pixels = draw.normal(128, 25, (height, width, 3))
    left = draw.integers(2 * unit, 20 * unit)
    left = left if draw.random() < 0.5 else width - 10 * unit - left
    top = draw.integers(2 * unit, 20 * unit)
    pixels[top : top + 10 * unit, left : left + 10 * unit] = color
    return np.clip(pixels, 0, 255).astype(np.uint8)


def made(name: str, folder: Path, unit: int, count: int) -> Path:
    """Write the pictures of a set."""
    draw = np.random.default_rng(0)
    for label, color in (("red", RED), ("blue", BLUE)):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            pixels, exif = wide(draw, unit, color), Image.Exif()
            if name == "tall" or (name == "portrait and landscape" and number % 2):
                pixels = np.rot90(pixels)
            if name == "one outlier" and not number and label == "red":
                pixels = np.rot90(pixels)
            if name == "turned by EXIF":  # stored upright, on the head or on either side
                orientation, turns = ((1, 0), (6, 1), (3, 2), (8, 3))[number % 4]
                pixels, exif[0x0112] = np.rot90(pixels, turns), orientation
            image = Image.fromarray(np.ascontiguousarray(pixels))
            image.save(folder / label / f"{number:03d}.png", exif=exif)
    return folder


SETS = ("wide", "tall", "one outlier", "turned by EXIF", "portrait and landscape")


def accuracies(sets: Sequence[str], frame: Any, unit: int, count: int, seeds: Sequence[int]) -> dict[str, Any]:
    """Train on every set with the default command, and return test accuracies and inputs."""
    found: dict[str, Any] = {}
    with TemporaryDirectory() as scratch:
        for name in sets:
            source = made(name, Path(scratch) / name, unit, count)
            runs = [
                pw.fit(source, out=Path(scratch) / f"{name}-{seed}", seed=seed, frame=frame, progress=False)
                for seed in seeds
            ]
            preprocess = pw.load(runs[0]).preprocess
            found[name] = {
                "input": preprocess.shape[:2],
                "frame": preprocess.frame,
                "accuracies": [run.evaluation["accuracy"] for run in runs],
            }
            print(name, json.dumps(found[name]), flush=True)
    return found


def speeds(source: tuple[int, int], pictures: int = 96, rounds: int = 9) -> dict[str, Any]:
    """Time reading, loading and a training step for JPEG files of 4:1; return nanoseconds a pixel of the input.

    The first epoch begins with decoding, which "read" times alone.
    """
    cases: dict[str, tuple[Size, Frame]] = {
        "square": (224, "crop"), "rectangle": ((112, 448), "crop"), "padded": (224, "pad"),
    }  # fmt: skip
    augment = data.Augment(flip=True, shift=0.125)
    network = zoo.create("mobilenet_v1_x0_25", num_classes=2)
    spent: dict[str, dict[str, list[float]]] = {
        name: {"read": [], "first epoch, with reading": [], "later epoch": [], "step": []} for name in cases
    }
    with TemporaryDirectory() as scratch:
        draw, samples = np.random.default_rng(0), []
        for number in range(pictures):
            coarse = Image.fromarray(draw.integers(0, 256, (30, 120, 3), dtype=np.uint8))
            file = io.BytesIO()
            coarse.resize(source, Image.Resampling.BICUBIC).save(file, "JPEG")
            path = Path(scratch) / f"{number}.jpg"
            path.write_bytes(file.getvalue())
            samples.append(data.Sample(path, number % 2, str(number), "train", path.name))
        for _ in range(rounds):
            for name, (size, frame) in cases.items():
                preprocess = Preprocess.for_input(size, decoding="draft", frame=frame)
                pixels = pictures * int(np.prod(preprocess.shape[:2]))
                loaded = data.Pictures(samples, preprocess, margin=True)
                started = time.perf_counter()
                loaded.read()
                spent[name]["read"].append((time.perf_counter() - started) / pixels)
                for number, epoch in enumerate(("first epoch, with reading", "later epoch"), 1):
                    started = started if number == 1 else time.perf_counter()
                    batches = list(loaded.epoch(number, batch=32, seed=0, augment=augment))
                    spent[name][epoch].append((time.perf_counter() - started) / pixels)
                x = torch.from_numpy(np.asarray(batches[0].pixels)).permute(0, 3, 1, 2).float() / 255
                started = time.perf_counter()
                network(x).sum().backward()
                spent[name]["step"].append((time.perf_counter() - started) / (x.shape[2] * x.shape[3] * len(x)))
    return {name: {part: 1e9 * median(times) for part, times in rows.items()} for name, rows in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--frame", default="auto")
    parser.add_argument("--count", type=int, default=150, help="pictures of each class")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    asked = parser.parse_args()
    print(machine_line())
    unit = 3 if asked.large else 1
    if asked.speed:
        result = {f"JPEG files of {width}×{height}": speeds((width, height)) for width, height in SOURCES}
    else:
        result = accuracies(asked.sets, asked.frame, unit, asked.count, asked.seeds)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
