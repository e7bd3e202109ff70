"""Input size that `fit` chooses for cats and dogs that fill the picture, and for those that are small in a large one.

    python benchmarks/input_size.py [--weights FILE] [--sides 500 200 120]

It needs $PENNYWEIGHT_DATA with cats-dogs. A side of S pixels pastes each photograph, shrunk to S, onto 960×960 pixels
of noise at a random place. For each set MobileNetV2's features are compared at three sizes, as `fit` does in mode head,
and the head is trained at the usual size and at the chosen one.
"""

import argparse
import os
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image
from rich.console import Console

import pennyweight as pw
from pennyweight.core.figures import share
from pennyweight.core.machine import machine_line
from pennyweight.report.tables import Column, table
from pennyweight.verbs.fitting.open import open_fit
from pennyweight.verbs.fitting.request import FitRequest

CANVAS = 960
MARGIN = 60


def paste(photographs: Path, out: Path, side: int) -> Path:
    """Write the photographs, at most `side` pixels large, each at a random place of a canvas of noise."""
    draw = np.random.default_rng(0)
    for path in sorted(photographs.rglob("*.jpg")):
        picture = Image.open(path).convert("RGB")
        picture.thumbnail((side, side))
        color = tuple(int(value) for value in draw.integers(60, 200, 3))
        noise = Image.effect_noise((CANVAS, CANVAS), 20).convert("RGB")
        canvas = Image.blend(Image.new("RGB", (CANVAS, CANVAS), color), noise, 0.2)
        across, down = (int(place) for place in draw.integers(MARGIN, CANVAS - MARGIN - side, 2))
        canvas.paste(picture, (across, down))
        (out / path.parent.name).mkdir(parents=True, exist_ok=True)
        canvas.save(out / path.parent.name / path.name, quality=92)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shelf = Path(os.environ["PENNYWEIGHT_DATA"])
    parser.add_argument("--weights", default=str(next((shelf / "weights").glob("mobilenet_v2-*"))))
    parser.add_argument("--sides", type=int, nargs="*", default=[500, 200, 120])
    options = parser.parse_args()
    photographs, rows = shelf / "cats-dogs", []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sets = {"as they are": photographs}
        sets |= {
            f"{side} of {CANVAS} pixels": paste(photographs, folder / f"at-{side}", side) for side in options.sides
        }
        for name, source in sets.items():
            common = {"model": "mobilenet_v2", "weights": options.weights, "progress": False}
            plan = open_fit(FitRequest(source=source, **common), perf_counter()).plan
            sizes = dict.fromkeys((224, plan.preprocess.size))
            scores = {
                size: pw.fit(source, input_size=size, out=folder / f"{source.name}-{size}", **common).evaluation
                for size in sizes
            }
            shown = [f"{size}: {share(found['accuracy'])} of {found['images']}" for size, found in scores.items()]
            line = next((line for line in plan.why if line.startswith("input ")), "no trial: fewer than 5 mistakes")
            rows.append((name, plan.preprocess.size, line.rpartition(": ")[2], "; ".join(shown)))
            print(*rows[-1], sep=" | ", flush=True)
    heads = ("cats and dogs", "input", "training pictures in folds, and time for each", "test")
    Console(width=200).print(table("input size in mode head", [Column(head) for head in heads], rows))
    print(machine_line())


if __name__ == "__main__":
    main()
