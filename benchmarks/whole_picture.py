"""Sets that need neither another frame, size nor augmentation: accuracy and time of the checks that find this out.

    PENNYWEIGHT_DATA=… python benchmarks/whole_picture.py [--seeds N] [--only SET…] [--json FILE]

Each set is trained with the default command, and as if no check existed: `--augment keep --frame crop` and the usual
input size. Test accuracy over consecutive seeds with 95% intervals of the mean (Student's t), processor seconds of the
choice of an input size, of the check of augmentation and of the rest, and the number of seeds with the same weights.
"""

import argparse
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, stdev
from time import process_time
from typing import Any

import numpy as np
from rich.console import Console
from scipy.stats import t as student

import pennyweight as pw
from pennyweight import data
from pennyweight.core.machine import machine_line, versions
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.balance import drawn_in_turn
from pennyweight.report.tables import Column, table
from pennyweight.verbs.fitting import open as opening
from pennyweight.verbs.fitting import pictures

BEFORE: Mapping[str, Any] = {"augment": "keep", "frame": "crop"}
CHECKS = {"size": (opening, "_at_suitable_size"), "augmentation": (pictures, "check_augmentation")}
SCORED = 1_000


def some_of_cifar10(count: int = 3_000) -> dict[str, Any]:
    """Return training pictures and 1,000 test pictures of CIFAR-10, drawn evenly from the classes, as arrays."""
    source, found = data.open("cifar10-jpeg"), {}
    for split, number in (("train", count), ("test", SCORED)):
        samples = [sample for sample in source.samples if sample.split == split]
        targets = np.array([sample.label for sample in samples])
        rows = drawn_in_turn(targets, number, seed=0)
        preprocess = Preprocess.for_input(32)
        found[split] = (np.stack([preprocess(samples[row].read()) for row in rows]), targets[rows])
    return found


WEIGHTS = next(Path(os.environ["PENNYWEIGHT_DATA"], "weights").glob("mobilenet_v2-*"), "imagenet")
SETS: dict[str, tuple[Callable[[], Any], int, dict[str, Any]]] = {
    "CIFAR-10": (some_of_cifar10, 32, {"model": "resnet_9_x0_25", "recipe": {"epochs": 3}}),
    "digits": (lambda: "digits", 32, {"recipe": {"epochs": 5}}),
    "cats-dogs, head": (lambda: "cats-dogs", 224, {"model": "mobilenet_v2", "weights": WEIGHTS}),
    "cats-dogs, scratch": (
        lambda: "cats-dogs",
        224,
        {"model": "mobilenet_v1_x0_25", "weights": "none", "recipe": {"epochs": 4}},
    ),
}
"""Sets -> source, usual input size and the options that make the training short."""


@contextmanager
def timed(spent: dict[str, float]) -> Iterator[None]:
    """Add the processor seconds of each check to `spent`."""
    plain = {name: vars(module)[function] for name, (module, function) in CHECKS.items()}

    def timing(name: str) -> Callable[..., Any]:
        def check(*arguments: Any) -> Any:
            began = process_time()
            try:
                return plain[name](*arguments)
            finally:
                spent[name] += process_time() - began

        return check

    for name, (module, function) in CHECKS.items():
        vars(module)[function] = timing(name)
    try:
        yield
    finally:
        for name, (module, function) in CHECKS.items():
            vars(module)[function] = plain[name]


def train(source: Any, out: Path, seed: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """Train once; return accuracy, processor seconds, what was left out, and the weights."""
    spent: dict[str, float] = defaultdict(float)
    began = process_time()
    with timed(spent):
        run = pw.fit(source, out=out, seed=seed, progress=False, **options)
    spent["rest"] = process_time() - began - sum(spent.values())
    return {
        "accuracy": run.evaluation["accuracy"],
        "pictures": run.record["data"]["counts"]["test"],
        "input": run.record["preprocess"]["size"],
        "seconds": {name: round(seconds, 2) for name, seconds in spent.items()},
        "notes": (run.record.get("augmentation") or {}).get("notes", []),
        "flip": run.record["recipe"]["flip"],
        "weights": (out / "weights.safetensors").read_bytes(),
    }


def interval(values: list[float]) -> str:
    """Return the mean in percent, and half the width of its 95% interval."""
    if len(values) < 2:
        return f"{fmean(values):.1%}"
    half = stdev(values) / len(values) ** 0.5 * float(student.ppf(0.975, len(values) - 1))
    return f"{fmean(values):.1%} ± {half:.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[*SETS])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    console, rows, kept = Console(width=160), [], {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in asked.only:
            make, size, options = SETS[name]
            source = make()
            both: dict[str, list[dict[str, Any]]] = {"default": [], "before": []}
            for seed in range(asked.seeds):
                for rule, runs in both.items():
                    changed = {**options, **(BEFORE if rule == "before" else {})}
                    if rule == "before":
                        changed["input_size"] = size
                    runs.append(train(source, Path(scratch, f"{name}-{rule}-{seed}"), seed, changed))
                    shown = {key: value for key, value in runs[-1].items() if key != "weights"}
                    console.print(name, rule, seed, shown)
            equal = sum(one["weights"] == other["weights"] for one, other in zip(*both.values(), strict=True))
            gains = [one["accuracy"] - other["accuracy"] for one, other in zip(*both.values(), strict=True)]
            mean_s = {
                part: fmean(run["seconds"].get(part, 0.0) for run in both["default"]) for part in (*CHECKS, "rest")
            }
            rows.append(
                (
                    name,
                    f"{both['default'][0]['pictures']:,}",
                    *(interval([run["accuracy"] for run in runs]) for runs in both.values()),
                    interval(gains),
                    f"{equal} of {asked.seeds}",
                    f"{sum(run['flip'] for run in both['default'])} of {asked.seeds}",
                    *(f"{seconds:.1f}" for seconds in mean_s.values()),
                )
            )
            kept[name] = {
                rule: [{key: value for key, value in run.items() if key != "weights"} for run in runs]
                for rule, runs in both.items()
            }
            if asked.json:
                asked.json.write_text(json.dumps(kept, indent=1))
    titles = (
        "set", "test pictures", "default", "before", "difference", "same weights", "mirrored", "size, s",
        "augmentation, s", "rest, s",
    )  # fmt: skip
    console.print(table("the whole picture", [Column(title) for title in titles], rows))
    console.print(machine_line(), versions(), {"load": os.getloadavg()})


if __name__ == "__main__":
    main()
