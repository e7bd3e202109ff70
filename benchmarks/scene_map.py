"""Seconds for the map of a 145×145 scene of 30 components: the convolutional form against patch by patch.

    python benchmarks/scene_map.py [--repeats N] [--threads N] [--every-pixel]

Both sides run the same HybridSN with random weights on the same projected scene, in turn. The table shows medians.
Patch by patch cuts its windows from one padded array, 256 at a time, which is faster than public code that copies all
windows. It is timed on part of the pixels and scaled up, because the whole scene takes minutes. The second table shows
the throughput of the largest layer, as a direct convolution and as executed, and of one large float32 matrix product.
The unit is the direct form's multiply-accumulates per second.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from rich.console import Console

from pennyweight import zoo
from pennyweight.core.machine import machine, versions
from pennyweight.nn.fourier import fourier_conv2d
from pennyweight.report.tables import Column, table
from pennyweight.zoo.hybrid_sn import HybridSN

SIDE, BANDS, WINDOW, CLASSES = 145, 30, 25, 16
BATCH = 256
PART = 4
"""Batches of patches to time; the scene has 83."""
MATRIX = 4096


def medians_s(sides: dict[str, Callable[[], torch.Tensor]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each side, measured in turn after one warm-up."""
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats + 1):
        for name, side in sides.items():
            started = time.perf_counter()
            side()
            if repeat:
                spent[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in spent.items()}


@torch.inference_mode()
def random_network() -> HybridSN:
    """Return a HybridSN whose random weights give different answers to different windows."""
    network = zoo.create("hybrid_sn", in_channels=BANDS, num_classes=CLASSES).eval()
    assert isinstance(network, HybridSN)
    for parameter in network.head.parameters():
        if parameter.ndim == 2:  # linear layers start so small that all answers would be equal
            torch.nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every-pixel", action="store_true", help="compare all logits, not those of the timed part")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    network = random_network()
    scene = torch.randn(1, BANDS, SIDE + WINDOW - 1, SIDE + WINDOW - 1)
    windows = scene.unfold(2, WINDOW, 1).unfold(3, WINDOW, 1)[0]  # a view (BANDS, SIDE, SIDE, WINDOW, WINDOW)
    pixels = torch.arange(SIDE * SIDE)

    def patches(some: torch.Tensor) -> torch.Tensor:
        cut = [windows[:, part // SIDE, part % SIDE].transpose(0, 1).contiguous() for part in torch.split(some, BATCH)]
        return torch.cat([network(batch) for batch in cut])

    def half() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return network.dense(scene).float()

    part = pixels[:: SIDE * SIDE // (PART * BATCH)][: PART * BATCH]
    features = network.trunk(network.stem(scene)).contiguous(memory_format=torch.channels_last)
    layer = network.head.layers[0]
    assert isinstance(layer, torch.nn.Linear)
    side = network.head.side
    weight = layer.weight.view(layer.out_features, -1, side, side).contiguous(memory_format=torch.channels_last)
    a, b = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    times = medians_s(
        {
            "patch by patch": lambda: patches(part),
            "convolutional form": lambda: network.dense(scene),
            "convolutional form, bfloat16": half,
            "first linear layer, direct": lambda: F.conv2d(features, weight, layer.bias),
            "first linear layer, by spectra": lambda: fourier_conv2d(features, weight, layer.bias),
            "matrix product": lambda: a @ b,
        },
        given.repeats,
    )
    times["patch by patch"] *= SIDE * SIDE / len(part)
    dense = network.dense(scene)[0].flatten(1).T
    judged = pixels if given.every_pixel else part
    difference = float((dense[judged] - patches(judged)).abs().max())
    same = float((half()[0].flatten(1).T.argmax(1) == dense.argmax(1)).float().mean())
    console = Console()
    names = ("patch by patch", "convolutional form", "convolutional form, bfloat16")
    rows = [(name, times[name], times["patch by patch"] / times[name]) for name in names]
    title = f"{SIDE}×{SIDE} scene, {BANDS} components, window {WINDOW}, {given.threads} threads"
    console.print(table(title, [Column("form"), Column("seconds"), Column("times faster")], rows))
    macs = dict.fromkeys([name for name in times if name.startswith("first")], SIDE**2 * layer.weight.numel())
    macs["matrix product"] = MATRIX**3
    rates = {name: count / times[name] / 1e9 for name, count in macs.items()}
    console.print(table(None, [Column("float32"), Column("10⁹ MAC/s")], list(rates.items())))
    console.print(f"largest logit difference on {len(judged):,} pixels: {difference:.1e}", highlight=False)
    console.print(f"same classes in bfloat16: {same:.2%}", highlight=False)
    console.print(machine() | versions())


if __name__ == "__main__":
    main()
