"""Suggested pictures are new, each once, and the list that is filled in is a source."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import InputError, SourceError


def scene(seed: int) -> np.ndarray:
    """Draw a picture of many shapes, unlike those of other seeds."""
    draw = np.random.default_rng(seed)
    pixels = np.full((64, 64, 3), draw.integers(0, 255), np.uint8)
    for _ in range(12):
        top, left, height, width = draw.integers(0, 48), draw.integers(0, 48), *draw.integers(6, 24, 2)
        pixels[top : top + height, left : left + width] = draw.integers(0, 255, 3)
    return pixels


@pytest.fixture(scope="module")
def labeled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("suggest") / "labeled"
    for number in range(24):
        label = "ab"[number % 2]
        (root / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(number)).save(root / label / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def run(labeled: Path, tmp_path_factory: pytest.TempPathFactory) -> pw.Run:
    return pw.fit(
        labeled, "mobilenet_v1_x0_25", input_size=16, recipe={"epochs": 1, "batch": 8}, progress=False,
        config={"stages": [[32, 1, 1], [64, 1, 2]]}, out=tmp_path_factory.mktemp("runs") / "run",
    )  # fmt: skip


@pytest.fixture
def pool(labeled: Path, tmp_path: Path) -> Path:
    """Six new pictures, a copy and a brighter twin of labeled ones, and two copies and a twin of a new one."""
    root = tmp_path / "pool"
    (root / "inner").mkdir(parents=True)
    for number in range(6):
        Image.fromarray(scene(100 + number)).save(root / "inner" / f"new-{number}.png")
    shutil.copy(labeled / "a" / "0.png", root / "copy.png")
    Image.fromarray(np.clip(scene(1) * 1.1, 0, 255).astype(np.uint8)).save(root / "twin.png")
    for name in ("again", "once-more"):
        shutil.copy(root / "inner" / "new-0.png", root / f"{name}.png")
    Image.fromarray(scene(105)).save(root / "new-5.jpg", quality=90)
    return root


def test_only_new_pictures_are_suggested_each_once(run: pw.Run, pool: Path, tmp_path: Path) -> None:
    found = pw.suggest(run, pool, count=20, html=tmp_path / "sheet.html", csv=tmp_path / "list.csv")
    assert (found.considered, found.known) == (6, 5)
    names = [Path(each.picture).stem for each in found.pictures]
    assert len(set(names)) == len(names) == 6
    assert not {"copy", "twin"} & set(names)
    assert len({"again", "once-more", "new-0"} & set(names)) == 1
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert page.count("data:image/") == 6
    assert "5 pictures were left out" in page
    with (tmp_path / "list.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [str(Path(each.picture).resolve()) for each in found.pictures]
    with (tmp_path / "filled.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [*rows[0]])
        table.writeheader()
        table.writerows(row | {"label": "ab"[number % 2]} for number, row in enumerate(rows))
    assert data.open(tmp_path / "filled.csv").count_by_label() == {"a": 3, "b": 3}


@pytest.mark.slow
def test_fewer_are_the_first_of_more(run: pw.Run, pool: Path) -> None:
    few, more = (pw.suggest(run, pool, count=count) for count in (2, 5))
    assert few.pictures == more.pictures[:2]


def test_what_cannot_be_suggested_is_refused(run: pw.Run, labeled: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="every picture of labeled is labeled already"):
        pw.suggest(run, labeled)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="has no picture to suggest"):
        pw.suggest(run, tmp_path / "empty")
    with pytest.raises(InputError, match="at least 1, not 0"):
        pw.suggest(run, labeled, count=0)
