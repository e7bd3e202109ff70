"""Gain of a small network on CIFAR-10 from distillation: test accuracy with and without a teacher, over seeds.

    python benchmarks/distillation.py [SOURCE] [--teacher RUN] [--model NAME] [--epochs N] [--seeds N]

Both sides train for the same number of epochs.
"""

import argparse
import os
import tempfile
from pathlib import Path
from statistics import fmean, stdev

from rich.console import Console
from scipy.stats import t

from pennyweight import data
from pennyweight.core.figures import share
from pennyweight.core.machine import machine, versions
from pennyweight.report.tables import Column, table
from pennyweight.verbs.fit import fit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="cifar10-jpeg")
    parser.add_argument("--teacher", help="folder of a run; default: train auto's network for as many epochs")
    parser.add_argument("--model", default="mobilenet_v1_x0_25")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    source, rows, gains = data.open(asked.source), [], []
    with tempfile.TemporaryDirectory() as folder:
        known = asked.teacher or fit(source, recipe={"epochs": asked.epochs}, out=Path(folder) / "teacher").folder
        for seed in range(asked.seeds):
            alone, taught = (
                fit(
                    source,
                    asked.model,
                    teacher=teacher,
                    recipe={"epochs": asked.epochs},
                    seed=seed,
                    out=Path(folder) / f"{seed}-{teacher is not None}",
                ).evaluation["accuracy"]
                for teacher in (None, known)
            )
            gains.append(taught - alone)
            rows.append((seed, share(alone), share(taught), share(taught - alone)))
    half = t.ppf(0.975, asked.seeds - 1) * stdev(gains) / asked.seeds**0.5
    console = Console()
    columns = [Column(title) for title in ("seed", "alone", "with the teacher", "gain")]
    console.print(table(f"{asked.model}, {asked.epochs} epochs", columns, rows))
    console.print(
        f"gain {share(fmean(gains))}, 95% interval {share(fmean(gains) - half)} to {share(fmean(gains) + half)}"
    )
    console.print(machine() | versions() | {"load": os.getloadavg()})


if __name__ == "__main__":
    main()
