"""Peak resident memory of training on a 610×340×103 scene, and of mapping memory-mapped cubes of two sizes.

    python benchmarks/scene_memory.py [--threads N]

Each figure is the peak resident memory of a separate process, torch included. The cubes are written to a temporary
folder. The ratio of the two maps' times shows if the time grows in proportion to the pixels.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from pennyweight.core.heap import keeping_memory
from pennyweight.core.machine import machine, versions
from pennyweight.core.spectral import Projection
from pennyweight.data.scenes.open import open_scene
from pennyweight.data.scenes.synthetic import synthetic
from pennyweight.deploy.scene_graph import torch_scene_engine
from pennyweight.report.tables import Column, table
from pennyweight.runtime.scene_mapper import map_scene
from pennyweight.train import Recipe
from pennyweight.verbs.scenes.plan import SceneOptions, make_scene_plan, split_of
from pennyweight.verbs.scenes.train import learn
from pennyweight.zoo import create

SIZES = ((1000, 1000), (2000, 1000))
BANDS, COMPONENTS, WINDOW = 30, 15, 25


def make(folder: str) -> None:
    """Write a scene of Pavia University's size in a separate process, because this takes more memory than training."""
    scene = synthetic(610, 340, 103, 9)
    np.save(Path(folder, "cube.npy"), scene.cube)
    np.save(Path(folder, "labels.npy"), scene.truth + 1)


def train(folder: str) -> None:
    """Train HybridSN on the scene's windows for two epochs."""
    scene = open_scene(f"{folder}/cube.npy", f"{folder}/labels.npy")
    options = SceneOptions(train=100, window=WINDOW)
    split = split_of(scene, options, 0)
    recipe = Recipe(epochs=2, lr=1e-3, shift=0.0)
    learn(scene, split, make_scene_plan(scene, split, "hybrid_sn_bn", options, recipe=recipe, config={}, seed=0))


def predict(path: str) -> None:
    """Map a cube on disk."""
    cube = np.load(path, mmap_mode="r")
    projection = Projection.fit(cube[:20, :20].reshape(-1, BANDS), COMPONENTS)
    network = create("hybrid_sn_bn", in_channels=COMPONENTS, num_classes=9)
    map_scene(torch_scene_engine(network, projection, window=WINDOW), cube)


def measured(threads: int, *task: str) -> tuple[float, float]:
    """Return (seconds, GiB) of a process that does one task; the seconds exclude its start."""
    command = [sys.executable, __file__, "--threads", str(threads), "--task", *task]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak = done.stdout.split()[-2:]
    return float(seconds), float(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.task:
        torch.set_num_threads(given.threads)
        started = time.perf_counter()
        with keeping_memory():  # as the commands do
            {"make": make, "train": train, "predict": predict}[given.task[0]](given.task[1])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(time.perf_counter() - started, peak)
        return
    with tempfile.TemporaryDirectory() as folder:
        measured(given.threads, "make", folder)
        rows = [("training on 610×340×103, two epochs", *measured(given.threads, "train", folder))]
        for height, width in SIZES:
            path = Path(folder, f"{height}.npy")
            cube = np.lib.format.open_memmap(path, "w+", np.float32, (height, width, BANDS))
            draw = np.random.default_rng(0)
            for start in range(0, height, 100):
                cube[start : start + 100] = draw.random((100, width, BANDS), np.float32)
            cube.flush()
            rows.append((f"map of {height}×{width}×{BANDS}", *measured(given.threads, "predict", str(path))))
    columns = (Column("what"), Column("seconds"), Column("highest resident, GiB"))
    Console().print(table(f"{given.threads} threads", columns, rows))
    pixels = SIZES[1][0] * SIZES[1][1] / (SIZES[0][0] * SIZES[0][1])
    Console().print(f"{pixels:g} times the pixels took {rows[2][1] / rows[1][1]:.2f} times as long", highlight=False)
    Console().print(machine() | versions())


if __name__ == "__main__":
    main()
