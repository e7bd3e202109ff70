"""The twins of a large source are found once, and kept in the cache."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.data import twins_of
from pennyweight.data.checks.glance import Glances
from pennyweight.data.checks.looks import LOOKS


@pytest.fixture
def glances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> data.Glances:
    """Ten pictures, of which two are twins, that count as a large source."""
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(twins_of, "LEAST_KEPT", 2)
    draw = np.random.default_rng(0)
    for number in range(10):
        folder = tmp_path / "pets" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        drawn = Image.fromarray(draw.integers(0, 256, (14, 14, 3), dtype=np.uint8))
        picture = drawn.resize((64, 64), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number}.png")
        if number == 0:
            picture.resize((48, 48)).save(folder / "again.jpg")
    found = data.glance_at(data.open(tmp_path / "pets"))
    assert found is not None
    return found


def search_is_not_needed(*_: object, **__: object) -> data.Twins:
    raise AssertionError("the twins were kept")


def test_twins_are_found_once(glances: data.Glances, monkeypatch: pytest.MonkeyPatch) -> None:
    first = data.twins_among(glances)
    assert len(first.pairs) == 1
    monkeypatch.setattr(twins_of, "find_twins", search_is_not_needed)
    second = data.twins_among(glances)
    assert second.clusters(len(glances)) == first.clusters(len(glances))
    assert second.reason == first.reason


def test_kept_twins_are_read_without_a_copy_of_the_thumbnails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path))
    plain = np.zeros(4096, LOOKS)
    many = Glances(looks=plain, saved=(None,) * 4096, reasons=(None,) * 4096, banded=np.zeros(4096, np.bool_))
    found = data.twins_among(many)
    tracemalloc.start()
    again = data.twins_among(many)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert again.plain.tolist() == found.plain.tolist()
    assert peak < many.gray.nbytes / 2


def test_a_damaged_file_is_written_again(glances: data.Glances, tmp_path: Path) -> None:
    first = data.twins_among(glances)
    (path,) = (tmp_path / "cache" / "glances").glob("*.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert data.twins_among(glances).clusters(len(glances)) == first.clusters(len(glances))
    assert path.read_bytes() == whole or len(path.read_bytes()) == len(whole)


def test_a_cache_that_cannot_be_written_costs_time_alone(
    glances: data.Glances, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "file"))
    assert len(data.twins_among(glances).pairs) == 1


def test_frames_beyond_the_nearest_one_have_a_twin_in_another_source(tmp_path: Path) -> None:
    drawn = Image.fromarray(np.random.default_rng(0).integers(0, 256, (14, 40, 3), dtype=np.uint8))
    wide = drawn.resize((186, 64), Image.Resampling.BICUBIC)
    for frame in range(12):
        folder = tmp_path / ("old" if frame == 0 else "new") / "a"
        folder.mkdir(parents=True, exist_ok=True)
        wide.crop((5 * frame, 0, 5 * frame + 64, 64)).save(folder / f"{frame:02d}.png")
    new, old = (data.open(tmp_path / name, least_classes=1) for name in ("new", "old"))
    found = data.have_twin_in(new, new.samples, old, old.samples)
    assert found is not None
    assert found.found.tolist() == [True] * 11
    assert not found.unknown.any()
