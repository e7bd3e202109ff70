"""Seconds from the start of the process to the finished report, and test accuracy, over seeds.

    PENNYWEIGHT_DATA=… python benchmarks/time_to_accuracy.py [--seeds N] [--only TEXT]

Each row runs the command `pennyweight fit` with default options. Rows whose source is not on this machine are left out.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from pennyweight.core.figures import share
from pennyweight.core.machine import machine, versions
from pennyweight.core.run import Run
from pennyweight.report.tables import Column, table

SHELF = Path(os.environ.get("PENNYWEIGHT_DATA", "."))
MOBILENET = SHELF / "weights" / "mobilenet_v2-imagenet-tf_same-224.safetensors"
PETS = ("cats-dogs", "--model", "mobilenet_v2", "--weights", str(MOBILENET))
ROWS = {
    "digits": ("digits", "--epochs", "8"),
    "cats-dogs, head": (*PETS, "--mode", "head"),
    "cats-dogs, finetune, 2 epochs": (*PETS, "--mode", "finetune", "--epochs", "2"),
    "cats-dogs, finetune": (*PETS, "--mode", "finetune"),
}


def measure(command: tuple[str, ...], seed: int, out: Path) -> tuple[float, float]:
    """Return (seconds, test accuracy) of one run."""
    started = time.perf_counter()
    program = [sys.executable, "-m", "pennyweight", "fit", *command, "--seed", str(seed), "--out", str(out)]
    subprocess.run(program, check=True, capture_output=True)
    return time.perf_counter() - started, float(Run(out).evaluation["accuracy"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, command in ROWS.items():
            if arguments.only not in name or (command[0] != "digits" and not (SHELF / command[0]).is_dir()):
                continue
            found = [measure(command, seed, Path(folder) / f"{name}-{seed}") for seed in range(arguments.seeds)]
            seconds, accuracies = zip(*found, strict=True)
            rows.append(
                (
                    name,
                    statistics.median(seconds),
                    max(seconds),
                    *map(share, (min(accuracies), statistics.fmean(accuracies))),
                )
            )
    console = Console()
    columns = [Column(title) for title in ("run", "s, median", "s, longest", "accuracy, lowest", "mean")]
    console.print(table(f"{arguments.seeds} seeds", columns, rows))
    console.print(machine() | versions() | {"load": os.getloadavg()})


if __name__ == "__main__":
    main()
