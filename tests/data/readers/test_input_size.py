"""Channels and input size come from the headers of all pictures, or of a random sample that is said."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.data.readers import contents

Save = Callable[[str, Image.Image], None]
CLASSES = ("moss", "rust")


def twins(save: Save, pairs: int, color: tuple[int, ...] = (1,)) -> None:
    """Write pairs of an infrared and a color picture of one thing; `color` says which of every pair are in color."""
    for label, name in enumerate(CLASSES):
        for number in range(2 * pairs):
            pixels = np.full((20, 20, 3), (60, 90 * label, 200 - number), np.uint8)
            image = Image.fromarray(pixels)
            save(f"{name}/{number:03d}.png", image if number % 2 in color else image.convert("L"))


def test_every_second_picture_in_color_asks_for_color(tmp_path: Path) -> None:
    def save(name: str, image: Image.Image) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.save(tmp_path / name)

    twins(save, 110)
    source = data.open(tmp_path)
    assert source.channels == 3
    assert source.notes == ("220 of 440 pictures are gray and the others are in color: the input has 3 channels",)


def test_one_gray_picture_is_spoken_of_as_one(tmp_path: Path) -> None:
    for number, color in enumerate((0, 1, 1)):
        folder = tmp_path / ("a", "b")[number % 2]
        folder.mkdir(exist_ok=True)
        Image.new("RGB" if color else "L", (40, 40), number).save(folder / f"{number}.png")
    assert data.open(tmp_path).notes == (
        "1 of 3 pictures is gray and the others are in color: the input has 3 channels",
    )


def test_a_table_of_every_second_picture_in_color(tmp_path: Path) -> None:
    def save(name: str, image: Image.Image) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.save(tmp_path / name)

    twins(save, 2)
    rows = "".join(f"{path.relative_to(tmp_path)},{path.parent.name}\n" for path in sorted(tmp_path.rglob("*.png")))
    (tmp_path / "list.csv").write_text("path,label\n" + rows)
    assert data.open(tmp_path / "list.csv").channels == 3


def test_a_parquet_file_of_every_second_picture_in_color(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows: dict[str, list[object]] = {"image": [], "label": []}

    def save(name: str, image: Image.Image) -> None:
        file = io.BytesIO()
        image.save(file, "PNG")
        rows["image"].append(file.getvalue())
        rows["label"].append(name.split("/")[0])

    twins(save, 110)
    parquet.write_table(pyarrow.table(rows), tmp_path / "rows.parquet")
    assert data.open(tmp_path / "rows.parquet").channels == 3


def test_the_size_is_that_of_all_pictures(tmp_path: Path) -> None:
    for number in range(440):  # those that an even spacing of 200 would meet are small
        folder = tmp_path / CLASSES[number % 4 // 2]
        folder.mkdir(exist_ok=True)
        side = 24 if number % 2 == 0 and number < 400 else 100
        Image.new("L", (side, side), number % 256).save(folder / f"{number:03d}.png")
    assert data.open(tmp_path).size == 224


def test_of_very_many_pictures_a_random_sample_is_looked_at_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(name: str, image: Image.Image) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.save(tmp_path / name)

    monkeypatch.setattr(contents, "HEADERS", 30)
    twins(save, 20)
    source = data.open(tmp_path)
    assert source.channels == 3
    assert source.notes[-1] == "input size, shape and channels are those of 30 of 80 pictures, drawn at random"
    assert data.open(tmp_path) == source


def test_a_file_of_several_pages_is_named_wherever_it_lies(tmp_path: Path) -> None:
    for number in range(403):
        folder = tmp_path / CLASSES[number % 2]
        folder.mkdir(exist_ok=True)
        Image.new("L", (20, 20), number % 256).save(folder / f"{number:03d}.png")
    pages = [Image.new("L", (20, 20), level) for level in (3, 4)]
    pages[0].save(tmp_path / "moss" / "101.gif", save_all=True, append_images=pages[1:])
    assert "only the first frame or page of a file is read, such as that of moss/101.gif" in " ".join(
        data.open(tmp_path).notes
    )
