"""What every rank of the test runs: train on fixed pictures, and the first one writes the loss curve."""

import json
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pennyweight.core.preprocess import Preprocess
from pennyweight.core.signals import Stop
from pennyweight.data import Batch, Pictures, Sample
from pennyweight.train import Checkpointer, Checkpoints, Ranks, Recipe, train

SIDE, CLASSES = 16, 4


class Calibrated(nn.Module):
    """Batch norm whose figures were fixed beforehand: on processors ranks cannot share them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, stride=2)
        self.norm = nn.BatchNorm2d(16)
        self.linear = nn.Linear(16, CLASSES)

    def train(self, mode: bool = True) -> "Calibrated":
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(torch.nn.functional.relu6(self.norm(self.conv(x))).mean((2, 3)))
        return logits


def pictures(count: int) -> Pictures:
    draw = np.random.default_rng(0)
    targets = [number % CLASSES for number in range(count)]
    samples = [
        Sample(
            np.clip(draw.normal(60 + 40 * target, 30, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8),
            target,
            f"{number:064x}",
            None,
            f"noise/{number}",
        )
        for number, target in enumerate(targets)
    ]
    return Pictures(samples, Preprocess.for_input(SIDE))


class Curve:
    """Keeps every step's loss; after `last` steps, this rank dies if it is the one that should."""

    def __init__(self, dies: bool) -> None:
        self.losses: list[float] = []
        self.dies = dies

    def epoch_started(self, epoch: int, steps: int, done: int = 0) -> None: ...

    def step(self, loss: float, images: int, *, correct: float | None = None, waited_s: float | None = None) -> None:
        self.losses.append(loss)
        if self.dies and len(self.losses) == 7:
            import os

            os.kill(os.getpid(), signal.SIGKILL)

    def epoch_finished(self, metrics: Mapping[str, Any]) -> None: ...


class Interrupted(Pictures):
    """Has batches of one for validation, and asks `stop` when the third one is read."""

    stop: Stop | None = None
    read = 0

    def in_order(self, batch: int) -> Iterator[Batch]:
        for one in super().in_order(1):
            self.read += 1
            if self.read == 3 and self.stop is not None:
                self.stop(signal.SIGTERM)
            yield one


def main(out: Path, dying: int, stopped: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Calibrated()
    known = pictures(42)
    with torch.no_grad():
        model.norm.running_mean.fill_(0.1)  # type: ignore[union-attr]
    ranks = Ranks()
    curve = Curve(dies=ranks.number == dying)
    stop, validation = Stop(), Interrupted(known.samples, known.preprocess)
    if ranks.number == stopped:
        validation.stop = stop
    try:
        epochs = train(
            model,
            training=known,
            validation=pictures(8) if stopped < 0 else validation,  # one batch: the second rank has none
            recipe=Recipe(epochs=5, batch=8, lr=0.05, precision="float64", flip=False, shift=0.125, clip_norm=5.0),
            seed=0,
            callback=curve,
            after_epoch=lambda epochs, best: None,
            preprocess=known.preprocess,
            checkpointer=Checkpointer(Checkpoints(out.with_suffix("")), every_s=0.0, stop=stop),
            ranks=ranks,
        )
    except SystemExit:
        out.with_suffix(f".{ranks.number}").write_text(str(validation.read))
        raise
    if not ranks.number:
        out.write_text(json.dumps({"losses": curve.losses, "val": [epoch.val_loss for epoch in epochs]}))
    ranks.end_others()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
