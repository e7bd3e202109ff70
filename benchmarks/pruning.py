"""Pruned bundles compared with those of the whole networks: milliseconds, validation and test accuracy.

    python benchmarks/pruning.py RUN… [--shares 0.3,0.5] [--out FOLDER]
    python benchmarks/pruning.py --blocks mobilenet_v2:224 resnet18:224 [--share 0.3] [--repeats N]

Each run is exported whole, and pruned by each share. Milliseconds are those that `export` measures: both bundles in
turns, one picture. `--blocks` prunes fresh networks, with an input of that side, in blocks of 8, of 4 and of single
channels. Their accuracy means nothing, and the ratios of their times do not depend on it. All rows of a network are
timed in turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import onnx
import torch
from rich.console import Console
from torch import nn

import pennyweight as pw
from pennyweight import zoo
from pennyweight.core.figures import number, share
from pennyweight.core.machine import machine, versions
from pennyweight.core.noise import seeded_pixels
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.turns import time_in_turns
from pennyweight.deploy import export_graph, prune
from pennyweight.report.tables import Column, table
from pennyweight.runtime.onnx_engine import OnnxEngine

BLOCKS = (8, 4, 1)


def forms(name: str, size: int, amount: float) -> Iterator[tuple[str, nn.Module, float]]:
    """Yield a fresh network whole, and pruned in blocks of each size, with its share of the MACs."""
    torch.manual_seed(0)
    network, shape = zoo.create(name, num_classes=10).eval(), (3, size, size)
    batch = torch.randn(8, *shape)
    yield "whole", network, 1.0
    for block in BLOCKS:
        with mock.patch("pennyweight.deploy.channel_groups.BLOCK", block):
            pruned = prune(network, shape, amount, [batch])
        yield f"blocks of {block}", pruned.network, pruned.macs[1] / pruned.macs[0]


def block_rows(networks: list[str], amount: float, repeats: int) -> Iterator[list[object]]:
    """Yield the rows of `--blocks`."""
    for name, side in (network.rsplit(":", 1) for network in networks):
        size = int(side)
        preprocess, made = Preprocess.for_input(size), list(forms(name, size, amount))
        with tempfile.TemporaryDirectory() as folder:
            engines = []
            for row, (_, network, _) in enumerate(made):
                path = Path(folder, f"{row}.onnx")
                onnx.save(export_graph(network, preprocess).model, path)
                engines.append(OnnxEngine(path))
            pixels = seeded_pixels(1, preprocess.shape)
            times = time_in_turns([partial(engine, pixels) for engine in engines], repeats=repeats)
        for (form, _, left), spent in zip(made, times, strict=True):
            ratio = statistics.median(whole / own for whole, own in zip(times[0], spent, strict=True))
            yield [f"{name}, {size} pixels", form, left, statistics.median(spent), ratio]


def run_rows(run: Path, shares: list[float], out: Path) -> Iterator[list[object]]:
    """Yield the rows of a run: whole, and pruned by each share."""
    whole = pw.Run(run)
    yield [run.name, "whole", 1.0, 1.0, None, pw.evaluate(whole, split="val").accuracy, whole.evaluation["accuracy"]]
    for amount in shares:
        made = pw.export(whole, out / f"{run.name}-{amount:g}.onnx", prune=amount, note=print)
        record, scores = made.manifest.pruning, made.manifest.evaluation
        assert record is not None
        assert scores is not None
        macs, params, latency = record["macs"], record["params"], record["latency"]
        yield [
            *(run.name, f"--prune {amount:.0%}", macs[1] / macs[0], params[1] / params[0]),
            *(latency["times_faster"], record["accuracy"], scores["accuracy"]),
        ]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--shares", default="0.3,0.5")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--blocks", nargs="+", default=[], metavar="NAME:PIXELS")
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--repeats", type=int, default=100)
    asked = parser.parse_args()
    print(f"{machine()}\n{versions()}")
    if asked.blocks:
        columns: tuple[Column, ...] = (
            *(Column("network"), Column("pruned"), Column("MACs", share)),
            *(Column("median ms", number), Column("times as fast", number)),
        )
        Console(width=120).print(table(None, columns, list(block_rows(asked.blocks, asked.share, asked.repeats))))
    with tempfile.TemporaryDirectory() as folder:
        shares = [float(each) for each in asked.shares.split(",")]
        rows = [row for run in asked.runs for row in run_rows(run, shares, asked.out or Path(folder))]
    if rows:
        columns = (
            *(Column("run"), Column("form"), Column("MACs", share), Column("parameters", share)),
            *(Column("times as fast", number), Column("val", share), Column("test", share)),
        )
        Console(width=120).print(table(None, columns, rows))


if __name__ == "__main__":
    main()
