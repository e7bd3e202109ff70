"""The range of 16-bit pictures: found over training pictures, whatever holds them, and never by one odd pixel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.data.checks.doctor import diagnose
from pennyweight.data.used_levels import UsedLevels, measure_levels

Make = Callable[[np.random.Generator], np.ndarray]


def folder(root: Path, make: Make, *, count: int = 20, ending: str = ".png") -> data.Source:
    """A source of two classes of pictures of 30×30 made by `make`."""
    draw = np.random.default_rng(0)
    for label in ("even", "odd"):
        (root / label).mkdir(parents=True)
        for number in range(count):
            path = root / label / f"{number:02d}{ending}"
            if ending == ".npy":
                np.save(path, make(draw))
            else:
                Image.fromarray(make(draw)).save(path)
    return data.open(root)


def used(source: data.Source) -> UsedLevels:
    found = measure_levels(source, data.split(source).train)
    assert found is not None
    return found


def between(low: int, high: int) -> Make:
    return lambda draw: draw.integers(low, high + 1, (30, 30)).astype(np.uint16)


def with_a_dead_pixel(draw: np.random.Generator) -> np.ndarray:
    pixels = draw.integers(100, 1001, (60, 60)).astype(np.uint16)
    pixels[draw.integers(60), draw.integers(60)] = 65535
    return pixels


def with_a_spot(draw: np.random.Generator) -> np.ndarray:
    """Nine pixels of 10,000 are bright: what a class may be known by."""
    pixels = draw.integers(100, 1001, (100, 100)).astype(np.uint16)
    pixels[50:53, 50:53] = 1700
    return pixels


@pytest.mark.parametrize(
    ("make", "black", "white"),
    [
        (between(0, 1023), 0, 1023),
        (between(32768, 36000), 32768, 36000),  # signed values with an offset
        (between(0, 255), 0, 255),
        (with_a_spot, 100, 1700),
    ],
    ids=["10 bits", "offset", "8 bits in 16", "bright spot"],
)
def test_the_range_is_that_of_the_pictures(tmp_path: Path, make: Make, black: int, white: int) -> None:
    ((found_black, found_white),) = used(folder(tmp_path, make)).levels
    assert abs(found_black - black) <= 0.01 * (white - black) + 1
    assert abs(found_white - white) <= 0.01 * (white - black) + 1


def test_a_dead_pixel_costs_at_most_half_of_the_range(tmp_path: Path) -> None:
    ((black, white),) = used(folder(tmp_path, with_a_dead_pixel)).levels
    assert black == 100
    assert white <= 2000


def test_pictures_that_use_half_of_all_levels_stay_as_they_are(tmp_path: Path) -> None:
    found = used(folder(tmp_path, between(0, 40000)))
    assert found.levels == ()
    assert "the upper 8 bits are kept" in found.note


def test_a_single_value_is_no_range(tmp_path: Path) -> None:
    source = folder(tmp_path, lambda draw: np.full((30, 30), 700, np.uint16), count=1, ending=".npy")
    found = measure_levels(source, source.samples)
    assert found is not None
    assert found.levels == ()


def test_each_of_many_bands_has_a_range(tmp_path: Path) -> None:
    tops = np.array([20, 300, 4000, 60000, 9])
    source = folder(tmp_path, lambda draw: draw.integers(0, tops + 1, (30, 30, 5)).astype(np.uint16), ending=".npy")
    assert used(source).levels == tuple((0, top) for top in tops.tolist())


def test_8_bit_pictures_have_none(tmp_path: Path) -> None:
    source = folder(tmp_path, lambda draw: draw.integers(0, 9, (30, 30)).astype(np.uint8))
    assert source.wide == 0
    assert measure_levels(source, source.samples) is None


def test_only_training_pictures_count(tmp_path: Path) -> None:
    for split, top in (("train", 1000), ("test", 3000)):
        folder_source = folder(tmp_path / split, between(0, top))
        assert folder_source.wide == 40
    assert used(data.open(tmp_path)).levels == ((0, 1000),)


def test_the_doctor_names_the_range(tmp_path: Path) -> None:
    found = diagnose(folder(tmp_path, between(0, 1500)))
    assert found.levels == ((0, 1500),)
    assert any("use the levels 0 to 1,500 of 65,536" in note for note in found.notes)


def test_pictures_that_max_pixels_allows_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder(tmp_path / "large", between(100, 700))
    monkeypatch.setattr("pennyweight.core.images.MAX_PIXELS", 899)
    assert measure_levels(source, source.samples) is None
    found = measure_levels(source, source.samples, max_pixels=900)
    assert found is not None
    assert found.levels == ((100, 700),)
    assert diagnose(source, max_pixels=900).levels


def test_shards_and_tables_hold_16_bits_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import tarfile

    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    draw = np.random.default_rng(0)
    rows: dict[str, list[object]] = {"image": [], "label": []}
    with tarfile.open(tmp_path / "set.tar", "w") as tape:
        for number in range(40):
            file = io.BytesIO()
            Image.fromarray(between(0, 1500)(draw)).save(file, "PNG")
            rows["image"].append(file.getvalue())
            rows["label"].append(str(number % 2))
            for ending, content in (("png", file.getvalue()), ("cls", str(number % 2).encode())):
                entry = tarfile.TarInfo(f"{number:03d}.{ending}")
                entry.size = len(content)
                tape.addfile(entry, io.BytesIO(content))
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(rows), tmp_path / "rows.parquet")
    for name in ("set.tar", "rows.parquet"):
        source = data.open(tmp_path / name)
        assert source.wide == 40
        assert used(source).levels == ((0, 1500),)
