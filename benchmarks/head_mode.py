"""Ten epochs of the last layer (linear probe): features computed once, against a frozen trunk in every epoch.

    python benchmarks/head_mode.py [SOURCE] [--model NAME] [--weights FILE] [--input PIXELS] [--turns N]

Both sides are processes, timed from start to end. Ours runs with the fixed path and with a `--speed auto` that has
nothing cached, and ends with the finished report. The other is what tutorials write (decode, NCHW, float32, frozen
trunk, SGD 1e-3), and ends with its test accuracy. Weights are random by default, because times do not depend on them.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from shutil import rmtree

from rich.console import Console

from pennyweight import data
from pennyweight.core.cache import cache_folder
from pennyweight.core.figures import share
from pennyweight.core.machine import machine, versions
from pennyweight.core.run import Run
from pennyweight.report.tables import Column, table

RECOMPUTED = """
import sys, torch, torch.nn.functional as F
from pennyweight import data, zoo
from pennyweight.core.preprocess import Preprocess
from pennyweight.nn import FromPixels
source, name, size, folder = data.open(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
splits = data.split(source)
run = __import__("pennyweight").Run(folder)
preprocess = Preprocess.from_dict(run.record["preprocess"])
network = zoo.build(**run.record["model"])
if sys.argv[5]:
    zoo.put_weights(network, zoo.open_checkpoint(sys.argv[5], name))
network.requires_grad_(False)
network.head.linear.requires_grad_(True)
optimizer = torch.optim.SGD(network.head.linear.parameters(), lr=1e-3, momentum=0.9)
from_pixels = FromPixels(preprocess.mean, preprocess.std)
parts = {part: data.Pictures(splits[part], preprocess, keep_bytes=0) for part in data.SPLITS}
still = data.Augment(flip=False, shift=0.0)
network.eval()

def score(part):
    right = 0
    with torch.no_grad():
        for batch in parts[part].in_order(64):
            answers = network(from_pixels(torch.from_numpy(batch.pixels)).contiguous()).argmax(1)
            right += int((answers == torch.from_numpy(batch.targets)).sum())
    return right / len(parts[part])

for epoch in range(1, 11):
    for batch in parts["train"].epoch(epoch, batch=64, seed=0, augment=still):
        optimizer.zero_grad()
        logits = network(from_pixels(torch.from_numpy(batch.pixels)).contiguous())
        F.cross_entropy(logits, torch.from_numpy(batch.targets)).backward()
        optimizer.step()
    score("val")
print(score("test"))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="cats-dogs")
    parser.add_argument("--model", default="vgg16")
    parser.add_argument("--weights", default="")
    parser.add_argument("--input", default="224")
    parser.add_argument(
        "--turns", type=int, default=1, help="turns of our side, reported as their median; the other has one"
    )
    asked = parser.parse_args()
    given = ["--weights", asked.weights] if asked.weights else []
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PENNYWEIGHT_CACHE"] = str(Path(folder, "cache"))
        data.open(asked.source)  # downloads the data set now if necessary
        command = ["fit", asked.source, "--model", asked.model, *given, "--recipe", "classic-transfer"]
        spent: dict[str, list[float]] = {"auto": [], "fixed": []}
        for turn in range(asked.turns):
            for speed, seconds in spent.items():
                out = str(Path(folder, f"{speed}-{turn}"))
                rest = ["--input", asked.input, "--speed", speed, "--out", out]
                rmtree(cache_folder("speed"), ignore_errors=True)
                started = time.perf_counter()
                subprocess.run([sys.executable, "-m", "pennyweight", *command, *rest], check=True)
                seconds.append(time.perf_counter() - started)
        for speed, seconds in spent.items():
            run = Run(Path(folder, f"{speed}-0"))
            what = f"features once, --speed {speed} ({run.record['recipe']['precision']})"
            rows.append((what, statistics.median(seconds), share(run.evaluation["accuracy"])))
        started = time.perf_counter()
        program = [sys.executable, "-c", RECOMPUTED, asked.source, asked.model, asked.input, out, asked.weights]
        done = subprocess.run(program, check=True, capture_output=True, text=True)
        theirs = time.perf_counter() - started
        rows.append(("trunk in every epoch, float32", theirs, share(float(done.stdout))))
    console = Console()
    columns = [Column(title) for title in ("10 epochs", "s", "test accuracy", "times faster")]
    shown = [(what, seconds, accuracy, f"{theirs / seconds:.1f}") for what, seconds, accuracy in rows]
    console.print(table(f"{asked.model} on {asked.source}", columns, shown))
    console.print(machine() | versions() | {"load": os.getloadavg()})


if __name__ == "__main__":
    main()
