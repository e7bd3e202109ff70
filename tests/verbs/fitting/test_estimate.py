"""How long a training takes is told before it starts, and telling it changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pennyweight as pw
from pennyweight.core.figures import about

Fit = Callable[..., pw.Run]
LINE = re.compile(
    r"^training takes (a few seconds|about .*) on this machine, as a few timed steps suggest$", re.MULTILINE
)


DROPOUT: dict[str, Any] = {
    "model": "mobilenet_v2",
    "config": {"stages": [[1, 16, 1, 1, 1], [6, 24, 1, 2, 1]], "last_channels": 64, "dropout": 0.5},
}
"""A network that draws random numbers in every step."""


@pytest.fixture(scope="module")
def first(fit_small: Fit, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> pw.Run:
    """Run whose weights other runs start from."""
    return fit_small(shapes, **DROPOUT, recipe={"epochs": 1}, out=tmp_path_factory.mktemp("first") / "run")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["head", "scratch", "finetune"])
def test_the_time_is_told_before_the_first_step_and_changes_no_bit(
    fit_small: Fit, first: pw.Run, shapes: Path, tmp_path: Path, mode: str, capfd: pytest.CaptureFixture[str]
) -> None:
    how = DROPOUT | {"recipe": {"mode": mode, "epochs": 2, "batch": 32}}
    if mode != "scratch":
        how["weights"] = first.folder
    silent = fit_small(shapes, **how, out=tmp_path / "silent")
    capfd.readouterr()
    told = fit_small(shapes, **how, out=tmp_path / "told", progress=True)
    said = capfd.readouterr().err
    (found,) = LINE.finditer(said)
    assert found.start() < re.search(r"epoch +1/", said).start()  # type: ignore[union-attr]
    assert told.weights_path.read_bytes() == silent.weights_path.read_bytes()


@pytest.mark.slow
def test_a_scene_is_told_of_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    how: dict[str, Any] = {"recipe": {"epochs": 1}, "scene": {"window": 9, "train": 40}}
    silent = pw.scene.fit("scene:synthetic", out=tmp_path / "silent", progress=False, **how)
    told = pw.scene.fit("scene:synthetic", out=tmp_path / "told", **how)
    assert LINE.search(capfd.readouterr().err)
    assert told.weights_path.read_bytes() == silent.weights_path.read_bytes()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "a few seconds"), (7.4, "a few seconds"), (8, "about 10 s"), (42, "about 40 s"), (87, "about 85 s"),
        (88, "about 1 min"), (200, "about 3 min"), (3_600, "about 60 min"), (9_000, "about 2.5 h"),
        (90_000, "about 25 h"), (9_000_000, "about 2,500 h"),
    ],
)  # fmt: skip
def test_an_estimate_reads_as_one(seconds: float, words: str) -> None:
    assert about(seconds) == words
