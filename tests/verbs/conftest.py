"""A small folder of coloured pictures, one run trained on it, and its bundle, for all of the room."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pennyweight as pw

COLOURS = {"blue": (70, 70, 160), "green": (70, 160, 70), "red": (160, 70, 70)}
SMALL: dict[str, Any] = {"model": "mobilenet_v1_x0_25", "input_size": 16, "progress": False}


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Small networks are quickest on one thread, also where other work keeps the machine busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def draw_colours(root: Path, count: int, *, seed: int = 0, colours: Sequence[str] = tuple(COLOURS)) -> Path:
    """Write `count` noisy pictures of each colour to root/COLOUR; another seed gives other pictures."""
    draw = np.random.default_rng(seed)
    for colour in colours:
        (root / colour).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = np.clip(draw.normal(COLOURS[colour], 90, (20, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / colour / f"{seed}-{number:02d}.png")
    return root


@pytest.fixture(name="draw_colours", scope="session")
def draw_colours_fixture() -> Callable[..., Path]:
    """`draw_colours(folder, count, seed=0, colours=…)`."""
    return draw_colours


@pytest.fixture(scope="package")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `trained` was trained on. Nobody writes to it."""
    return draw_colours(tmp_path_factory.mktemp("sources") / "shapes", 40)


@pytest.fixture(scope="package")
def trained(one_thread: None, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> pw.Run:
    """A run that is better than chance and not perfect. Nobody writes to it."""
    recipe = {"epochs": 8, "batch": 8, "lr": 0.01, "warmup_epochs": 1}
    return pw.fit(shapes, out=tmp_path_factory.mktemp("runs") / "run", recipe=recipe, **SMALL)


@pytest.fixture(scope="package")
def bundle(trained: pw.Run, tmp_path_factory: pytest.TempPathFactory) -> pw.Bundle:
    return pw.export(trained, tmp_path_factory.mktemp("bundles") / "shapes.onnx")


@pytest.fixture
def fit_small() -> Callable[..., pw.Run]:
    """`fit` with the smallest network at 16 pixels, two epochs, silent."""

    def fit(source: Any, **options: Any) -> pw.Run:
        return pw.fit(source, **{**SMALL, "recipe": {"epochs": 2, "batch": 16}, **options})

    return fit


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`stop_at(step)`: a SIGINT comes in that step."""
    from pennyweight.report.progress import TrainingProgress

    step = TrainingProgress.step

    def at(number: int) -> None:
        done = 0

        def counting(self: TrainingProgress, *arguments: Any, **more: Any) -> None:
            nonlocal done
            done += 1
            if done == number:
                signal.raise_signal(signal.SIGINT)
            step(self, *arguments, **more)

        monkeypatch.setattr(TrainingProgress, "step", counting)

    return at
