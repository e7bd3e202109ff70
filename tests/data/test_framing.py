"""The input and the frame that suit pictures of these shapes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.core.frame import sides_of

WIDE = 400 / 96


@pytest.mark.parametrize(
    "aspects",
    [
        [1.0] * 9,
        [1.5] * 9,
        [4 / 3] * 5 + [3 / 4] * 4,
        [1.5, 0.667] * 9,
        [4 / 3] * 90 + [5.0] * 10,  # a panorama here and there
        [],
        np.random.default_rng(0).uniform(0.62, 1.6, 300),
    ],
)
@pytest.mark.parametrize("side", [32, 64, 224])
def test_ordinary_pictures_keep_the_square(aspects: Any, side: int) -> None:
    assert data.suggest_framing(np.array(aspects, float), side) == (side, "crop")


@pytest.mark.parametrize(
    ("aspects", "side", "size", "frame"),
    [
        ([WIDE] * 300, 224, (112, 464), "crop"),
        ([1 / WIDE] * 300, 224, (464, 112), "crop"),
        ([WIDE] * 299 + [0.2], 224, (112, 464), "crop"),  # an outlier does not decide
        ([WIDE] * 9 + [0.2], 224, (112, 464), "crop"),
        ([16 / 9] * 20, 224, (160, 288), "crop"),
        ([4.0, 0.25] * 20, 224, 224, "pad"),
        ([1.0] * 10 + [4.0] * 10, 224, (160, 320), "pad"),
        ([4.0] * 30, 32, (32, 128), "crop"),  # small pictures keep their scale
        ([4.0, 0.25] * 20, 32, 128, "pad"),
        ([WIDE] * 30, 384, (192, 800), "crop"),
    ],
)
def test_long_pictures_get_an_input_that_shows_them(aspects: list[float], side: int, size: Any, frame: str) -> None:
    assert data.suggest_framing(np.array(aspects), side) == (size, frame)


@pytest.mark.parametrize("ratio", [1.7, 2, 2.39, 3, 4.17, 5.5, 8, 12, 16])
@pytest.mark.parametrize("side", [160, 224, 240, 384])
@pytest.mark.parametrize("step", [1, 14, 32])
def test_a_rectangle_has_the_shape_of_the_pictures_and_the_pixels_of_the_square(
    ratio: float, side: int, step: int
) -> None:
    for aspect in (ratio, 1 / ratio):
        found = data.suggest_framing(np.full(20, aspect), side, step=step)
        height, width = sides_of(found.size)
        assert height % step == width % step == 0
        fine = step == 1 or ratio < 6
        assert (0.6 if fine else 0.3) * side**2 <= height * width <= (1.2 if fine else 2) * side**2
        assert found.frame == "pad" or data.cut_away(np.array([aspect]), found.size)[0] <= 0.15


def test_what_is_cut_away_is_told() -> None:
    aspects = np.array([WIDE] * 9 + [0.2])
    assert data.describe_cut(aspects, 224, "a square would cut away") == (
        "a square would cut away 76% of the middle picture"
    )
    half = np.array([1.0] * 6 + [4.0] * 4)
    assert data.describe_cut(half, 224, "it cuts away") == "it cuts away more than 40% of 40% of the pictures"
    halves = np.array([3.0, 12.0] * 4)  # of which a 1:3 input cuts away nothing, and three quarters
    assert data.describe_cut(halves, (16, 48), "it cuts away") == "it cuts away more than 40% of 50% of the pictures"
    lines = np.full(4, 1000.0)
    assert data.describe_cut(lines, 224, "it cuts away") == "it cuts away nearly all of the middle picture"
    told = data.cut_note(aspects, data.suggest_framing(aspects, 224), "do this")
    assert told == "1 of 10 pictures loses more than half to the crop; do this"
    much = data.cut_note(aspects, data.Framing(224, "crop"), "do this")
    assert much == "the crop cuts away 76% of the middle picture; do this"
    assert data.cut_note(half[:6], data.Framing(224, "crop"), "do this") == ""
    assert data.cut_note(aspects, data.Framing(224, "pad"), "do this") == ""


def test_shapes_are_those_of_upright_pictures(tmp_path: Path, noise: Any) -> None:
    """The same in a folder, a table and in shards: EXIF orientation turns half of them."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    (tmp_path / "folder" / "a").mkdir(parents=True)
    (tmp_path / "folder" / "b").mkdir()
    rows: list[tuple[bytes, str]] = []
    for number in range(8):
        exif = Image.Exif()
        exif[0x0112] = (1, 6, 8, 3)[number % 4]
        stored = noise(10, 40, seed=number) if number % 4 in (0, 3) else noise(40, 10, seed=number)
        file = io.BytesIO()
        Image.fromarray(stored).save(file, "JPEG", exif=exif)
        label = "ab"[number % 2]
        (tmp_path / "folder" / label / f"{number}.jpg").write_bytes(file.getvalue())
        rows.append((file.getvalue(), label))
    table = pyarrow.table({"image": [content for content, _ in rows], "label": [label for _, label in rows]})
    parquet.write_table(table, tmp_path / "table.parquet")
    (tmp_path / "shards").mkdir()
    parquet.write_table(table, tmp_path / "shards" / "train-0.parquet")
    parquet.write_table(table.slice(0, 4), tmp_path / "shards" / "train-1.parquet")
    for source in (tmp_path / "folder", tmp_path / "table.parquet", tmp_path / "shards"):
        found = data.aspects_of(data.open(source).samples)
        assert len(found) >= 8
        assert np.allclose(found, 4)


def test_arrays_have_shapes_and_unknown_ones_are_left_out() -> None:
    wide = data.Sample(np.zeros((8, 32, 3), np.uint8), 0, "0", None, "wide")
    unknown = data.Sample(Path("somewhere.png"), 0, "1", None, "unknown")
    assert data.aspects_of([wide, unknown]).tolist() == [4.0]
