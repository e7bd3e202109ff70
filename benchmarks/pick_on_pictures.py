"""`pick` on pictures, beside four fixed choices that train for as long under the same limits.

    python benchmarks/pick_on_pictures.py SOURCE [--limit ms=8 --limit params=4M] [--minutes 15] [--seeds 0,1,2]
        [--weights FOLDER] [--threads 2] [--out pick-on-pictures]

`pick` searches, trains and exports within the minutes. Each fixed choice is trained by `fit` for the same minutes, with
its own published weights where FOLDER has them. One that breaks a limit is in the table and does not count.
"""

import argparse
import json
from pathlib import Path
from time import perf_counter
from typing import Any

import pennyweight as pw
from pennyweight.core.figures import share
from pennyweight.core.files import read_json
from pennyweight.core.machine import cores, machine_line
from pennyweight.runtime.engine import EngineChoice
from pennyweight.search.measure import conditions_of
from pennyweight.verbs.picking.finish import time_bundle

FIXED = ("mobilenet_v2", "shufflenet_v2_x0_5", "efficientnet_b0", "resnet_9")


def weights_of(name: str, folder: str | None) -> str:
    """Return the file of a network's ImageNet weights, or "none"."""
    found = sorted(Path(folder).glob(f"{name}-imagenet-*.safetensors")) if folder else []
    return str(found[0]) if found else "none"


def row_of(name: str, budget: pw.Budget, run: str, seconds: float, threads: int) -> dict[str, Any]:
    """Return the figures of a trained network, with its bundle timed."""
    bundle = pw.export(run)
    evaluation = read_json(Path(run, "evaluation.json"))
    cost = pw.weigh(run)
    values: dict[str, float] = {
        "params": cost.params,
        "macs": cost.macs,
        "size_bytes": Path(bundle.path).stat().st_size,
        "memory_bytes": 0,
        "ms": time_bundle(bundle, conditions_of(EngineChoice(), threads=threads, batch=1, int8=False)),
    }
    broken = [] if budget.accuracy is None else ["accuracy"] * (evaluation["accuracy"] < budget.accuracy)
    broken += [*budget.excesses({**values, "accuracy": 1.0})]
    return {
        "name": name, **values, "accuracy": evaluation["accuracy"], "interval": evaluation["accuracy_interval"],
        "seconds": seconds, "broken": broken,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--limit", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--weights")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--out", default="pick-on-pictures")
    asked = parser.parse_args()
    limits = dict(limit.split("=", 1) for limit in asked.limit or ["ms=8", "params=4M"])
    out = Path(asked.out)
    rows: list[dict[str, Any]] = []
    pw.pick(limits, threads=asked.threads, seconds=0)  # measures the engine where that was not done yet
    for seed in map(int, asked.seeds.split(",")):
        folder = out / f"{Path(asked.source).name}-{seed}"
        started = perf_counter()
        found = pw.pick(
            limits, source=asked.source, minutes=asked.minutes, threads=asked.threads, seed=seed, out=folder / "pick",
            weights=asked.weights or "none", note=print, progress=False,
        )  # fmt: skip
        assert found.chosen is not None
        seconds = perf_counter() - started
        row = row_of(f"pick: {found.chosen.name}", found.budget, found.chosen.run, seconds, asked.threads)
        rows.append({**row, "seed": seed})
        print(json.dumps(rows[-1]), flush=True)
        for name in FIXED:
            started = perf_counter()
            trained = pw.fit(
                asked.source, model=name, weights=weights_of(name, asked.weights), minutes=asked.minutes, seed=seed,
                out=folder / name, progress=False,
            )  # fmt: skip
            row = row_of(name, found.budget, str(trained.folder), perf_counter() - started, asked.threads)
            rows.append({**row, "seed": seed})
            print(json.dumps(rows[-1]), flush=True)
    print("| network | seed | test accuracy | ms | parameters | MACs | minutes | breaks |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |")
    for row in rows:
        low, high = row["interval"]
        accuracy = f"{share(row['accuracy'])} ({share(low)} to {share(high)})"
        print(
            f"| {row['name']} | {row['seed']} | {accuracy} | {row['ms']:.2f} | "
            f"{row['params']:,} | {row['macs']:,} | {row['seconds'] / 60:.1f} | {', '.join(row['broken'])} |"
        )
    print(machine_line())


if __name__ == "__main__":
    main()
