"""Predicted latency against measured latency, over networks that no part of the prediction has seen.

    python benchmarks/predicted_time.py [--rounds N] [--out FILE]

A round times every microbenchmark of the machine profile, then every network, so that drift of the machine affects
both. Predictions come from the shortest time of each microbenchmark. They are compared with the shortest time of each
network. Scaled by a median round of microbenchmarks over the sum of shortest times, they are also compared with the
median. Networks run eager, in float32, without gradients, with random weights; the process keeps freed memory, as
Pennyweight's commands do.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import timm
import torch
import torchvision
from rich.console import Console
from scipy.stats import spearmanr
from torch import Tensor, nn

from pennyweight import zoo
from pennyweight.core.heap import keeping_memory
from pennyweight.core.machine import cores, machine, versions
from pennyweight.cost import Cost, count, predict
from pennyweight.cost.timing.microbenchmarks import Microbenchmarks
from pennyweight.cost.timing.predict import build_profile
from pennyweight.cost.timing.roofline import measure_limits

SMALL = 1_000_000_000
BATCHES = (1, 8)
OURS = (
    "mobilenet_v1_x0_25",
    "mobilenet_v1_x0_5",
    "mobilenet_v1_x0_75",
    "mobilenet_v1",
    "mobilenet_v2_x0_35",
    "mobilenet_v2_x0_5",
    "mobilenet_v2_x0_75",
    "mobilenet_v2",
    "mobilenet_v2_x1_4",
    "shufflenet_v1_g3_x0_5",
    "shufflenet_v1_g3_x1_0",
    "shufflenet_v1_g8_x1_0",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "efficientnet_b0",
    "efficientnet_b1",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext50_32x4d",
    "vit_ti_16",
    "vit_s_16",
    "vgg11",
)
TIMM = ("mobileone_s0", "fastvit_t8")
"""Networks of many branches, with depthwise 1×1 convolutions."""
TORCHVISION = (
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
    "squeezenet1_0",
    "squeezenet1_1",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "alexnet",
    "densenet121",
    "regnet_x_1_6gf",
    "regnet_y_1_6gf",
)


def networks() -> dict[str, nn.Module]:
    """Return the networks by name, in eval mode."""
    ours: dict[str, nn.Module] = {name: zoo.create(name).eval() for name in OURS}
    theirs = {f"torchvision:{name}": torchvision.models.get_model(name, weights=None).eval() for name in TORCHVISION}
    return ours | theirs | {f"timm:{name}": timm.create_model(name).eval() for name in TIMM}


def spent_ms(network: nn.Module, images: Tensor) -> float:
    """Return the milliseconds of the second of two calls."""
    network(images)
    started = time.perf_counter()
    network(images)
    return 1000 * (time.perf_counter() - started)


@keeping_memory()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="a Markdown file to write")
    options = parser.parse_args()
    torch.set_num_threads(cores())
    made = networks()
    costs = {(name, b): count(network, (3, 224, 224), batch=b) for name, network in made.items() for b in BATCHES}
    limits, microbenchmarks = measure_limits(), Microbenchmarks()
    images = {b: torch.rand(b, 3, 224, 224) for b in BATCHES}
    times: dict[tuple[str, int], list[float]] = {key: [] for key in costs}
    microbenchmarks.round(keep=False)
    with torch.no_grad():
        for number in range(options.rounds):
            microbenchmarks.round()
            for (name, b), row in times.items():
                row.append(spent_ms(made[name], images[b]))
            print(f"round {number + 1} of {options.rounds}", flush=True)
    profile = build_profile(microbenchmarks.cases, limits)
    rounds = [sum(row) for row in zip(*(case.times for case in microbenchmarks.cases), strict=True)]
    load = statistics.median(rounds) / sum(case.seconds for case in microbenchmarks.cases)
    predicted = {key: sum(row.predicted_ms for row in predict(cost, profile)) for key, cost in costs.items()}
    text = report(costs, predicted, times, load)
    Console().print(text, markup=False, highlight=False)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


def report(
    costs: dict[tuple[str, int], Cost],
    predicted: dict[tuple[str, int], float],
    times: dict[tuple[str, int], list[float]],
    load: float,
) -> str:
    """Return the page in Markdown."""
    small = {name for name, b in costs if b == 1 and costs[name, 1].macs < SMALL}
    lines = [
        "# Predicted and measured time",
        "",
        "Errors of predicted milliseconds, compared with the ranking by multiply-accumulates alone.",
        "",
        f"Written by `benchmarks/predicted_time.py` on {', '.join(f'{k} {v}' for k, v in machine().items())};",
        f"{torch.get_num_threads()} threads; torch {versions()['torch']}; {len(next(iter(times.values())))} rounds. "
        f"{len(small)} networks under 1 G MACs, {len(costs) // len(BATCHES) - len(small)} larger ones; eager, float32, "
        "3×224×224.",
        "",
        f"Other work on the machine made the median round of microbenchmarks {load:.2f} times as long as the sum of "
        "their shortest times. The column of medians compares with predictions that are scaled by this factor.",
        "",
        "| | shortest times | medians |",
        "| --- | --- | --- |",
    ]
    shortest = {key: min(row) for key, row in times.items()}
    median = {key: statistics.median(row) for key, row in times.items()}
    scaled = {key: load * value for key, value in predicted.items()}
    for b in BATCHES:
        keys = [key for key in costs if key[1] == b]
        lines.append(
            f"| median error, batch {b} | {error(keys, predicted, shortest)} | {error(keys, scaled, median)} |"
        )
        few = [key for key in keys if key[0] in small]
        lines.append(f"| … under 1 G MACs | {error(few, predicted, shortest)} | {error(few, scaled, median)} |")
        found = [rank(few, predicted, truth) for truth in (shortest, median)]
        alone = [rank(few, {key: float(costs[key].macs) for key in few}, truth) for truth in (shortest, median)]
        lines.append(f"| rank correlation under 1 G MACs, batch {b} | {found[0]} | {found[1]} |")
        lines.append(f"| … with MACs instead of predictions | {alone[0]} | {alone[1]} |")
        own = [halves(few, times, middle) for middle in (min, statistics.median)]
        lines.append(f"| … between even and odd rounds of the measured times | {own[0]} | {own[1]} |")
    lines += [
        "",
        "| network | batch | million MACs | predicted ms | shortest ms | median ms |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for key in sorted(costs, key=lambda key: (key[1], costs[key].macs)):
        name, b = key
        figures = " | ".join(f"{value:.1f}" for value in (predicted[key], shortest[key], median[key]))
        lines.append(f"| {name} | {b} | {costs[key].macs / b / 1e6:,.0f} | {figures} |")
    return "\n".join(lines) + "\n"


def error(keys: list[tuple[str, int]], found: dict[tuple[str, int], float], truth: dict[tuple[str, int], float]) -> str:
    return f"{statistics.median(abs(found[key] / truth[key] - 1) for key in keys):.1%}"


def rank(keys: list[tuple[str, int]], found: dict[tuple[str, int], float], truth: dict[tuple[str, int], float]) -> str:
    return f"{spearmanr([found[key] for key in keys], [truth[key] for key in keys])[0]:.3f}"


def halves(keys: list[tuple[str, int]], times: dict[tuple[str, int], list[float]], middle: Callable[..., float]) -> str:
    """Return the agreement of one half of the rounds with the other: the noise, from fewer rounds than the whole."""
    first, second = ({key: middle(times[key][start::2]) for key in keys} for start in (0, 1))
    return rank(keys, first, second)


if __name__ == "__main__":
    main()
