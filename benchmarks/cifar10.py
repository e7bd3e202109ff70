"""CIFAR-10 from scratch in M minutes of wall-clock time: test accuracy against a plain loop, and steps per second.

    python benchmarks/cifar10.py [SOURCE] [--minutes M] [--seeds N] [--only NETWORK]

SOURCE is a name or folder that `fit` takes, with train and test splits. The plain loop is what tutorials write: NCHW,
float32, Adam 1e-3, no schedule, no augmentation, the last weights. Steps per second are measured on one network, in
turn.
"""

import argparse
import os
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console

from pennyweight import data, zoo
from pennyweight.core.figures import share
from pennyweight.core.machine import machine, versions
from pennyweight.core.preprocess import Preprocess
from pennyweight.nn import FromPixels
from pennyweight.report.tables import Column, table
from pennyweight.train import Checkpointer, Ranks, Recipe
from pennyweight.train.autotune import measure
from pennyweight.train.callbacks import NullCallback
from pennyweight.train.trainer import Trainer
from pennyweight.verbs.fit import fit

OURS: dict[str, dict[str, Any]] = {
    "auto": {"model": "auto"},
    "mobilenet_v1, width 0.5": {"model": "mobilenet_v1", "config": {"width": 0.5}},
}
BATCH = 128


class Plain:
    """Training loop of a tutorial, on MobileNetV1."""

    def __init__(self, preprocess: Preprocess, seed: int) -> None:
        torch.manual_seed(seed)
        self.network = zoo.create("mobilenet_v1", num_classes=10, stem="cifar")
        self.from_pixels = FromPixels(preprocess.mean, preprocess.std)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)

    def step(self, batch: data.Batch) -> None:
        x = self.from_pixels(torch.from_numpy(batch.pixels)).contiguous()
        self.optimizer.zero_grad()
        F.cross_entropy(self.network(x), torch.from_numpy(batch.targets)).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def accuracy(self, pictures: data.Pictures) -> float:
        self.network.eval()
        right = 0
        with torch.inference_mode():
            for batch in pictures.in_order(500):
                answers = self.network(self.from_pixels(torch.from_numpy(batch.pixels)).contiguous()).argmax(1)
                right += int((answers == torch.from_numpy(batch.targets)).sum())
        return right / len(pictures)


def plain(source: data.Source, minutes: float, seed: int) -> float:
    """Return the plain loop's test accuracy after `minutes`."""
    started = time.monotonic()
    splits, preprocess = data.split(source), Preprocess.for_input(32)
    training, test = data.Pictures([*splits.train, *splits.val], preprocess), data.Pictures(splits.test, preprocess)
    training.read()
    loop, epoch = Plain(preprocess, seed), 0
    still = data.Augment(flip=False, shift=0.0)
    while True:
        epoch += 1
        loop.network.train()
        for batch in training.epoch(epoch, batch=BATCH, seed=seed, augment=still):
            loop.step(batch)
            if time.monotonic() - started > minutes * 60:
                return loop.accuracy(test)


def steps_per_s(source: data.Source, turns: int = 12) -> tuple[float, float]:
    """Return the training throughput of MobileNetV1 in steps per second, (plain, ours), measured in turn."""
    preprocess = Preprocess.for_input(32)
    pictures = data.Pictures(data.split(source).train[:2000], preprocess)
    pictures.read()
    still = data.Augment(flip=False, shift=0.0)
    batches = list(islice(pictures.epoch(1, batch=BATCH, seed=0, augment=still), 4))
    recipe, ranks = Recipe(batch=BATCH, optimizer="sgd", lr=0.01), Ranks()
    with tempfile.TemporaryDirectory() as memory:
        network = zoo.create("mobilenet_v1", num_classes=10, stem="cifar")
        found = measure(
            network, batches, recipe, preprocess=preprocess, ranks=ranks, compiling=False, memory=Path(memory)
        )
    ours = Trainer(
        network, training=pictures, recipe=found.applied_to(recipe), seed=0, callback=NullCallback(),
        preprocess=preprocess, checkpointer=Checkpointer(), teacher=None, ranks=ranks,
    )  # fmt: skip
    ours.network.train()
    loop = Plain(preprocess, 0)
    spent: list[list[float]] = [[], []]
    for turn in range(turns + 2):
        batch = batches[turn % len(batches)]
        started = time.perf_counter()
        loop.step(batch)
        half = time.perf_counter()
        ours.step(batch)
        spent[0].append(half - started)
        spent[1].append(time.perf_counter() - half)
    first, second = (1 / statistics.median(times[2:]) for times in spent)
    return first, second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="cifar10-jpeg")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--plain-seeds", type=int, default=3, help="how many of these seeds the plain loop trains too")
    parser.add_argument("--only", choices=OURS, help="one network of ours; default: both")
    arguments = parser.parse_args()
    source, console = data.open(arguments.source), Console()
    console.print(machine() | versions() | {"load": os.getloadavg()})
    first, second = steps_per_s(source)
    console.print(
        f"steps/s on mobilenet_v1, batch {BATCH}: plain {first:.2f}, ours {second:.2f}, {second / first:.2f}×"
    )
    rows: list[tuple[Any, ...]] = []

    def add(name: str, seed: int, accuracy: float, minutes: float, epochs: int | None) -> None:
        rows.append((name, seed, share(accuracy), minutes, epochs))
        print(*rows[-1], flush=True)

    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            for name, options in OURS.items():
                if arguments.only not in (None, name):
                    continue
                started = time.monotonic()
                run = fit(source, **options, minutes=arguments.minutes, seed=seed, out=Path(folder) / f"{name}-{seed}")
                minutes = (time.monotonic() - started) / 60
                add(name, seed, run.evaluation["accuracy"], minutes, run.record["recipe"]["epochs"])
            if seed < arguments.plain_seeds:
                add("plain mobilenet_v1", seed, plain(source, arguments.minutes, seed), arguments.minutes, None)
    columns = [Column(title) for title in ("network", "seed", "test accuracy", "minutes", "epochs")]
    console.print(table(f"{arguments.minutes:g} minutes on {source.name}", columns, rows))
    console.print({"load": os.getloadavg()})


if __name__ == "__main__":
    main()
