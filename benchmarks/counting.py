"""Cost counters compared: right or wrong on cases counted by hand, and seconds and memory on a large network.

    python benchmarks/counting.py [--repeats N] [--out FILE]

The peers count what they call multiply-accumulates or operations, so each is right if it returns the hand count or
twice it. Times are for EfficientNet-B7 on one 600×600 picture, in turn, medians. Memory growth is measured in a
separate process for each counter.
"""

import argparse
import contextlib
import io
import multiprocessing
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor, nn

from pennyweight import zoo
from pennyweight.core.machine import cores, machine, versions
from pennyweight.cost import count

Shape = tuple[int, ...]
CLEAR = Path("/proc/self/clear_refs")
LARGE, SIDE = "efficientnet_b7", 600


class Attention(nn.Module):
    """nn.MultiheadAttention on one sequence: (B, T, d) -> same."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(64, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x, x, x, need_weights=False)[0]
        return out


class Fused(nn.Module):
    """Attention with one head through torch's fused function."""

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None])


class Product(nn.Module):
    """Product x·xᵀ, written as an operator or as einsum."""

    def __init__(self, *, einsum: bool) -> None:
        super().__init__()
        self.einsum = einsum

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("btd,bsd->bts", x, x) if self.einsum else x @ x.mT


class Bare(nn.Module):
    """Convolution by function, with a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.rand(8, 4, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel)


def shared() -> nn.Module:
    layer = nn.Linear(64, 64, bias=False)
    return nn.Sequential(layer, nn.ReLU(), layer)


T, D = 50, 64
CASES: dict[str, tuple[Callable[[], nn.Module], Shape, int]] = {
    "depthwise convolution": (lambda: nn.Conv2d(32, 32, 3, groups=32, bias=False), (32, 10, 10), 32 * 64 * 9),
    "grouped convolution": (lambda: nn.Conv2d(32, 32, 3, groups=4, bias=False), (32, 10, 10), 32 * 64 * 8 * 9),
    "3-D convolution": (lambda: nn.Conv3d(4, 8, 3, bias=False), (4, 6, 6, 6), 8 * 64 * 4 * 27),
    "transposed convolution": (lambda: nn.ConvTranspose2d(8, 6, 3, 2, bias=False), (8, 5, 5), 8 * 25 * 6 * 9),
    "functional convolution": (Bare, (4, 10, 10), 8 * 64 * 4 * 9),
    "MultiheadAttention": (Attention, (T, D), 4 * T * D * D + 2 * T * T * D),
    "fused attention": (Fused, (T, D), 2 * T * T * D),
    "q @ k": (lambda: Product(einsum=False), (T, D), T * T * D),
    "einsum": (lambda: Product(einsum=True), (T, D), T * T * D),
    "a layer called twice": (shared, (T, D), 2 * T * D * D),
    "encoder layer": (
        lambda: nn.TransformerEncoderLayer(D, 4, 128, batch_first=True),
        (T, D),
        4 * T * D * D + 2 * T * T * D + 2 * T * D * 128,
    ),
    "ViT-B/16": (lambda: zoo.create("vit_b_16"), (3, 224, 224), 17_563_828_224),
}
"""Name -> network, input, multiply-accumulates without biases, norms and activations."""


def ours(network: nn.Module, shape: Shape) -> float:
    return count(network, shape).macs


def torchinfo(network: nn.Module, shape: Shape) -> float:
    from torchinfo import summary

    return float(summary(network, (1, *shape), verbose=0, device="cpu", col_names=()).total_mult_adds)


def fvcore(network: nn.Module, shape: Shape) -> float:
    from fvcore.nn import FlopCountAnalysis

    found = FlopCountAnalysis(network, torch.rand(1, *shape)).unsupported_ops_warnings(False)
    return float(found.uncalled_modules_warnings(False).total())


def ptflops(network: nn.Module, shape: Shape) -> float:
    from ptflops import get_model_complexity_info

    found, _ = get_model_complexity_info(network, shape, as_strings=False, print_per_layer_stat=False, verbose=False)
    return float(found or 0)


def thop(network: nn.Module, shape: Shape) -> float:
    from thop import profile

    return float(profile(network, (torch.rand(1, *shape),), verbose=False)[0])


def torch_counter(network: nn.Module, shape: Shape) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.rand(1, *shape))
    return float(counter.get_total_flops())


COUNTERS: dict[str, Callable[[nn.Module, Shape], float]] = {
    "pennyweight": ours,
    "torchinfo": torchinfo,
    "fvcore": fvcore,
    "ptflops": ptflops,
    "thop": thop,
    "torch": torch_counter,
}


def quietly(counter: Callable[[nn.Module, Shape], float], network: nn.Module, shape: Shape) -> float:
    """Run a counter without its prints."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        return counter(network, shape)


def verdict(counter: Callable[[nn.Module, Shape], float], case: str) -> str:
    make, shape, right = CASES[case]
    try:
        found = quietly(counter, make().eval(), shape)
    except Exception as error:  # an error is the peer's answer
        return f"fails ({type(error).__name__})"
    return "right" if found in (right, 2 * right) else f"{found / right:.3g}×"


def growth_mib(name: str, answers: Any) -> None:
    """Print, in a separate process, the growth of peak resident memory while counting the large network."""
    torch.set_num_threads(cores())
    network = zoo.create(LARGE).eval()
    quietly(COUNTERS[name], nn.Conv2d(3, 8, 3).eval(), (3, 8, 8))  # imports do not count
    before = resident_kib("VmRSS")
    CLEAR.write_text("5")  # resets the peak
    quietly(COUNTERS[name], network, (3, SIDE, SIDE))
    answers.put((resident_kib("VmHWM") - before) / 1024)


def resident_kib(field: str) -> int:
    """Return this process's resident memory, now (VmRSS) or at most (VmHWM), in KiB; Linux only."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field))


def grown(name: str) -> float:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=growth_mib, args=(name, answers))
    process.start()
    answer = float(answers.get())
    process.join()
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="a Markdown file to write")
    options = parser.parse_args()
    torch.set_num_threads(cores())
    # A network for each, because ptflops leaves methods and thop leaves buffers in it.
    networks = {name: zoo.create(LARGE).eval() for name in COUNTERS}
    seconds: dict[str, list[float]] = {name: [] for name in COUNTERS}
    for repeat in range(options.repeats + 1):  # the first one is a warm-up
        for name, counter in COUNTERS.items():
            started = time.perf_counter()
            quietly(counter, networks[name], (3, SIDE, SIDE))
            if repeat:
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(row) for name, row in seconds.items()}
    lines = [
        "# Operation counters compared",
        "",
        "Multiply-accumulates from six counters, compared with a count by hand; then their time and memory.",
        "",
        f"Written by `benchmarks/counting.py` on {', '.join(f'{k} {v}' for k, v in machine().items())};",
        f"{cores()} threads; torch {versions()['torch']}; {options.repeats} repetitions, medians. A number is the "
        "counter's answer divided by the count by hand.",
        "",
        "| | " + " | ".join(COUNTERS) + " |",
        "| --- |" + " --- |" * len(COUNTERS),
        *(f"| {case} | " + " | ".join(verdict(c, case) for c in COUNTERS.values()) + " |" for case in CASES),
        "| seconds, EfficientNet-B7 at 600 px | " + " | ".join(f"{medians[name]:.2f}" for name in COUNTERS) + " |",
        "| times pennyweight's | "
        + " | ".join(f"{medians[name] / medians['pennyweight']:.1f}" for name in COUNTERS)
        + " |",
        "| additional memory, MiB | " + " | ".join(f"{grown(name):,.0f}" for name in COUNTERS) + " |",
    ]
    text = "\n".join(lines) + "\n"
    Console().print(text, markup=False, highlight=False, soft_wrap=True)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
