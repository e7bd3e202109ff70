"""Test accuracy and classes in a batch, by the order in which a streamed set was packed, and of two other libraries.

    python benchmarks/streams_order.py [--quick] [--pictures N] [--epochs N] [--seeds N]

It needs $PENNYWEIGHT_DATA with cifar10-jpeg. 25,000 pictures of CIFAR-10 are packed by class or mixed; ResNet-9 ×0.25
trains on them at 32 pixels. The classes in a batch of 128 are the exponential of its entropy, a mean over an epoch.
`--quick` counts classes alone. Peers are counted where they are installed (`pip install webdataset
mosaicml-streaming`): webdataset with a shuffle buffer of 1,000 and 5,000, mosaicml-streaming with its default order.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from rich.console import Console

import pennyweight as pw
from pennyweight.core.machine import machine, versions
from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Augment, Stream
from pennyweight.report.tables import Column, table
from stream_sets import Rows, read_rows, serve, write_mds, write_table, write_tars

BATCH = 128


def classes(labels: Iterable[int]) -> float:
    """Return the mean exponential of the entropy of the classes in a batch."""
    labels, found = iter(labels), []
    while len(batch := list(islice(labels, BATCH))) == BATCH:
        shares = np.unique(batch, return_counts=True)[1] / BATCH
        found.append(float(np.exp(-(shares * np.log(shares)).sum())))
    return statistics.mean(found)


def our_labels(address: str) -> Iterator[int]:
    """Yield the classes of an epoch of ours."""
    stream = Stream(address, Preprocess.for_input(32))
    for batch in stream.epoch(1, batch=BATCH, seed=0, augment=Augment(flip=False, shift=0.0)):
        yield from batch.targets.tolist()


def webdataset_labels(address: str, buffer: int) -> Iterator[int]:
    """Yield the classes of an epoch of webdataset: shards in random order, samples shuffled in a buffer."""
    import webdataset

    shards = webdataset.WebDataset(address, shardshuffle=100, seed=0).shuffle(buffer)
    yield from (int(sample["cls"]) for sample in shards)


def mds_labels(folder: Path) -> Iterator[int]:
    """Yield the classes of an epoch of mosaicml-streaming, shuffled as it does by default."""
    from streaming import StreamingDataset

    found = StreamingDataset(local=str(folder), shuffle=True, batch_size=BATCH, num_canonical_nodes=1)
    yield from (int(sample["label"]) for sample in found)


def peers(folder: Path, name: str, rows: Rows, address: str, files: int) -> list[str]:
    """Return the classes in a batch of both peers, or – where one is not installed."""
    size = sum(len(picture) + 16 for picture, _ in rows) // files
    asked: list[Callable[[], Iterator[int]]] = [
        lambda: webdataset_labels(address, 1000),
        lambda: webdataset_labels(address, 5000),
        lambda: mds_labels(write_mds(folder / f"mds-{name}", rows, bytes_a_shard=size)),
    ]
    found = []
    for labels in asked:
        try:
            found.append(f"{classes(labels()):.1f}")
        except ImportError:
            found.append("–")
    return found


def accuracies(address: str, options: argparse.Namespace, out: Path) -> list[float]:
    """Return the test accuracy in percent for each seed."""
    recipe = {"name": "sprint", "epochs": options.epochs, "batch": BATCH}
    found = []
    for seed in range(options.seeds):
        run = pw.fit(
            address, "resnet_9_x0_25", recipe=recipe, input_size=32, seed=seed, weights="none",
            out=out / f"{seed}", progress=False, speed="fixed", preflight=False,
        )  # fmt: skip
        found.append(100 * run.evaluation["accuracy"])
        print(f"{address}: seed {seed}: {found[-1]:.1f}%", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="count classes only")
    parser.add_argument("--pictures", type=int, default=25_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    shelf = Path(os.environ["PENNYWEIGHT_DATA"]) / "cifar10-jpeg"
    every = read_rows(shelf, "train")
    chosen = np.random.default_rng(0).permutation(len(every))
    mixed = [every[place] for place in chosen[: options.pictures].tolist()]
    by_class = sorted(mixed, key=lambda row: row[1])
    held = [every[place] for place in chosen[-1000:].tolist()]
    test = read_rows(shelf, "test")[: 1000 if options.quick else None]
    console, rows = Console(), []
    with tempfile.TemporaryDirectory() as temporary, serve(Path(temporary)) as server:
        folder = Path(temporary)
        packed = {
            "mixed, ten tars": ("mixed", mixed, 10),
            "by class, ten tars": ("ten", by_class, 10),
            "by class, one tar": ("one", by_class, 1),
            "by class, Parquet over http": ("http", by_class, 0),
        }
        for title, (name, samples, files) in packed.items():
            there = folder / name
            if files:
                shown = write_tars(there, samples, files=files)
                address = shown[: -len(".tar")].replace("train-", "{train-") + ",val-00,test-00}.tar"
                write_tars(there, held, split="val"), write_tars(there, test, split="test")
            else:
                for split, kept in (("train", samples), ("val", held), ("test", test)):
                    write_table(there, kept, split=split)
                address = f"{server}/{name}/{{train,val,test}}-00.parquet"
            beside = peers(folder, name, samples, shown, files) if files else ["–"] * 3
            counted = f"{classes(our_labels(address)):.1f}"
            scores = [] if options.quick else accuracies(address, options, folder / f"runs-{name}")
            mean = f"{statistics.mean(scores):.1f}" if scores else ""
            rows.append((title, counted, *beside, " · ".join(f"{score:.1f}" for score in scores), mean))
    columns = ("shards", "classes here", "webdataset 1,000", "webdataset 5,000", "streaming", "accuracy %", "mean")
    console.print(table(f"batches of {BATCH}", [Column(title) for title in columns], rows))
    console.print(machine() | versions())


if __name__ == "__main__":
    main()
