"""Throughput of many pictures: one process, two workers, one process with all cores, and Spark on two local workers.

    python benchmarks/many_pictures.py [--pictures 20000] [--rounds 3] [--ways one two cores spark]

It needs $PENNYWEIGHT_DATA with cats-dogs, whose photographs are linked N times under other names. Every way is a
command of its own, from its start to the last answer, in turn, a round after the other. Spark needs pyspark and Java.
The answers of all ways are compared. Processor seconds are those of the command and its children; on a busy machine
they tell more than the clock. Spark's are not known, because its Java process is no child that is waited for.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet
from rich.console import Console

import pennyweight as pw
from pennyweight import zoo
from pennyweight.core.machine import machine, versions
from pennyweight.report.tables import Column, table

NETWORK, SIDE = "mobilenet_v2", 224
ROOT = Path(__file__).parents[1]
TOP = 3
WAYS = {
    "one": "one worker",
    "two": "two workers",
    "cores": "one process, all cores",
    "spark": "Spark, two local workers",
}
JAVA = "--conf spark.ui.enabled=false --driver-java-options -XX:TieredStopAtLevel=1"
"""Settings for a program of minutes: no page of progress, and Java compiles quickly instead of well."""


def link(root: Path, count: int) -> Path:
    """Link the photographs in turn until there are `count` pictures."""
    files = sorted(Path(os.environ["PENNYWEIGHT_DATA"], "cats-dogs").rglob("*.jpg"))
    for number in range(count):
        folder = root / f"{number % 20:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:06d}.jpg").symlink_to(files[number % len(files)])
    return root


def write_bundle(path: Path) -> Path:
    """Write a bundle with random weights, on which the time does not depend."""
    from safetensors.torch import save_file

    weights = path.with_suffix(".safetensors")
    state = zoo.create(NETWORK, num_classes=2).state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, weights)
    (path.parent / "labels.txt").write_text("cat\ndog\n")
    pw.export(NETWORK, path, weights=weights, input_size=SIDE, labels=str(path.parent / "labels.txt"))
    return path


def ways(bundle: Path, pictures: Path, part_size: int) -> Mapping[str, Sequence[str]]:
    """Return the command of each way; the folder of its answers follows."""
    ours = [sys.executable, "-m", "pennyweight", "predict", str(bundle), str(pictures), "--format", "parquet"]
    ours += ["--top", str(TOP), "--part-size", str(part_size)]
    return {
        "one": [*ours, "--workers", "1", "--parts"],
        "two": [*ours, "--workers", "2", "--parts"],
        "cores": [*ours, "--parts"],
        "spark": [sys.executable, str(ROOT / "examples" / "spark_predict.py"), str(bundle), str(pictures)],
    }


def measure(command: Sequence[str], out: Path) -> tuple[float, float, dict[str, str]]:
    """Run a command; return its seconds, its processor seconds, and the label of each picture."""
    source = os.pathsep.join([str(ROOT / "src"), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": source, "PYSPARK_PYTHON": sys.executable}
    environment |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_SUBMIT_ARGS": f"--master local[2,4] {JAVA} pyspark-shell"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*command, str(out)], env=environment, check=True, stderr=subprocess.DEVNULL)
    spent, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    rows = [row for file in sorted(out.glob("part-*.parquet")) for row in pyarrow.parquet.read_table(file).to_pylist()]
    name = "path" if "path" in rows[0] else "source"
    labels = {Path(row[name]).name: row["label"] for row in rows}
    assert len(labels) == len(rows), "a picture was answered twice"
    return spent, processor, labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=[*WAYS])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        pictures = link(home / "pictures", asked.pictures)
        commands = ways(write_bundle(home / "m.onnx"), pictures, max(1, asked.pictures // 40))
        commands = {way: command for way, command in commands.items() if way in asked.ways}
        spent: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        answers: dict[str, str] = {}
        for number in range(asked.rounds):
            for name in list(commands)[:: -1 if number % 2 else 1]:
                wall, processor, labels = measure(commands[name], home / "out")
                spent[name].append((wall, processor))
                answers = answers or labels
                assert labels.keys() == answers.keys(), f"{name} answered other pictures"
                differing = sum(labels[each] != answers[each] for each in labels)
                assert differing <= len(labels) / 1000, f"{name} differs on {differing} pictures"
                shutil.rmtree(home / "out")
        first = statistics.median(wall for wall, _ in spent[next(iter(commands))])
        rows = []
        for name, times in spent.items():
            wall = statistics.median(each for each, _ in times)
            processor = statistics.median(each for _, each in times)
            shown = "" if name == "spark" else f"{processor:.1f}"
            rows.append((WAYS[name], f"{wall:.1f}", shown, f"{asked.pictures / wall:.0f}", f"{first / wall:.2f}"))
        headings = ("way", "s, median", "processor s", "pictures/s", "first way's s / its s")
        console = Console()
        console.print(table(f"{asked.pictures:,} photographs", [Column(title) for title in headings], rows))
        console.print(machine() | versions(), f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
