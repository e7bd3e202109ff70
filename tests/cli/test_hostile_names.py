"""Files and labels with names that steer terminals and pages: every line of every command leaves both as they are."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., Any]
HOSTILE = "\x1b]0;x\x07\n\u202e[red]:smile:"
STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def quick_reports() -> None:
    """Keep the plots: they show names too."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of pictures, one picture twice, and a file that is none."""
    root = tmp_path_factory.mktemp("odd") / f"set{HOSTILE}"
    draw = np.random.default_rng(0)
    for label, level in (("dark", 40), ("light", 215)):
        (root / f"{label}{HOSTILE}").mkdir(parents=True)
        for number in range(12):
            pixels = np.clip(draw.normal(level, 15, (20, 20, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / f"{label}{HOSTILE}" / f"{number:02d}{HOSTILE}.png")
    (root / f"dark{HOSTILE}" / f"none{HOSTILE}.png").write_bytes(b"nothing")
    return root


@pytest.mark.slow
def test_no_command_prints_or_writes_a_letter_that_steers(pennyweight: Run, source: Path, empty: Path) -> None:
    shallow = ("--model", "mobilenet_v1_x0_25", "--config", "stages=[[32, 1, 1]]", "--input", "16")
    small = (*shallow, "--epochs", "1", "--out", "run")
    picture = next(source.rglob("00*.png"))
    said = {}
    for command in (
        ("doctor", source, "--html", "doctor.html"),
        ("fit", source, *small),
        ("evaluate", "run"),
        ("evaluate", "run", "--json"),
        ("export", "run"),
        ("predict", "run/model.onnx", picture),
        ("predict", "run/model.onnx", picture, "--json"),
        ("predict", "run/model.onnx", source / f"dark{HOSTILE}" / f"none{HOSTILE}.png"),
        ("evaluate", f"run{HOSTILE}"),
    ):
        outcome = pennyweight(*command)
        said[command[:2]] = outcome
        shown = outcome.out + outcome.err
        assert shown
        assert not STEERS.search(shown), (command, shown)
        assert "\N{SMILING FACE WITH OPEN MOUTH AND SMILING EYES}" not in shown  # a colon is no markup
    assert "[red]:smile:" in said["evaluate", "run"].out.replace("\n", "")
    assert HOSTILE in json.loads(pennyweight("predict", "run", picture, "--json").out)["predictions"][0]["label"]
    for page in ("doctor.html", "run/report.html"):
        assert not STEERS.search(Path(page).read_text(encoding="utf-8")), page
