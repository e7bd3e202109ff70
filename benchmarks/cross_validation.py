"""Head against finetune by cross-validation: each photograph is scored once by a network that never saw it.

    PENNYWEIGHT_DATA=… python benchmarks/cross_validation.py [SOURCE] [--model NAME] [--weights FILE] [--folds K]

SOURCE is a folder of class folders, or the name of a data set; of one with splits, only `train` is used. Each row runs
the command `pennyweight fit` on K-1 folds with the fold's number as the seed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from pennyweight.core.figures import share
from pennyweight.core.machine import machine, versions
from pennyweight.core.run import Run
from pennyweight.report.tables import Column, table

SHELF = Path(os.environ.get("PENNYWEIGHT_DATA", "."))
MOBILENET = SHELF / "weights" / "mobilenet_v2-imagenet-tf_same-224.safetensors"
MODES = ("head", "finetune")


def folded(source: Path, folds: int, into: Path) -> list[Path]:
    """Make folders of links with `train` and `test`; each class is split at random, the same way every time."""
    draw = np.random.default_rng(0)
    made = [into / f"fold-{fold}" for fold in range(folds)]
    for label in sorted(child for child in source.iterdir() if child.is_dir()):
        files = sorted(path for path in label.iterdir() if path.is_file())
        for turn, number in enumerate(draw.permutation(len(files))):
            for fold, root in enumerate(made):
                folder = root / ("test" if turn % folds == fold else "train") / label.name
                folder.mkdir(parents=True, exist_ok=True)
                (folder / files[number].name).symlink_to(files[number].resolve())
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="cats-dogs")
    parser.add_argument("--model", default="mobilenet_v2")
    parser.add_argument("--weights", default=str(MOBILENET))
    parser.add_argument("--folds", type=int, default=5)
    asked = parser.parse_args()
    source = next(path for path in (Path(asked.source), SHELF / asked.source) if path.is_dir())
    wrong: dict[str, list[int]] = {mode: [] for mode in MODES}
    spent_s = dict.fromkeys(MODES, 0.0)
    scored = 0
    with tempfile.TemporaryDirectory() as folder:
        folds = folded(source / "train" if (source / "train").is_dir() else source, asked.folds, Path(folder))
        for fold, root in enumerate(folds):
            for mode in MODES:
                out = Path(folder, f"{mode}-{fold}")
                command = ["fit", str(root), "--model", asked.model, "--weights", asked.weights, "--mode", mode]
                started = time.perf_counter()
                program = [sys.executable, "-m", "pennyweight", *command, "--seed", str(fold), "--out", str(out)]
                subprocess.run(program, check=True)
                spent_s[mode] += time.perf_counter() - started
                found = Run(out).evaluation
                wrong[mode].append(found["images"] - round(found["accuracy"] * found["images"]))
            scored += found["images"]
    rows = [
        (mode, ", ".join(map(str, counts)), sum(counts), share(1 - sum(counts) / scored), spent_s[mode] / asked.folds)
        for mode, counts in wrong.items()
    ]
    columns = [Column(title) for title in ("mode", "wrong in each fold", "wrong in all", "accuracy", "s, mean")]
    console = Console()
    console.print(table(f"{asked.model} on {scored} photographs", columns, rows))
    console.print(machine() | versions() | {"load": os.getloadavg()})


if __name__ == "__main__":
    main()
