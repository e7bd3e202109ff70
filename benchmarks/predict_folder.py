"""Throughput of `predict` on a folder in pictures per second, one at a time against batches; and its memory.

    python benchmarks/predict_folder.py [--pictures N] [--turn N] [--memory-pictures N]

It needs $PENNYWEIGHT_DATA with cats-dogs, whose photographs are linked N times. For inputs of 32 pixels they are first
made small. Both sides run in one process, in turn, each with its own pictures: `classifier.predict(file)` for each
file, as in a simple loop, and `classifier.answers` to a CSV file, as in the command. Networks run as bundles
(onnxruntime) and in torch, with random weights, because the time does not depend on them. Memory is the peak of the
command as a separate process, on a tenth of the pictures and on all. Quote the ratios, because the figures depend on
the machine and the hour.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from PIL import Image
from rich.console import Console

from pennyweight import zoo
from pennyweight.cli.answers import as_csv
from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.machine import cores, machine, versions
from pennyweight.core.manifest import Manifest
from pennyweight.core.preprocess import Preprocess
from pennyweight.deploy import TorchEngine, export_bundle
from pennyweight.report.tables import Column, table
from pennyweight.runtime import Classifier
from pennyweight.verbs.inputs import pictures_given

NETWORKS = (("resnet_9_x0_25", 32), ("mobilenet_v1_x0_25", 128), ("mobilenet_v1_x0_25", 224), ("mobilenet_v2", 224))
SMALL = 32
MEMORY_ROW = 1
"""Index of the network whose command runs in a process of its own, so that its memory can be measured."""
LABELS = ("cat", "dog")
FOLDERS = 20
TOP = 5


def photographs(home: Path, size: int) -> list[Path]:
    """Return the photographs of cats and dogs, for a small input resized and saved as PNG."""
    found = sorted(Path(os.environ["PENNYWEIGHT_DATA"], "cats-dogs").rglob("*.jpg"))
    if size > SMALL:
        return found
    small = [home / f"small-{number:03d}.png" for number in range(len(found))]
    for path, photograph in zip(small, found, strict=True):
        if not path.exists():
            with Image.open(photograph) as image:
                image.resize((size, size)).save(path)
    return small


def link(root: Path, count: int, files: Sequence[Path]) -> Path:
    """Link `files` in turn until there are `count` pictures, in several folders."""
    for number in range(count):
        folder = root / f"{number % FOLDERS:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        file = files[number % len(files)]
        (folder / f"{number:06d}{file.suffix}").symlink_to(file)
    return root


def classifiers(name: str, size: int, folder: Path) -> dict[str, Classifier]:
    """Return the network as a bundle and in torch, prepared as by `fit`."""
    network = zoo.create(name, num_classes=len(LABELS)).eval()
    preprocess = Preprocess.for_input(size, decoding="draft")
    manifest = Manifest(
        network={"name": name},
        labels=LABELS,
        preprocess=preprocess,
        cost={},
        evaluation=None,
        parity={},
        data={},
        versions=versions(),
        created="",
    )
    bundle = export_bundle(network, folder / f"{name}-{size}.onnx", manifest, [], of="")
    return {"bundle": bundle.classifier, "torch": Classifier(TorchEngine(network, preprocess), LABELS, preprocess)}


def one_at_a_time(classifier: Classifier, files: Iterable[Path], out: Path) -> None:
    """Predict in a loop that collects the predictions."""
    made = []
    for file in files:
        made += classifier.predict(file, TOP)


def in_batches(classifier: Classifier, files: Iterable[Path], out: Path) -> None:
    """Predict as the command does."""
    with sharing_cores(), as_csv(str(out), min(TOP, len(LABELS))) as write:
        for answer in classifier.stream_named(pictures_given(map(str, files)), TOP):
            write(answer)


def rates(classifier: Classifier, files: list[Path], turn: int, out: Path) -> tuple[float, float, float]:
    """Return (pictures per second one at a time, in batches, median ratio), in turn on the same pictures."""
    sides: tuple[Callable[[Classifier, Iterable[Path], Path], None], ...] = (one_at_a_time, in_batches)
    spent: tuple[list[float], list[float]] = ([], [])
    for predict in sides:
        predict(classifier, files[: min(100, turn)], out)
        out.unlink(missing_ok=True)
    for number, start in enumerate(range(0, len(files), turn)):
        for side in (0, 1) if number % 2 else (1, 0):
            started = time.perf_counter()
            sides[side](classifier, files[start : start + turn], out)
            spent[side].append(time.perf_counter() - started)
            out.unlink(missing_ok=True)
    ratios = [slow / quick for slow, quick in zip(*spent, strict=True)]
    return len(files) / sum(spent[0]), len(files) / sum(spent[1]), statistics.median(ratios)


PEAK = """
import sys
from pathlib import Path
from pennyweight.cli import main
assert main(sys.argv[1:]) == 0
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""
"""Not the parent's view of its child: Linux counts what the parent itself held when it made the child."""


def peak_mb(bundle: Path, photographs: Path, out: Path) -> float:
    """Return the peak memory of the command as a separate process, in MB; Linux only."""
    command = [sys.executable, "-c", PEAK, "predict", str(bundle), str(photographs), "--csv", str(out)]
    said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
    return int(said.stdout) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2_000, help="of each network and engine")
    parser.add_argument("--turn", type=int, default=250)
    parser.add_argument("--memory-pictures", type=int, default=20_000, help="pictures for the measurement of memory")
    asked = parser.parse_args()
    torch.set_num_threads(cores())
    console = Console()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        rows = []
        for name, size in NETWORKS:
            files = sorted(link(home / f"{name}-{size}", asked.pictures, photographs(home, size)).rglob("*.*"))
            for engine, classifier in classifiers(name, size, home).items():
                rows.append((name, size, engine, *rates(classifier, files, asked.turn, home / "out.csv")))
        headings = ("network", "input", "engine", "one at a time, /s", "in batches, /s", "ratio, median")
        console.print(table(f"{asked.pictures:,} photographs", [Column(title) for title in headings], rows))
        bundle = home / "{}-{}.onnx".format(*NETWORKS[MEMORY_ROW])
        originals = photographs(home, NETWORKS[MEMORY_ROW][1])
        peaks = []
        for number in (asked.memory_pictures // 10, asked.memory_pictures):
            folder = link(home / f"memory-{number}", number, originals)
            peaks.append((number, peak_mb(bundle, folder, home / f"{number}.csv")))
        console.print(table("peak memory of the command", [Column("pictures"), Column("MB")], peaks))
    console.print(machine() | versions())


if __name__ == "__main__":
    main()
