"""Scores of networks and baselines on a scene: mean ± deviation over seeds, which set both split and network.

    python benchmarks/scene_scores.py [SCENE] [--split random|blocks] [--train N] [--seeds N] [--models NAME ...]

Every row of a seed has the same training and test pixels. No choice depends on a test pixel: epochs and the SVM's two
constants are chosen on validation pixels from the training share. Each seed is printed as it ends, so an interrupted
run leaves its results.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from pennyweight.core.machine import machine, versions
from pennyweight.report.tables import Column, table
from pennyweight.scoring.scene import SCORES, mean_and_deviation
from pennyweight.verbs.scenes.fit import fit as fit_scene


def interval(value: dict[str, float]) -> str:
    """Format mean ± deviation in percent, as papers print it."""
    return f"{100 * value['mean']:.2f} ± {100 * value['deviation']:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", nargs="?", default="scene:salinas-a")
    parser.add_argument("--split", default="blocks")
    parser.add_argument("--train", type=float, default=0.3)
    parser.add_argument("--window", type=int, default=25)
    parser.add_argument("--cut", default="windows")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--models", nargs="+", default=["hybrid_sn_bn"], help="the first is compared with the baselines"
    )
    parser.add_argument("--no-baselines", action="store_true")
    given = parser.parse_args()
    options = {"split": given.split, "train": given.train, "window": given.window, "cut": given.cut}
    console = Console(width=120)
    console.print(machine() | versions() | {"threads": torch.get_num_threads()})
    rows: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(given.seeds):
            scored: dict[str, dict[str, Any]] = {}
            for number, model in enumerate(given.models):
                started = time.perf_counter()
                run = fit_scene(
                    given.scene,
                    model,
                    out=Path(folder, f"{seed}-{model}"),
                    scene=options,
                    seed=seed,
                    with_baselines=number == 0 and not given.no_baselines,
                    progress=False,
                )
                name = str(run.record["model"]["name"])
                scored = {**scored, **run.evaluation.get("baselines", {}), name: run.evaluation}
                console.print(f"seed {seed} {name}: {time.perf_counter() - started:.0f} s", highlight=False)
            for name, evaluation in scored.items():
                rows.setdefault(name, []).append(evaluation)
            leak = run.evaluation["leakage"]
            told = ", ".join(f"{name} {100 * row['overall_accuracy']:.2f}" for name, row in scored.items())
            console.print(f"seed {seed}: leakage {leak['share']:.1%}, {run.evaluation['pixels']} test pixels; {told}")
    columns = [Column("classifier"), *(Column(name.replace("_", " ") + " ×100", interval) for name in SCORES)]
    summary = [(name, *(mean_and_deviation(found)[score] for score in SCORES)) for name, found in rows.items()]
    shown = " ".join(f"{name} {value}" for name, value in options.items())
    console.print(table(f"{given.scene}, {shown}, {given.seeds} seeds", columns, summary))


if __name__ == "__main__":
    main()
