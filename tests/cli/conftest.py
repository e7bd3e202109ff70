"""The command line in this process, and one small run and bundle that it made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from pennyweight.cli import main

MadeOnce = Callable[[str, Callable[[Path], object]], Path]
SMALL = ("--model", "mobilenet_v1_x0_25", "--input", "16")
SHALLOW = ("--config", "stages=[[32, 1, 1], [64, 1, 2]]")
"""Two blocks of a MobileNetV1: each layer costs time when it is made, trained and exported."""


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Small networks are quickest on one thread, also where other work keeps the machine busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="package")
def quick_exports(exported_once: None) -> None:
    """Export each network once for all cases that ship it."""


@pytest.fixture(autouse=True, scope="package")
def quick_twins(twins_once: None) -> None:
    """Search the same pictures for twins once."""


@pytest.fixture(autouse=True)
def quick_shortcuts(no_shortcuts: None) -> None:
    """Trivial classifiers take as long as a small training, and another room looks at them."""


@pytest.fixture(autouse=True)
def quick_reports(no_plots: None) -> None:
    """Plots take as long as a small training, and another room looks at them."""


class Outcome(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of a failure; an assertion that there is exactly that."""
        assert self.status == 1, (self.status, self.err)
        assert "Traceback" not in self.err
        (line,) = self.err.splitlines()
        assert line.startswith("error: ")
        assert "unexpected" not in line
        return line


@pytest.fixture
def pennyweight(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """`pennyweight("names", "--json")` -> status, standard output, standard error."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return Outcome(status, *capsys.readouterr())

    return run


@pytest.fixture
def cannot(pennyweight: Callable[..., Outcome], empty: Path) -> Callable[..., str]:
    """`cannot("fit", …)`: the one line of the failure; nothing was printed else, and nothing written."""

    def refuse(*arguments: object) -> str:
        outcome = pennyweight(*arguments)
        assert outcome.out == ""
        assert list(empty.iterdir()) == []
        return outcome.error

    return refuse


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.Popen[str]]:
    """`command("--version", cwd=…)`: `python -m pennyweight` as a process of its own."""

    def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pennyweight", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            **options,
        )

    return start


def draw_pictures(root: Path, count: int, *, seed: int = 0) -> Path:
    """`count` bright and dark pictures each, two classes that are easily told apart; another seed, others."""
    draw = np.random.default_rng(seed)
    for label, level in (("bright", 215), ("dark", 40)):
        (root / label).mkdir(parents=True)
        for number in range(count):
            pixels = np.clip(draw.normal(level, 15, (20, 20, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number:02d}.png")
    return root


@pytest.fixture(name="draw_pictures", scope="session")
def draw_pictures_fixture() -> Callable[..., Path]:
    """`draw_pictures(folder, count, seed=0)`: so many in each of the classes bright and dark."""
    return draw_pictures


@pytest.fixture(scope="session")
def pictures(made_once: MadeOnce) -> Path:
    """Two classes of 24 pictures. Nobody writes to it."""
    return made_once("light-pictures", lambda folder: draw_pictures(folder / "light", 24)) / "light"


@pytest.fixture(scope="session")
def run_folder(pictures: Path, made_once: MadeOnce) -> Path:
    """A run that `fit` made of `pictures`. Nobody writes to it."""

    def fit(folder: Path) -> None:
        rest = ("--out", str(folder / "light-run"), "--epochs", "8", "--batch", "8", "--set", "lr=0.01")
        assert main(["fit", str(pictures), *SMALL, *SHALLOW, *rest]) == 0

    return made_once("light-runs", fit) / "light-run"


@pytest.fixture(scope="session")
def bundle_file(run_folder: Path, made_once: MadeOnce) -> Path:
    def export(folder: Path) -> None:
        assert main(["export", str(run_folder), "--out", str(folder / "light.onnx")]) == 0

    return made_once("light-bundles", export) / "light.onnx"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    place = tmp_path / "empty"
    place.mkdir()
    monkeypatch.chdir(place)
    return place
