"""The doctor's view of what the network will see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pennyweight import data
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.checks.diagnosis import Diagnosis
from pennyweight.data.checks.doctor import diagnose
from pennyweight.data.checks.view import view_through


def examined(root: Path, sides: Sequence[tuple[int, int]], noise) -> Diagnosis:
    for number, (height, width) in enumerate(sides):
        folder = root / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(height, width, seed=number)).save(folder / f"{number}.png")
    return diagnose(data.open(root), quick=True)


@pytest.mark.parametrize(
    ("sides", "view", "cut", "line"),
    [
        ([(96, 400)] * 10, ([112, 464], "crop", 0.76, 0.0, 1.17), 1, "input 112×464: 0."),
        pytest.param(
            [(96, 400), (400, 96)] * 8,
            ([224, 224], "pad", 0.76, 0.0, 0.56),
            1,
            "input 224, whole pictures padded: all of the middle picture is shown, at 0.56",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            [(300, 400)] * 10,
            ([224, 224], "crop", 0.25, 0.43, 0.85),
            0,
            "input 224: 42.5% of the middle picture is cut away, and the rest is shown at 0.85 times its size",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            [(300, 400)] * 22 + [(100, 300)] * 2,
            ([224, 224], "crop", 0.25, 0.43, 0.85),
            1,
            "input 224: 42.5% of the",
            marks=pytest.mark.slow,
        ),
        (
            [(8, 8)] * 6,
            ([32, 32], "crop", 0.0, 0.0, 4.0),
            0,
            "input 32: all of the middle picture is shown, at 4 times",
        ),
    ],
)
def test_what_is_cut_away_and_the_scale_are_told(
    tmp_path: Path, noise, sides: list[tuple[int, int]], view: tuple, cut: int, line: str
) -> None:
    found = examined(tmp_path / "pictures", sides, noise)
    values = json.loads(json.dumps(found.to_dict()))["view"]
    shown = tuple(values.values())
    assert shown[:2] == view[:2]
    assert shown[2:] == pytest.approx(view[2:], abs=0.01)
    assert found.view is not None
    assert line in found.view.line
    told = found.of("cut")
    assert len(told) == cut
    assert found.sound
    if (100, 300) in sides:
        assert told[0].pictures
        assert told[0].detail == "300×100: 66.7% is cut away"


def test_without_a_readable_picture_there_is_no_view(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.png").write_bytes(b"nothing")
    assert diagnose(data.open(tmp_path, strict=False), quick=True).view is None


@pytest.mark.parametrize(
    ("frame", "cut", "line"),
    [
        ("crop", 0.75, "input 48: 75.0% of the middle picture is cut away, and the rest is shown at 2 times its size"),
        ("pad", 0.0, "input 48, whole pictures padded: all of the middle picture is shown, at 0.5 times its size"),
        ("stretch", 0.0, "input 48, pictures stretched: all of the middle picture is shown, at its own size"),
    ],
)
def test_pictures_are_seen_through_any_input(frame: Any, cut: float, line: str) -> None:
    found = view_through(Preprocess.for_input(48, frame=frame), [(24, 96)] * 3)
    assert (found.cut_away, found.cut_by_square) == (cut, 0.75)
    assert found.line == line
