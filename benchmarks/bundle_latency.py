"""Latency of one picture: engines of the bundle against torch, on our networks and on those of other libraries.

    python benchmarks/bundle_latency.py [NAME…] [--bundles int8.onnx…] [--compiled] [--threads 2] [--repeats 50]
    python benchmarks/bundle_latency.py --processor [NAME…]
    python benchmarks/bundle_latency.py --int8 INT8.onnx [--compiled] [--processor] [--threads 2]
    python benchmarks/bundle_latency.py --beside [--rounds 5]

Both sides take the same uint8 pixels and return probabilities, with the same number of threads, in turn. Weights are
random, because the time does not depend on them. The figures depend on the machine and the hour: quote the ratio,
which is the median over the turns. `--processor` counts the
processor time of one thread, which other programs change least: the ratio for a machine that is never quiet.
`--int8` times MobileNetV2 in float32 with each engine, and a bundle of it in int8, all in turns. It is made by:

    pennyweight export mobilenet_v2 --weights WEIGHTS --int8 --calibrate PHOTOS --out INT8.onnx

`--beside` times the bundle with and without one busy program, in turns.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

import pennyweight as pw
from pennyweight.core.machine import cores, machine_line
from pennyweight.core.noise import seeded_pixels
from pennyweight.core.turns import time_in_turns
from pennyweight.report.tables import Column, table
from pennyweight.runtime.engine import EngineChoice
from pennyweight.verbs.benching.fresh_weights import write_fresh_weights
from pennyweight.verbs.benching.subjects import opened_subjects

NETWORKS = (
    *("mobilenet_v2", "torchvision:mobilenet_v2", "timm:mobilenetv2_100"),
    *("efficientnet_b0", "torchvision:efficientnet_b0", "shufflenet_v2_x1_0", "torchvision:shufflenet_v2_x1_0"),
    *("resnext50_32x4d", "torchvision:resnext50_32x4d", "vit_ti_16", "timm:vit_tiny_patch16_224"),
)
"""Our networks, each before the same one of another library."""
ENGINES = ("torch", "onnxruntime", "openvino")
COLUMNS = (
    *(Column(title) for title in ("network", "engine", "threads", "minimum, ms", "median, ms", "90%, ms")),
    *(Column("times faster", lambda value: f"{value:.2f}"), Column("same top-1"), Column("probabilities within")),
)


def compare(asked: argparse.Namespace) -> None:
    """Print a row for each network and engine as soon as it is measured."""
    console = Console(width=140)
    engines = [*ENGINES, *(["torch-compiled"] if asked.compiled else [])]
    for name in (*(asked.names or NETWORKS), *asked.bundles):
        try:
            timings = pw.bench(
                name, engines=engines, threads=asked.threads, repeats=asked.repeats, fresh=asked.fresh
            )  # fmt: skip
        except pw.PennyweightError as error:
            print(f"{name}: {error}", flush=True)
            continue
        rows = [
            (
                *(row.network, row.engine, row.threads, row.minimum_ms, row.median_ms, row.p90_ms, row.times_faster),
                *(f"{row.same_top1} of {row.pictures}", f"{row.largest_probability_difference:.0e}"),
            )
            for row in timings.rows
        ]
        console.print(table(None, COLUMNS, rows))
        if asked.json:
            with Path(asked.json).open("a", encoding="utf-8") as file:
                file.write(json.dumps(timings.to_dict()) + "\n")
        print(*timings.conditions, sep="\n", flush=True)


def compare_processor_time(asked: argparse.Namespace) -> None:
    """Print the processor time of each engine with one thread, and its ratio to torch's."""
    import torch

    torch.set_num_threads(1)
    columns = [Column(title) for title in ("network", "engine", "processor ms, shortest", "median")]
    columns.append(Column("times less", lambda value: f"{value:.2f}"))
    for name in (*(asked.names or NETWORKS), *asked.bundles):
        try:
            with opened_subjects([name], ENGINES, None, lambda line: None) as (subject,):
                opened = {each: subject.open(each, 1, None) for each in subject.engines}
        except pw.PennyweightError as error:
            print(f"{name}: {error}", flush=True)
            continue
        shape = next(iter(opened.values())).preprocess.shape
        calls = [partial(each.engine, seeded_pixels(1, shape)) for each in opened.values()]
        times = time_in_turns(calls, repeats=asked.repeats, clock=time.process_time)
        rows = [
            (name, each, min(spent), statistics.median(spent), _ratio(times[0], spent))
            for each, spent in zip(opened, times, strict=True)
        ]
        Console(width=120).print(table(None, columns, rows))
    print(machine_line(), f"one thread, one picture, {asked.repeats} turns", sep="; ", flush=True)


def compare_int8(asked: argparse.Namespace) -> None:
    """Print the time of MobileNetV2 in float32 with each engine, and of its int8 bundle, with ratios to torch's."""
    import torch

    threads, clock = (1, time.process_time) if asked.processor else (asked.threads, time.perf_counter)
    torch.set_num_threads(threads)
    engines = [*ENGINES, *(["torch-compiled"] if asked.compiled else [])]
    with opened_subjects(["mobilenet_v2"], engines, None, lambda line: None) as (subject,):
        opened = {each: subject.open(each, threads, None).engine for each in engines}
    opened["onnxruntime, int8"] = pw.Bundle(Path(asked.int8), EngineChoice(threads=threads)).engine
    calls = [partial(engine, seeded_pixels(1, (224, 224, 3))) for engine in opened.values()]
    times = time_in_turns(calls, repeats=asked.repeats, clock=clock)
    kind = "processor ms" if asked.processor else "ms"
    columns = [Column(title) for title in ("engine", f"{kind}, shortest", "median")]
    columns.append(Column("times faster than torch", lambda value: f"{value:.2f}"))
    rows = [
        (name, min(spent), statistics.median(spent), _ratio(times[0], spent))
        for name, spent in zip(opened, times, strict=True)
    ]
    Console(width=120).print(table("MobileNetV2, 224 pixels, one picture", columns, rows))
    print(machine_line(), f"{threads} threads, {asked.repeats} turns", sep="; ", flush=True)


def _ratio(first: list[float], other: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(first, other, strict=True))


@contextmanager
def busy_program() -> Iterator[None]:
    """Keep one core busy inside the block."""
    program = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.3)
        yield
    finally:
        program.kill()
        program.wait()


def beside(asked: argparse.Namespace) -> None:
    """Print the speed next to one busy program, as a share of the speed without it, for two ways of waiting."""
    with tempfile.TemporaryDirectory() as folder:
        weights = write_fresh_weights("mobilenet_v2", Path(folder) / "fresh.safetensors")
        bundle = pw.export("mobilenet_v2", Path(folder) / "model.onnx", weights=weights)
        ways = {
            "allow_spinning=0": EngineChoice(threads=asked.threads, spinning=False),
            "spins for 20 µs (default)": EngineChoice(threads=asked.threads),
            "openvino": EngineChoice("openvino", threads=asked.threads),
        }
        engines = {way: pw.Bundle(bundle.path, choice).engine for way, choice in ways.items()}
        calls = [partial(engine, seeded_pixels(1, (224, 224, 3))) for engine in engines.values()]
        shares: dict[str, list[float]] = {way: [] for way in ways}
        quiet: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(asked.rounds):
            alone = time_in_turns(calls, repeats=asked.repeats)
            with busy_program():
                together = time_in_turns(calls, repeats=asked.repeats)
            for way, a, b in zip(ways, alone, together, strict=True):
                shares[way].append(statistics.fmean(a) / statistics.fmean(b))
                quiet[way].append(statistics.fmean(a))
    columns = [Column("way of waiting"), Column("ms alone"), Column("share of the speed next to one busy program")]
    rows = [(way, statistics.median(quiet[way]), f"{statistics.median(shares[way]):.0%}") for way in ways]
    Console(width=120).print(table("MobileNetV2, 224 pixels, one picture", columns, rows))
    print(machine_line(), f"{asked.rounds} rounds of {asked.repeats}", f"{asked.threads} threads", sep="; ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--bundles", nargs="*", default=[], help="bundles to time as well, such as one in int8")
    parser.add_argument("--compiled", action="store_true", help="time torch.compile as well; it compiles for minutes")
    parser.add_argument("--fresh", action="store_true", help="measure memory and time to ready of fresh processes too")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--json", help="file to which the rows are added")
    parser.add_argument("--processor", action="store_true", help="count the processor time of one thread")
    parser.add_argument("--int8", help="bundle of MobileNetV2 in int8, to time with the engines of float32")
    parser.add_argument("--beside", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    usual = compare_processor_time if asked.processor else compare
    (beside if asked.beside else compare_int8 if asked.int8 else usual)(asked)


if __name__ == "__main__":
    main()
