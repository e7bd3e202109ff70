"""Labels, splits and values of a data set are those that it gives, and not those of what it wraps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from pennyweight import data
from pennyweight.core.errors import SourceError
from pennyweight.data.given.pictures import as_picture
from pennyweight.data.given.rows import labels_of
from pennyweight.verbs.predict import _named

LETTERS = ("a", "b", "c", "d")
DRAW = np.random.default_rng(0)
ARRAYS = DRAW.integers(0, 256, (16, 9, 10, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("relabeled")
    for number, array in enumerate(ARRAYS):
        file = root / LETTERS[number % 4] / f"{number:02d}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(array).save(file)
    return root


class Halved(ImageFolder):
    def __getitem__(self, index: int) -> tuple[Any, int]:
        picture, label = super().__getitem__(index)
        return picture, label // 2


class Turned(torch.utils.data.Subset[Any]):
    def __getitem__(self, index: Any) -> tuple[Any, int]:
        picture, label = super().__getitem__(index)
        return picture, 3 - label

    def __getitems__(self, indices: list[int]) -> list[tuple[Any, int]]:
        return [self[index] for index in indices]


class Merged(torch.utils.data.Dataset[Any]):
    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        picture, label = self.dataset[index]
        return picture, label // 2


def test_a_folder_that_gives_other_labels_has_these(folder: Path) -> None:
    opened = data.open(Halved(str(folder)))
    assert len(opened.labels) == 2
    assert any("has no pictures of 2 of the 4 classes that it names" in note for note in opened.notes)


def test_a_part_that_gives_other_labels_has_these(folder: Path) -> None:
    plain = data.open(ImageFolder(str(folder)))
    turned = data.open(Turned(ImageFolder(str(folder)), range(16)))
    known = {sample.digest: plain.labels[sample.label] for sample in plain.samples}
    assert all(int(turned.labels[s.label]) == 3 - LETTERS.index(known[s.digest]) for s in turned.samples)


def test_a_wrapper_with_labels_of_its_own_has_no_names_of_what_it_wraps(folder: Path) -> None:
    opened = data.open(Merged(ImageFolder(str(folder))))
    assert opened.labels == ("0", "1")
    assert "classes are the labels that merged gives; its attribute `classes` would name them" in opened.notes


def test_a_split_column_of_a_hub_set_is_heeded() -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    parts = ["train"] * 12 + ["test"] * 4
    columns = {"image": [Image.fromarray(array) for array in ARRAYS], "label": list("ab") * 8, "split": parts}
    opened = data.open(datasets.Dataset.from_dict(columns))
    assert sorted(str(sample.split) for sample in opened.samples) == sorted(parts)


def test_floats_of_a_hub_set_are_refused() -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    given = datasets.Dataset.from_dict({"image": (ARRAYS[:4, :, :, 0] / 255).tolist(), "label": list("abab")})
    with pytest.raises(SourceError, match=r"holds float64, and a picture array is uint8 or uint16; .*np.uint8\(255"):
        data.open(given)


def test_channels_that_come_first_are_moved_or_refused() -> None:
    first = [np.ascontiguousarray(array.transpose(2, 0, 1)) for array in ARRAYS]
    opened = data.open((first, list("ab") * 8))
    assert opened.channels == 3
    assert any("its channels come first, and are moved" in note for note in opened.notes)
    with pytest.raises(SourceError, match=r"would be 10 bands of 3×9 pixels; .*x.transpose\(1, 2, 0\)"):
        data.open(([*first[:-1], first[-1][:, :8]], list("ab") * 8))


def test_labels_may_be_a_column_of_a_table() -> None:
    assert labels_of(pandas.DataFrame({"label": ["a", "b"]}), 2, "the labels") == ["a", "b"]


@pytest.mark.parametrize("missing", [None, float("nan"), pandas.NA, pandas.NaT])
def test_a_missing_picture_is_said(missing: Any) -> None:
    with pytest.raises(SourceError, match="it is no picture"):
        as_picture(missing, "it", Path())


def test_a_tensor_among_pictures_to_predict_is_left_to_the_line_that_mends_it() -> None:
    named = _named(torch.zeros(3, 9, 9), 0)
    assert isinstance(named.picture, torch.Tensor)  # type: ignore[union-attr]


def test_a_transform_that_is_called_by_name_is_left_out(folder: Path) -> None:
    class Named(torch.utils.data.Dataset[Any]):
        def __init__(self) -> None:
            self.transform: Any = lambda image: {"image": image * 0}

        def __len__(self) -> int:
            return 16

        def __getitem__(self, index: int) -> tuple[Any, int]:
            return self.transform(image=ARRAYS[index])["image"], index % 2

    opened = data.open(Named())
    assert {s.digest for s in opened.samples} == {s.digest for s in data.open((ARRAYS, list("ab") * 8)).samples}


def test_an_image_that_png_cannot_hold_is_decoded() -> None:
    images = [Image.fromarray(array).convert("P").convert("PA") for array in ARRAYS[:4]]
    assert len(data.open((images, list("abab"))).samples) == 4
