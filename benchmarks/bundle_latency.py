"""Latency of one picture in milliseconds: the bundle against its torch network, on this machine.

    python benchmarks/bundle_latency.py [--repeats N]

Both sides take the same uint8 pixels and return probabilities, with the same number of threads, in turn. The table
shows medians. Weights are random, because the time does not depend on them. The figures depend on the machine and the
hour: quote the ratio.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from pennyweight import zoo
from pennyweight.core.machine import cores, machine, versions
from pennyweight.core.manifest import Manifest
from pennyweight.core.preprocess import Preprocess
from pennyweight.deploy import TorchEngine, export_bundle
from pennyweight.report.tables import Column, table
from pennyweight.runtime import Engine

NETWORKS = ("mobilenet_v1_x0_25", "mobilenet_v1", "mobilenet_v2_x0_35", "mobilenet_v2")
SIZE = 224


def engines(name: str, folder: Path) -> tuple[Engine, Engine]:
    """Return (torch, bundle) of a fresh network."""
    network = zoo.create(name).eval()
    preprocess = Preprocess.for_input(SIZE)
    manifest = Manifest(
        network={"name": name},
        labels=tuple(f"class {number}" for number in range(1000)),
        preprocess=preprocess,
        cost={},
        evaluation=None,
        parity={},
        data={},
        versions=versions(),
        created="",
    )
    bundle = export_bundle(network, folder / f"{name}.onnx", manifest, [], of="")
    return TorchEngine(network, preprocess), bundle.engine


def medians_ms(sides: tuple[Engine, ...], repeats: int) -> list[float]:
    """Return the median latency of each side in milliseconds, measured in turn after a warm-up."""
    pixels = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), dtype=np.uint8)
    times: list[list[float]] = [[] for _ in sides]
    for repeat in range(repeats + 5):
        for side, spent in zip(sides, times, strict=True):
            started = time.perf_counter()
            side(pixels)
            if repeat >= 5:
                spent.append((time.perf_counter() - started) * 1000)
    return [statistics.median(spent) for spent in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=50)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(cores())
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            eager_ms, bundle_ms = medians_ms(engines(name, Path(folder)), repeats)
            rows.append((name, eager_ms, bundle_ms, eager_ms / bundle_ms))
    console = Console()
    figures = [Column("network"), Column("torch, eager, ms"), Column("bundle, ms"), Column("times faster")]
    console.print(table(f"one picture of {SIZE}×{SIZE}, median of {repeats}", figures, rows))
    console.print(machine() | versions())


if __name__ == "__main__":
    main()
