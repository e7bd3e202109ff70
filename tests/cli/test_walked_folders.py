"""Folders as they are found: links, other endings, closed folders, pipes, system folders, large pictures."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Run = Callable[..., Any]


@pytest.fixture
def holidays(pictures: Path, tmp_path: Path) -> Path:
    """Two pictures, one more as .jfif, three behind a link, and what is no picture."""
    new, elsewhere = tmp_path / "new", tmp_path / "elsewhere"
    for folder, count in ((new, 2), (elsewhere, 3)):
        folder.mkdir()
        for number in range(count):
            shutil.copy(pictures / "dark" / f"{number:02d}.png", folder)
    (new / "linked").symlink_to(elsewhere)
    Image.open(pictures / "bright" / "00.png").save(new / "a.jfif", "JPEG")
    (new / "notes.txt").write_text("of the holidays")
    (new / "@eaDir").mkdir()
    shutil.copy(pictures / "dark" / "05.png", new / "@eaDir")
    return new


def test_predict_reads_what_fit_reads(pennyweight: Run, bundle_file: Path, holidays: Path) -> None:
    outcome = pennyweight("predict", bundle_file, holidays, "--json")
    assert outcome.status == 0
    names = [row["source"].removeprefix(f"{holidays}/") for row in json.loads(outcome.out)["predictions"]]
    assert sorted(names) == ["00.png", "01.png", "a.jfif", "linked/00.png", "linked/01.png", "linked/02.png"]
    assert "skipped 1 file without the extension of a picture (1 .txt)" in outcome.err
    assert "skipped 1 system folder, such as @eaDir" in outcome.err


def test_predict_names_what_it_could_not_read(pennyweight: Run, bundle_file: Path, holidays: Path) -> None:
    (holidays / "c.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    (holidays / "birds").symlink_to("/nowhere/birds")
    os.mkfifo(holidays / "pipe.jpg")
    (holidays / "zero.png").symlink_to("/dev/zero")
    outcome = pennyweight("predict", bundle_file, holidays, "--json")
    assert outcome.status == 1
    found = json.loads(outcome.out)
    assert len(found["predictions"]) == 6
    said = {Path(row["source"]).name: row["error"] for row in found["failures"]}
    assert set(said) == {"c.heic", "birds", "pipe.jpg", "zero.png"}
    assert said["birds"].endswith("it is a link to /nowhere/birds, which is not there")
    assert said["pipe.jpg"].endswith("it is a pipe, not a file")
    assert said["zero.png"].endswith("it is a device, not a file")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/stdin"])
def test_a_device_is_refused_before_it_is_opened(pennyweight: Run, bundle_file: Path, device: str) -> None:
    if not Path(device).exists():
        pytest.skip(f"no {device} here")
    outcome = pennyweight("predict", bundle_file, device)
    assert outcome.status == 1
    assert "not a file" in outcome.err or "is empty" in outcome.err  # standard input may be a file


@pytest.mark.parametrize("command", ["fit", "doctor"])
def test_a_class_folder_behind_a_dead_link_is_refused(
    pennyweight: Run, draw_pictures: Callable[..., Path], tmp_path: Path, command: str
) -> None:
    root = draw_pictures(tmp_path / "birds", 4)
    (root / "owls").symlink_to("/nowhere/owls")
    outcome = pennyweight(command, root)
    assert outcome.status == 1
    assert f"class folder {root}/owls: it is a link to /nowhere/owls, which is not there" in outcome.out + outcome.err


@pytest.mark.slow
def test_large_pictures_are_read_where_that_is_asked(
    pennyweight: Run,
    bundle_file: Path,
    draw_pictures: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr("pennyweight.core.images.MAX_PIXELS", 9_999)
    root = draw_pictures(tmp_path / "large", 4, seed=7)
    Image.effect_noise((100, 120), 40).convert("RGB").save(root / "dark" / "large.png")
    said = "100×120 pixels are more than the 9,999 allowed; --max-pixels 12000"
    for command in (("predict", bundle_file, root), ("doctor", root), ("evaluate", bundle_file, root)):
        outcome = pennyweight(*command)
        assert said in outcome.out + outcome.err, command
        outcome = pennyweight(*command, "--max-pixels", "12000")
        assert outcome.status == 0, outcome.err
        assert said not in outcome.out + outcome.err
    options = ("--model", "mobilenet_v1_x0_25", "--config", "stages=[[32, 1, 1]]", "--input", "16", "--epochs", "1")
    assert said in pennyweight("fit", root, *options, "--out", tmp_path / "a").err
    outcome = pennyweight("fit", root, *options, "--out", tmp_path / "b", "--max-pixels", "12000")
    assert (outcome.status, said in outcome.err) == (0, False)
    assert json.loads((tmp_path / "b" / "run.json").read_text())["asked"]["max_pixels"] == 12000


def test_evaluate_names_what_it_could_not_open(
    pennyweight: Run, bundle_file: Path, draw_pictures: Callable[..., Path], tmp_path: Path
) -> None:
    root = draw_pictures(tmp_path / "other", 3, seed=5)
    (root / "dark" / "gone.png").symlink_to("/nowhere/gone.png")
    outcome = pennyweight("evaluate", bundle_file, root)
    assert outcome.status == 0
    assert "left out: cannot read" in outcome.err
    assert "gone.png" in outcome.err
