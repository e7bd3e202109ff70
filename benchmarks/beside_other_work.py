"""Training steps per second while other programs are busy, for several ways in which idle threads wait.

    python benchmarks/beside_other_work.py [--rounds 5] [--seconds 4] [--busy 0 1 2 6]

The script starts its own busy programs. Each way of waiting has its own process, because libgomp reads its settings
once. The processes take turns in each round. The table gives medians over the rounds, and ratios to the default of the
same round.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from statistics import median

from rich.console import Console
from rich.table import Table

WAYS: Mapping[str, Mapping[str, str]] = {
    "default": {},
    "pennyweight": {},
    "GOMP_SPINCOUNT=20000": {"GOMP_SPINCOUNT": "20000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
}
"""Name -> environment variables; `pennyweight` waits as its commands do."""
SIDE, BATCH = 128, 32


def steps(way: str) -> None:
    """Run as one of the processes: read seconds from standard input, train that long, write steps per second."""
    import torch
    from torch.nn import functional as F

    from pennyweight import zoo
    from pennyweight.core.busy_wait import sharing_cores
    from pennyweight.core.heap import keeping_memory
    from pennyweight.core.machine import cores

    torch.set_num_threads(cores())
    torch.manual_seed(0)
    network = zoo.create("mobilenet_v2", width=0.5, num_classes=10).to(memory_format=torch.channels_last)
    images = torch.randn(BATCH, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    targets = torch.randint(0, 10, (BATCH,))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(network(images), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    with keeping_memory():
        step()
        print("ready", flush=True)
        for line in sys.stdin:
            with sharing_cores() if way == "pennyweight" else nullcontext():
                done, started = 0, time.perf_counter()
                while time.perf_counter() - started < float(line):
                    step()
                    done += 1
                print(done / (time.perf_counter() - started), flush=True)


@contextmanager
def busy_programs(count: int) -> Iterator[None]:
    """Keep `count` programs computing inside the block."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.5)
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def measure(busy: Sequence[int], rounds: int, seconds: float) -> dict[int, dict[str, list[float]]]:
    """Return steps per second of every round, by the number of busy programs and the way of waiting."""
    mine = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    workers = {
        way: subprocess.Popen(
            [sys.executable, __file__, "--way", way],
            env={**mine, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for way, settings in WAYS.items()
    }
    try:
        for worker in workers.values():
            assert worker.stdout is not None
            worker.stdout.readline()
        found: dict[int, dict[str, list[float]]] = {}
        for count in busy:
            found[count] = {way: [] for way in WAYS}
            with busy_programs(count):
                for number in range(rounds):
                    order = list(workers.items())
                    for way, worker in order if number % 2 else reversed(order):
                        assert worker.stdin is not None
                        assert worker.stdout is not None
                        print(seconds, file=worker.stdin, flush=True)
                        found[count][way].append(float(worker.stdout.readline()))
        return found
    finally:
        for worker in workers.values():
            worker.kill()
            worker.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each way in each round")
    parser.add_argument("--busy", type=int, nargs="*", default=[0, 1, 2, 6], help="numbers of busy programs")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way:
        steps(asked.way)
        return
    from pennyweight.core.machine import machine_line

    found = measure(asked.busy, asked.rounds, asked.seconds)
    console = Console(width=120)
    table = Table("busy programs", *WAYS, title="training steps a second (times the default's)")
    for count, ways in found.items():
        usual = ways["default"]
        ratios = {way: median(a / b for a, b in zip(rates, usual, strict=True)) for way, rates in ways.items()}
        table.add_row(str(count), *(f"{median(rates):.2f} ({ratios[way]:.2f})" for way, rates in ways.items()))
    console.print(table)
    console.print(
        f"{machine_line()}; MobileNetV2 width 0.5, batch {BATCH} of {SIDE}×{SIDE}; {asked.rounds} rounds of "
        f"{asked.seconds:g} s"
    )


if __name__ == "__main__":
    main()
