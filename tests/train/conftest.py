"""Small networks, small pictures and a recorder, to watch the loop with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Pictures, Sample
from pennyweight.train import Checkpointer, Epoch, Recipe, train
from pennyweight.train.callbacks import best_of

SIDE = 8


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Small networks are quickest on one thread, also where other work keeps the machine busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_pictures() -> Callable[..., Pictures]:
    """`make_pictures([0, 1, 0], seed=1)`: noise of 8×8 pixels, a picture for each of these classes."""

    def make(targets: list[int], *, seed: int = 0) -> Pictures:
        drawn = np.random.default_rng(seed).integers(0, 256, (len(targets), SIDE, SIDE, 3), dtype=np.uint8)
        samples = [
            Sample(pixels, target, f"{number:064x}", None, f"noise/{number}")
            for number, (pixels, target) in enumerate(zip(drawn, targets, strict=True))
        ]
        return Pictures(samples, Preprocess.for_input(SIDE))

    return make


class Network(nn.Module):
    """Convolution, batch norm over single values, dropout, linear: what goes wrong goes wrong here too."""

    def __init__(self, classes: int = 4, dropout: float = 0.5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 64, SIDE)
        self.norm = nn.BatchNorm2d(64)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(64, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(self.dropout(self.norm(self.conv(x)).relu().flatten(1)))
        return logits


@pytest.fixture
def make_network() -> Callable[..., Network]:
    """`make_network(classes=4, dropout=0.5)`: always the same weights."""

    def make(classes: int = 4, dropout: float = 0.5) -> Network:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return Network(classes, dropout)

    return make


class Recorder:
    """Callback that keeps the events it receives."""

    def __init__(self) -> None:
        self.started: list[tuple[int, int]] = []
        self.steps: list[tuple[float, int]] = []
        self.finished: list[Mapping[str, Any]] = []
        self.epochs: list[tuple[Epoch, bool]] = []

    def epoch_started(self, epoch: int, steps: int, done: int = 0) -> None:
        self.started.append((epoch, steps))

    def step(self, loss: float, images: int, *, correct: float | None = None, waited_s: float | None = None) -> None:
        self.steps.append((loss, images))

    def epoch_finished(self, metrics: Mapping[str, Any]) -> None:
        self.finished.append(metrics)

    def after_epoch(self, epoch: Epoch, best: bool) -> None:
        self.epochs.append((epoch, best))


@pytest.fixture
def run_training() -> Callable[..., tuple[Epoch, Recorder]]:
    """`run_training(network, training, validation, seed=0, after_epoch=…, checkpointer=…, **recipe)`: (best, told).

    Pictures stay as they are, and the rate starts at once, unless the recipe says otherwise.
    """

    def run(
        network: nn.Module,
        training: Pictures,
        validation: Pictures,
        *,
        seed: int = 0,
        after_epoch: Callable[[Epoch, bool], None] | None = None,
        checkpointer: Checkpointer | None = None,
        **recipe: Any,
    ) -> tuple[Epoch, Recorder]:
        recorder = Recorder()

        def after(epoch: Epoch, best: bool) -> None:
            recorder.after_epoch(epoch, best)
            if after_epoch is not None:
                after_epoch(epoch, best)

        epochs = train(
            network,
            training=training,
            validation=validation,
            recipe=Recipe(**{"flip": False, "shift": 0.0, "warmup_epochs": 0.0, "epochs": 2, **recipe}),
            seed=seed,
            callback=recorder,
            after_epoch=lambda epochs, best: after(epochs[-1], best),
            preprocess=training.preprocess,
            checkpointer=checkpointer,
        )
        best = best_of(epochs)
        assert best is not None
        return best, recorder

    return run
