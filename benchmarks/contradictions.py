"""Sets whose classes a usual augmentation exchanges or makes alike, and sets for which augmentation is welcome.

    PENNYWEIGHT_DATA=… python benchmarks/contradictions.py [--seeds N] [--only SET…] [--check-only] [--set FIELD=VALUE…]

Each set is trained by the default command with consecutive seeds: test accuracy, the changes that were left out,
seconds of the check and of the whole run. `--check-only` stops before the first step, and gives no accuracy.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

import pennyweight as pw
from pennyweight.core.figures import share
from pennyweight.core.machine import machine, versions
from pennyweight.core.settings import parse_pairs
from pennyweight.report.tables import Column, table
from pennyweight.verbs.fitting import pictures

SIDE = 64
RED = (220, 60, 60)
Drawn = NDArray[np.float64]
Outline = Sequence[tuple[float, float]]

TURN: Outline = (
    (-1, 0),
    (-0.2, -0.8),
    (-0.2, -0.3),
    (0.6, -0.3),
    (0.6, 1),
    (0.1, 1),
    (0.1, 0.3),
    (-0.2, 0.3),
    (-0.2, 0.8),
)
HAND: Outline = (
    (-0.5, 1), (-0.6, 0.1), (-1, -0.2), (-0.85, -0.4), (-0.5, -0.15), (-0.45, -0.9), (-0.25, -0.9), (-0.2, -0.2),
    (-0.15, -1), (0.05, -1), (0.1, -0.2), (0.15, -0.9), (0.35, -0.9), (0.35, -0.1), (0.45, -0.7), (0.6, -0.7),
    (0.55, 0.3), (0.4, 1),
)  # fmt: skip
LOGO: Outline = ((-1, 1), (-1, -1), (0.2, -1), (0.2, -0.4), (-0.3, -0.4), (-0.3, 0), (0.8, 0), (0.8, 1))
STRAIGHT: Outline = ((-0.3, 1), (-0.3, -0.3), (-0.8, -0.3), (0, -1), (0.8, -0.3), (0.3, -0.3), (0.3, 1))
BAR: Outline = ((-0.3, 1), (-0.3, -1), (0.3, -1), (0.3, 1))
SQUARE: Outline = ((-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8))


def noise(draw: np.random.Generator, deviation: float = 20) -> Drawn:
    return draw.normal(128, deviation, (SIDE, SIDE, 3))


def on_noise(draw: np.random.Generator, mask: Image.Image, color: Sequence[float]) -> Drawn:
    alpha = np.asarray(mask)[..., None] / 255
    picture: Drawn = noise(draw) * (1 - alpha) + alpha * np.array(color)
    return picture


def outline(points: Outline, color: Sequence[float], draw: np.random.Generator, mirrored: bool = False) -> Drawn:
    """A shape anywhere, a little larger or smaller, a little turned."""
    angle, scale = np.deg2rad(draw.uniform(-15, 15)), draw.uniform(13, 22)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array(points) * scale @ turn * ((-1, 1) if mirrored else (1, 1))
    corners += draw.uniform(-corners.min(0), SIDE - 1 - corners.max(0))
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).polygon([(x, y) for x, y in corners.tolist()], fill=255)
    return on_noise(draw, mask, color)


def glyph(text: str, draw: np.random.Generator) -> Drawn:
    font = ImageFont.load_default(float(draw.uniform(30, 42)))
    left, top, right, bottom = map(round, font.getbbox(text))
    x, y = draw.integers(1, 62 - (right - left)), draw.integers(1, 62 - (bottom - top))
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).text((float(x - left), float(y - top)), text, fill=255, font=font)
    return on_noise(draw, mask.rotate(draw.uniform(-8, 8)), draw.integers(0, 60, 3).tolist())


def side(label: str, draw: np.random.Generator) -> Drawn:
    picture, x, y = noise(draw, 25), draw.integers(3, 14), draw.integers(4, 40)
    x = x if label == "left" else 48 - x
    picture[y : y + 16, x : x + 16] = RED
    return picture


def patch(colors: Mapping[str, Sequence[float]]) -> Callable[[str, np.random.Generator], Drawn]:
    def drawn(label: str, draw: np.random.Generator) -> Drawn:
        picture, (y, x) = noise(draw, 25), draw.integers(2, 40, 2)
        picture[y : y + 20, x : x + 20] = np.array(colors[label]) + draw.normal(0, 8, 3)
        return picture

    return drawn


def sign(label: str, draw: np.random.Generator) -> Drawn:
    shapes = {"straight": STRAIGHT, "bar": BAR, "square": SQUARE}
    return outline(shapes.get(label, TURN), (200, 200, 40), draw, label == "right-turn")


def lit(label: str, draw: np.random.Generator) -> Drawn:
    return noise(draw, 10) + (50 if label == "day" else -50)


SETS: dict[str, tuple[Sequence[str], int, Callable[[str, np.random.Generator], Drawn], dict[str, Any]]] = {
    "side": (("left", "right"), 300, side, {}),
    "b and d": (("b", "d"), 300, glyph, {}),
    "letters": (tuple("abcdefghijklmnopqrstuvwxyz"), 60, glyph, {}),
    "6 and 9": (("6", "9"), 300, glyph, {}),
    "drawn digits": (tuple("0123456789"), 60, glyph, {}),
    "turns": (("left-turn", "right-turn"), 300, sign, {}),
    "signs": (("left-turn", "right-turn", "straight", "bar", "square"), 120, sign, {}),
    "hands": (("left", "right"), 300, lambda label, draw: outline(HAND, (225, 180, 150), draw, label == "right"), {}),
    "logos": (
        ("genuine", "mirrored"),
        300,
        lambda label, draw: outline(LOGO, (40, 60, 200), draw, label[0] == "m"),
        {},
    ),
    "colors": (("red", "blue"), 300, patch({"red": RED, "blue": (60, 60, 220)}), {"policy": "trivial"}),
    "pale": (("vivid", "pale"), 300, patch({"vivid": (200, 60, 60), "pale": (150, 110, 110)}), {"policy": "trivial"}),
    "day and night": (("day", "night"), 300, lit, {"policy": "trivial"}),
}
WELCOME: dict[str, dict[str, Any]] = {
    "cifar10-jpeg": {"model": "resnet_9_x0_25", "recipe": {"epochs": 5}},
    "digits": {},
    "cats-dogs": {"weights": "none", "input_size": 96, "recipe": {"epochs": 8}},
    "cats-dogs, head": {},
}
"""Sets with welcome augmentation -> options that make them short."""


class StoppedError(Exception):
    """Raised before the first step, with what the check found."""


def stop(fitting: Any, *_: Any) -> None:
    raise StoppedError(fitting)


def write(folder: Path, name: str) -> Path:
    labels, each, drawn, _ = SETS[name]
    draw = np.random.default_rng(0)
    for label in labels:
        (folder / name / label).mkdir(parents=True)
        for number in range(each):
            pixels = drawn(label, draw).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / label / f"{number:03d}.png")
    return folder / name


def one(source: str | Path, options: Mapping[str, Any], seed: int, out: Path) -> tuple[float | None, Any, float | None]:
    """Return (test accuracy, what the check found, seconds of the run)."""
    try:
        run = pw.fit(source, out=out, seed=seed, progress=False, **options)
    except StoppedError as stopped:
        return None, stopped.args[0].augmentation, None
    return run.evaluation["accuracy"], run.record.get("augmentation"), run.record["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[*SETS, *WELCOME])
    parser.add_argument("--check-only", action="store_true")
    parser.add_argument("--set", nargs="*", default=[], help="fields of every recipe")
    asked = parser.parse_args()
    if asked.check_only:
        vars(pictures)["settle_schedule"] = stop
    console = Console(width=150)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.only:
            made = name in SETS
            source = write(Path(folder), name) if made else name.partition(",")[0]
            options = {"recipe": SETS[name][3]} if made else WELCOME[name]
            recipe = {**options.get("recipe", {}), **parse_pairs(asked.set, "--set", example="epochs=8")}
            for seed in range(asked.seeds):
                accuracy, found, seconds = one(
                    source, {**options, "recipe": recipe}, seed, Path(folder, f"{name}-{seed}")
                )
                left = "" if found is None else "; ".join(found["notes"])
                took = None if found is None else found["seconds"]
                rows.append((name, seed, "" if accuracy is None else share(accuracy), left or "nothing", took, seconds))
                console.print(*rows[-1], sep="  ")
    titles = ("set", "seed", "test accuracy", "left out", "check, s", "run, s")
    console.print(table("augmentation and labels", [Column(title) for title in titles], rows))
    console.print(machine() | versions() | {"load": os.getloadavg()})


if __name__ == "__main__":
    main()
