"""Int8 bundles compared with float bundles of the same networks: bytes, accuracy on unseen pictures, and latency.

    python benchmarks/int8.py RUN… [--photographs WEIGHTS SOURCE] [--max-drop 0.01] [--repeats N]

Each run is exported twice. Int8 is calibrated on training pictures and gated on validation pictures; both bundles are
then scored once on the test split. `--photographs` exports mobilenet_v2 with WEIGHTS, calibrates on half of SOURCE and
scores on the other half, which gates as well. Latency is of one picture, both bundles in turn: quote the ratio.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

import pennyweight as pw
from pennyweight.core.figures import fine_share, share
from pennyweight.core.intervals import wilson
from pennyweight.core.machine import machine, versions
from pennyweight.deploy import Int8Error
from pennyweight.report.tables import Column, table


class Row(NamedTuple):
    """Figures of one network."""

    network: str
    bytes: float
    in_float: str
    pictures: int
    float_accuracy: float
    int8_accuracy: float
    interval: str
    gate_drop: str
    ratio: float


def has_vnni() -> bool:
    """Return True on x86 with 8-bit dot products that do not overflow."""
    flags = Path("/proc/cpuinfo")
    return flags.exists() and any(word in flags.read_text() for word in ("avx512_vnni", "avx_vnni"))


def times_faster(exact: pw.Bundle, small: pw.Bundle, repeats: int) -> float:
    """Return the median latency of float divided by that of int8, one picture at a time, in turn."""
    pixels = np.random.default_rng(0).integers(0, 256, (1, *exact.manifest.preprocess.shape), dtype=np.uint8)
    spent: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats + 5):
        for bundle, times in zip((exact, small), spent, strict=True):
            started = time.perf_counter()
            bundle.engine(pixels)
            if repeat >= 5:
                times.append(time.perf_counter() - started)
    return statistics.median(spent[0]) / statistics.median(spent[1])


def measure(exact: pw.Bundle, small: pw.Bundle, figures: dict[str, Any], repeats: int) -> Row:
    """Return the row of a network; `figures` has pictures and accuracies on unseen pictures."""
    record = small.manifest.quantization
    assert record is not None
    network = small.manifest.network
    changed = {**network["config"]} if network["config"] else {}
    correct = figures["int8"] * figures["pictures"]
    low, high = wilson(correct, figures["pictures"])
    return Row(
        network["name"] + "".join(f" {key}={value}" for key, value in changed.items() if key != "width"),
        record["int8_bytes"] / record["float_bytes"],
        f"{len(record['layers_in_float'])} of {record['layers']}",
        figures["pictures"],
        figures["float"],
        figures["int8"],
        f"{share(low)} to {share(high)}",
        fine_share(record["gate"]["drop"]),
        times_faster(exact, small, repeats),
    )


def of_run(folder: str, scratch: Path, max_drop: float, repeats: int) -> Row:
    """Export a run twice and score both bundles on its test split."""
    run = pw.Run(Path(folder))
    exact = pw.export(run, scratch / "float.onnx")
    small = pw.export(run, scratch / "int8.onnx", int8=True, max_drop=max_drop, note=print)
    source = run.info.data.address
    scores = [pw.evaluate(bundle, source) for bundle in (exact, small)]
    figures = {"pictures": scores[0].images, "float": scores[0].accuracy, "int8": scores[1].accuracy}
    return measure(exact, small, figures, repeats)


def of_photographs(weights: str, source: str, scratch: Path, max_drop: float, repeats: int) -> Row:
    """Export mobilenet_v2 with ImageNet weights; the gate's half of the pictures scores both bundles."""
    exact = pw.export("mobilenet_v2", scratch / "float.onnx", weights=weights)
    small = pw.export(
        "mobilenet_v2", scratch / "int8.onnx", weights=weights, int8=True, max_drop=max_drop, calibrate=source
    )
    assert small.manifest.quantization is not None
    gate = small.manifest.quantization["gate"]
    figures = {"pictures": gate["pictures"], "float": gate["float_accuracy"], "int8": gate["int8_accuracy"]}
    return measure(exact, small, figures, repeats)


def rows(arguments: argparse.Namespace) -> Iterator[Row]:
    """Yield the row of each network, and print the refusal of one that int8 harms too much."""
    settings = {"max_drop": arguments.max_drop, "repeats": arguments.repeats}
    for folder in arguments.runs:
        with tempfile.TemporaryDirectory() as scratch:
            try:
                yield of_run(folder, Path(scratch), **settings)
            except Int8Error as error:
                print(f"{folder}: {error}", *error.layers[:8], sep="\n")
    if arguments.photographs:
        with tempfile.TemporaryDirectory() as scratch:
            weights, source = arguments.photographs
            yield of_photographs(weights, source, Path(scratch), **settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--photographs", nargs=2, metavar=("WEIGHTS", "SOURCE"))
    parser.add_argument("--max-drop", type=float, default=0.01)
    parser.add_argument("--repeats", type=int, default=50)
    columns = (
        Column("network"),
        Column("bytes", share),
        Column("layers in float"),
        Column("unseen pictures"),
        Column("float", share),
        Column("int8", share),
        Column("95% interval"),
        Column("drop at the gate"),
        Column("times faster"),
    )
    console = Console(width=160)
    console.print(table("int8 and float", columns, list(rows(parser.parse_args()))))
    console.print(machine() | versions() | {"VNNI": has_vnni()})


if __name__ == "__main__":
    main()
