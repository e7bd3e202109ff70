"""Milliseconds of two networks on one engine, measured in turns."""

from __future__ import annotations

import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import onnx

from pennyweight.core.images import Pixels
from pennyweight.core.noise import seeded_pixels
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.turns import time_in_turns
from pennyweight.runtime import Outputs
from pennyweight.runtime.onnx_engine import OnnxEngine

__all__ = ["compare_graphs", "compare_latency"]

REPEATS, WITHIN_S = 100, 20.0
"""Timed calls of each graph, and seconds after which no further ones begin."""


class TimedEngine(Protocol):
    """Engine with the facts that a measurement names."""

    name: str
    threads: int

    def __call__(self, pixels: Pixels) -> Outputs: ...


def compare_latency(before: TimedEngine, after: TimedEngine, preprocess: Preprocess) -> dict[str, Any]:
    """Time a network in turns with the network that it replaces, on one picture.

    Args:
        before: Engine of the network that is replaced.
        after: Engine of the network.
        preprocess: Preprocessing of both.

    Returns:
        Medians in milliseconds (`before_ms`, `after_ms`), the median of the ratios of each round (`times_faster`), and
        the engine, its threads, and the number of rounds.
    """
    pixels = seeded_pixels(1, preprocess.shape)
    calls = [partial(engine, pixels) for engine in (before, after)]
    old, new = time_in_turns(calls, repeats=REPEATS, within_s=WITHIN_S)
    return {
        "before_ms": statistics.median(old),
        "after_ms": statistics.median(new),
        "times_faster": statistics.median(a / b for a, b in zip(old, new, strict=True)),
        "engine": after.name,
        "threads": after.threads,
        "repeats": len(new),
    }


def compare_graphs(model: onnx.ModelProto, *, before: onnx.ModelProto, preprocess: Preprocess) -> dict[str, Any]:
    """Time a graph in turns with the graph that it replaces, with the engine and the threads of a bundle."""
    with tempfile.TemporaryDirectory() as folder:
        engines = []
        for name, graph in (("before", before), ("after", model)):
            path = Path(folder, f"{name}.onnx")
            onnx.save(graph, path)
            engines.append(OnnxEngine(path))
        return compare_latency(engines[0], engines[1], preprocess)
