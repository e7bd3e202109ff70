"""`pick`: its seconds, whether what it calls fitting fits, and its predictions for networks that it never timed.

    python benchmarks/pick.py [--ms 8] [--params 4M] [--threads 2] [--int8] [--fitting 30] [--others 40]

It searches once, with the engine's times at hand. Then it times the chosen network as the graph that `export` writes,
and as graphs for timing (decision 0090): some that are said to fit, and some that taught nothing to the predictions.
"""

import argparse
import random
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx
from scipy.stats import spearmanr

import pennyweight as pw
from pennyweight.core.figures import share
from pennyweight.core.machine import cores, machine_line
from pennyweight.core.noise import seeded_pixels
from pennyweight.core.preprocess import Preprocess
from pennyweight.deploy.export import export_graph
from pennyweight.deploy.qdq import Quantizer
from pennyweight.deploy.timing_graph import write_timing_graph
from pennyweight.runtime.onnx_engine import OnnxEngine
from pennyweight.search.counted import make
from pennyweight.search.measure import TOGETHER, calm_medians
from pennyweight.search.picks import Pick
from pennyweight.search.space import Candidate

MOST_MACS = 1_500_000_000


def time_bundles(rows: list[Pick], *, threads: int, int8: bool, exported: bool = False) -> list[float]:
    """Return median milliseconds, a few networks in turns; with `exported` of the graphs that `export` writes."""
    found: list[float] = []
    for first in range(0, len(rows), TOGETHER):
        calls = []
        with tempfile.TemporaryDirectory() as folder:
            for place, row in enumerate(rows[first : first + TOGETHER]):
                preprocess = Preprocess(size=row.size, resize=row.size)
                network = make(Candidate(row.network, row.config, row.size, ""), None)
                pixels, path = seeded_pixels(4, preprocess.shape), Path(folder, f"{place}.onnx")
                if exported:
                    model = export_graph(network, preprocess).model
                    onnx.save(Quantizer(model, pixels).quantize() if int8 else model, path)
                else:
                    write_timing_graph(network, preprocess, path, int8=int8)
                calls.append(partial(OnnxEngine(path, threads=threads), pixels[:1]))
            found += calm_medians(calls, within_s=6.0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ms", default="8")
    parser.add_argument("--params", default="4M")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--fitting", type=int, default=30, help="networks said to fit that are timed")
    parser.add_argument("--others", type=int, default=40, help="networks that taught nothing and are timed")
    asked = parser.parse_args()
    engine: dict[str, Any] = {"threads": asked.threads, "int8": asked.int8}
    budget = {"ms": asked.ms, "params": asked.params}
    started = perf_counter()
    pw.pick(budget, seconds=0, **engine)  # measures the engine where that was not done yet
    print(f"first search, with the engine's times where they were missing: {perf_counter() - started:.0f} s")
    started = perf_counter()
    found = pw.pick(budget, **engine)
    print(f"search of {len(found.candidates):,} candidates: {perf_counter() - started:.0f} s, {found!r}")
    limit = found.budget.ms
    assert found.best is not None
    assert limit is not None
    again = [time_bundles([found.best], threads=asked.threads, int8=asked.int8, exported=True)[0] for _ in range(3)]
    print(f"chosen: {found.best.name}, {found.best.ms:.2f} ms; exported and timed thrice: {again}")

    draw = random.Random(7)
    near = sorted(found.fitting, key=lambda row: -row.ms)[: 2 * asked.fitting]
    fitting = draw.sample(near, min(asked.fitting, len(near)))
    times = time_bundles(fitting, threads=asked.threads, int8=asked.int8)
    over = [row.name for row, ms in zip(fitting, times, strict=True) if ms > limit]
    print(f"said to fit, the slowest {len(near)}: {len(over)} of {len(fitting)} exceed {limit} ms: {'; '.join(over)}")

    search = pw.EngineTimes.load(found.conditions)
    assert search is not None
    taught = {row.name for row in search.rows}
    rest = [row for row in found.candidates if row.name not in taught and row.macs < MOST_MACS]
    others = draw.sample(rest, min(asked.others, len(rest)))
    measured = np.array(time_bundles(others, threads=asked.threads, int8=asked.int8))
    predicted, macs = np.array([row.ms for row in others]), np.array([row.macs for row in others])
    errors = np.abs(predicted / measured - 1)
    print(
        f"never timed, {len(others)} networks: median error {share(float(np.median(errors)))}, 90% within "
        f"{share(float(np.quantile(errors, 0.9)))}, rank {spearmanr(predicted, measured)[0]:.3f}; MACs alone: rank "
        f"{spearmanr(macs, measured)[0]:.3f}"
    )
    for row, ms in sorted(zip(others, measured, strict=True), key=lambda pair: -abs(pair[0].ms / pair[1] - 1))[:5]:
        print(f"  {row.name}: predicted {row.ms:.2f}, measured {ms:.2f} ms")
    print(machine_line())


if __name__ == "__main__":
    main()
