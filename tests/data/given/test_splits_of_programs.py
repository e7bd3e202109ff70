"""A dict of splits is read as one source: one order of classes, one range of values, one kind of pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from pennyweight import data
from pennyweight.core.errors import SourceError

DRAW = np.random.default_rng(0)
X = DRAW.integers(0, 256, (12, 9, 10, 3), dtype=np.uint8)
DARK = DRAW.integers(0, 2, (6, 9, 10, 3)).astype(np.float64)
Y = list("ab") * 6


class Named(torch.utils.data.Dataset[Any]):
    """Data set that numbers its classes by a list of its own."""

    def __init__(self, arrays: Any, labels: list[str], classes: list[str]) -> None:
        self.arrays, self.classes = arrays, classes
        self.numbers = [classes.index(label) for label in labels]

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, number: int) -> tuple[Any, int]:
        return self.arrays[number], self.numbers[number]


class Wrapped(torch.utils.data.Dataset[Any]):
    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> tuple[Any, int]:
        picture, label = self.dataset[number]
        return picture, int(label)


def hub(arrays: Any, labels: list[str], names: list[str]) -> Any:
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    columns = {"image": list(map(Image.fromarray, arrays)), "label": [names.index(label) for label in labels]}
    return datasets.Dataset.from_dict(columns, features=features)


def folder(root: Path, *classes: str) -> ImageFolder:
    for place, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(X[(3 * place + number) % 12] + len(root.name)).save(root / name / f"{number}.png")
    return ImageFolder(str(root))


def expected() -> data.Source:
    return data.open({"train": (X[:6], Y[:6]), "test": (X[6:], Y[6:])})


ALIKE: dict[str, Callable[[], Any]] = {
    "floats of one range": lambda: {"train": (X[:6] / 255, Y[:6]), "test": (X[6:] / 255, Y[6:])},
    "floats of one range, in lists": lambda: {"train": (list(X[:6] / 255), Y[:6]), "test": (list(X[6:] / 255), Y[6:])},
    "channels first in one": lambda: {"train": (X[:6].transpose(0, 3, 1, 2), Y[:6]), "test": (X[6:], Y[6:])},
    "other orders of classes": lambda: {
        "train": Named(X[:6], Y[:6], ["b", "a"]),
        "test": Named(X[6:], Y[6:], ["x", "a", "b"]),
    },
    "other orders of a hub set's classes": lambda: {
        "train": hub(X[:6], Y[:6], ["b", "a"]),
        "validation": hub(X[6:], Y[6:], ["a", "b"]),
    },
}


@pytest.mark.parametrize("kind", ALIKE)
def test_splits_of_one_meaning_are_one_source(kind: str) -> None:
    opened = data.open(ALIKE[kind]())
    assert opened.labels == ("a", "b")
    assert {(s.digest, s.label) for s in opened.samples} == {(s.digest, s.label) for s in expected().samples}


def test_a_dark_split_has_the_range_of_the_others() -> None:
    """Alone, its values up to 1 would be read as white."""
    given = {"train": (X[:6].astype(float), Y[:6]), "test": (np.zeros((2, 9, 10, 3)), Y[:2])}
    opened = data.open(given)
    assert max(sample.read().max() for sample in opened.samples if sample.split == "train") == X[:6].max()
    assert any("train, test: float64 values from 0 to 255 are read as the range 0..255" in n for n in opened.notes)


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "unlike ranges": (
        lambda root: {"train": (X / 1.0, Y), "test": (DARK, Y[:6])},
        "test of the dict of splits holds values up to 1 and train up to 255, which are unlike ranges; save both",
    ),
    "unlike ranges of integers": (
        lambda root: {"train": (X.astype(int), Y), "test": (X[:6].astype(int) * 257, Y[:6])},
        "train of the dict of splits holds values up to 255 and test up to 65535",
    ),
    "unlike types": (
        lambda root: {"train": (X, Y), "test": (X[:6] / 255, Y[:6])},
        "the dict of splits holds train uint8 and test float64; save both as uint8",
    ),
    "unlike types in data sets": (
        lambda root: {"train": Named(X, Y, ["a", "b"]), "test": Named(X[..., 0].astype(np.uint16), Y, ["a", "b"])},
        "pictures of unlike kinds: train arrays of uint8, test arrays of uint16; convert them alike",
    ),
    "unlike bands": (
        lambda root: {"train": (np.dstack([X.T] * 3).T, Y), "test": (DRAW.integers(0, 9, (4, 9, 10, 7), "u1"), Y[:4])},
        "pictures of unlike kinds: .*test pictures of 7 bands",
    ),
    "names and numbers": (
        lambda root: {"train": (X, Y), "test": (X[:6], [0, 1] * 3)},
        "test has the class 0 and train has a, b, …: one numbers classes and the other names them",
    ),
    "numbers and names": (
        lambda root: {"train": (X, [0, 1] * 6), "test": Named(X[:6], Y[:6], ["a", "b"])},
        "test has the class a and train has 0, 1, …: one numbers classes",
    ),
    "numbers of unlike folders": (
        lambda root: {
            "train": Wrapped(folder(root / "train", "a", "b", "c")),
            "test": Wrapped(folder(root / "test", "b", "c")),
        },
        "train and test number their classes by unlike lists, a, b, c, … and b, c, …, so a number means two classes",
    ),
    "joined folders of unlike classes": (
        lambda root: torch.utils.data.ConcatDataset([folder(root / "one", "a", "b"), folder(root / "two", "b", "c")]),
        "parts of the ConcatDataset number unlike classes, a, b and b, c, so a number means two classes",
    ),
    "names of folders": (
        lambda root: {"train": "photos/train", "test": "photos/test"},
        "'train' of the dict of splits is the text 'photos/train'; a folder with .* is passed by its own path",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_splits_of_unlike_meanings_are_refused(kind: str, tmp_path: Path) -> None:
    make, message = REFUSED[kind]
    with pytest.raises(SourceError, match=message) as refused:
        data.open(make(tmp_path))
    assert "\n" not in str(refused.value)


def test_columns_of_unlike_names_are_said() -> None:
    given = {"train": {"image": list(X), "species": Y}, "test": {"image": list(X[:6] + 1), "label": Y[:6]}}
    said = "labels are from unlike columns: of train those of 'species' and of test those of 'label'"
    assert said in data.open(given).notes


def test_an_archive_of_arrays_of_unlike_ranges_is_refused(tmp_path: Path) -> None:
    arrays = {"train_images": X / 255, "test_images": X[:6].astype(float)}
    np.savez(tmp_path / "set.npz", train_labels=[0, 1] * 6, test_labels=[0, 1] * 3, **arrays)
    with pytest.raises(SourceError, match=r"train_images of .* holds values up to 1 and test_images up to 255"):
        data.open(tmp_path / "set.npz")
