"""Input size that `fit` chooses from scratch for classes that differ in a detail of large pictures.

    python benchmarks/detail.py [--only SET…] [--seeds N] [--train] [--model NAME]

Each set has two classes of 640×640 pictures of noise, drawn for each seed. Small filters compare the usual size
with twice that size. `--train` also trains the network from scratch at both sizes, which takes long.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

import pennyweight as pw
from pennyweight.core.figures import share
from pennyweight.core.machine import machine_line
from pennyweight.report.tables import Column, table
from pennyweight.verbs.fitting.open import open_fit
from pennyweight.verbs.fitting.request import FitRequest

SIDE = 640
PICTURES = 240
Drawn = NDArray[np.float64]
Change = Callable[[Drawn, int, np.random.Generator], object]


def scratch(picture: Drawn, other: int, draw: np.random.Generator) -> None:
    """A scratch of 2×24 pixels, or none."""
    y, x = draw.integers(60, 560, 2)
    if other:
        picture[y : y + 2, x : x + 24] = 60


def crack(picture: Drawn, other: int, draw: np.random.Generator) -> None:
    """A crack one pixel wide and 150 long, or none."""
    (y,), x = draw.integers(160, 480, 1), draw.integers(60, 430)
    for step in range(150 * other):
        picture[y, x + step] -= 45
        y += draw.integers(-1, 2)


def spot(picture: Drawn, other: int, draw: np.random.Generator) -> None:
    """A ring or a disc of 7 pixels, both of the same sum."""
    y, x = draw.integers(60, 560, 2)
    far = np.hypot(*np.mgrid[-4:5, -4:5])
    disc = (far < 3.2).astype(float)
    ring = disc * (far >= 1.8)
    picture[y - 4 : y + 5, x - 4 : x + 5] -= 60 * (ring * disc.sum() / ring.sum() if other else disc)[..., None]


def weave(picture: Drawn, other: int, draw: np.random.Generator) -> None:
    """A weave with a period of 2.5 or 3.5 pixels."""
    y, x = np.mgrid[:SIDE, :SIDE]
    turn, period = draw.normal(0, 0.1), 2 * np.pi / (2.5, 3.5)[other]
    along, beside = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    picture += 18 * (np.sin(period * along) + np.sin(period * beside))[..., None]


def checkers(picture: Drawn, other: int, draw: np.random.Generator) -> None:
    """Checkers of one or two pixels in a corner."""
    y, x = draw.integers(0, 2, 2) * (SIDE - 24)
    down, across = np.mgrid[:24, :24] // (2, 1)[other]
    picture[y : y + 24, x : x + 24] = 128 + 50 * ((down + across) % 2 * 2 - 1)[..., None]


def square(picture: Drawn, other: int, draw: np.random.Generator) -> None:
    """A red or blue square of 80 pixels."""
    y, x = draw.integers(40, 500, 2)
    picture[y : y + 80, x : x + 80] = ((220, 60, 60), (60, 60, 220))[other]


def text(words: tuple[str, str], size: float) -> Change:
    """Dark words somewhere."""

    def change(picture: Drawn, other: int, draw: np.random.Generator) -> None:
        font, mask = ImageFont.load_default(size), Image.new("L", (60, 20))
        ImageDraw.Draw(mask).text((2, 2), words[other], fill=255, font=font)
        alpha, (y, x) = np.asarray(mask)[..., None] / 255, draw.integers(20, 560, 2)
        picture[y : y + 20, x : x + 60] = picture[y : y + 20, x : x + 60] * (1 - alpha) + alpha * 30

    return change


def nothing(picture: Drawn, other: int, draw: np.random.Generator) -> None:
    """No difference."""


SETS: dict[str, Change] = {
    "ring or disc of 7 pixels with the same sum": spot,
    '"OK 17" or "NO 17", 11 pixels high': text(("OK 17", "NO 17"), 11),
    "C or G, 12 pixels high": text(("C", "G"), 12),
    "no difference": nothing,
    "scratch of 2×24 pixels, or none": scratch,
    "crack, one pixel wide, 150 long, or none": crack,
    "weave with a period of 2.5 or 3.5 pixels": weave,
    "checkers of 1 or 2 pixels in a corner": checkers,
    "red or blue square of 80 pixels": square,
}


def make(change: Change, folder: Path, seed: int) -> Path:
    """Write the pictures of a set."""
    draw = np.random.default_rng(seed)
    for number in range(PICTURES):
        picture = draw.normal(128, 12, (SIDE, SIDE, 1)).repeat(3, 2)
        change(picture, number % 2, draw)
        path = folder / ("one", "two")[number % 2] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path, compress_level=1)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--model", default="mobilenet_v1_x0_25")
    asked, rows = parser.parse_args(), []
    options = {"model": asked.model, "weights": "none", "progress": False}
    for name in asked.only:
        for seed in range(asked.seeds):
            with tempfile.TemporaryDirectory() as temporary:
                source = make(SETS[name], Path(temporary) / "set", seed)
                plan = open_fit(FitRequest(source=source, **options), perf_counter()).plan
                line = next((line for line in plan.why if line.startswith("input ")), "fewer than 5 mistakes")
                scores = {
                    size: pw.fit(source, input_size=size, out=Path(temporary, str(size)), **options).evaluation
                    for size in (224, 448) * asked.train
                }
            trained = "; ".join(f"{size}: {share(found['accuracy'])}" for size, found in scores.items())
            rows.append((name, seed, plan.preprocess.size, line.rpartition("folds: ")[2], trained))
            print(*rows[-1], sep=" | ", flush=True)
    heads = (
        "classes",
        "seed",
        "input",
        "small filters on 160 training pictures in folds",
        "test, trained from scratch",
    )
    Console(width=200).print(table("input size from scratch", [Column(head) for head in heads], rows))
    print(machine_line())


if __name__ == "__main__":
    main()
