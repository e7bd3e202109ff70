"""Milliseconds of two graphs on the engine of a bundle, measured in turns."""

from __future__ import annotations

import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import onnx

from pennyweight.core.noise import seeded_pixels
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.turns import time_in_turns
from pennyweight.runtime.onnx_engine import OnnxEngine

__all__ = ["compare_latency"]

REPEATS, WITHIN_S = 100, 20.0
"""Timed calls of each graph, and seconds after which no further ones begin."""


def compare_latency(model: onnx.ModelProto, *, before: onnx.ModelProto, preprocess: Preprocess) -> dict[str, Any]:
    """Time a graph beside the one that it replaces, on one picture with the threads of a bundle.

    Args:
        model: The graph.
        before: The graph that it replaces.
        preprocess: Preprocessing of both.

    Returns:
        Medians in milliseconds (`before_ms`, `after_ms`), the median of the ratios of each round (`times_faster`), and
        the engine, its threads, and the number of rounds.
    """
    with tempfile.TemporaryDirectory() as folder:
        engines = []
        for name, graph in (("before", before), ("after", model)):
            path = Path(folder, f"{name}.onnx")
            onnx.save(graph, path)
            engines.append(OnnxEngine(path))
        pixels = seeded_pixels(1, preprocess.shape)
        calls = [partial(engine, pixels) for engine in engines]
        old, new = time_in_turns(calls, repeats=REPEATS, within_s=WITHIN_S)
    return {
        "before_ms": statistics.median(old),
        "after_ms": statistics.median(new),
        "times_faster": statistics.median(a / b for a, b in zip(old, new, strict=True)),
        "engine": engines[0].name,
        "threads": engines[0].threads,
        "repeats": len(new),
    }
