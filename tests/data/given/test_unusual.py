"""Programs of many kinds: what they hold is taken, or refused with the line that mends it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow
import pytest
import torch
from PIL import Image

from pennyweight import data
from pennyweight.core.errors import SourceError

X = np.random.default_rng(0).integers(0, 256, (8, 9, 10, 3), dtype=np.uint8)
Y, N = list("ab") * 4, [0, 1] * 4


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("pictures of mine")
    for number, array in enumerate(X):
        Image.fromarray(array).save(root / f"{number}.png")
    return sorted(root.iterdir())


class Items(torch.utils.data.Dataset[Any]):
    def __init__(self, items: Iterable[Any], **attributes: Any) -> None:
        self.items = list(items)
        self.__dict__ |= attributes

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int) -> Any:
        return self.items[number]


def named(**attributes: Any) -> Items:
    return Items(zip(X, N, strict=True), **attributes)


def of_archive(files: list[Path]) -> Any:
    packed = zipfile.ZipFile(io.BytesIO(), "w")
    for file in files:
        packed.write(file, file.name)
    return [packed.open(file.name) for file in files], Y


class Upload:
    """File of a web framework, of which no more than `read` is known."""

    def __init__(self, file: Path) -> None:
        self.read = file.read_bytes


TAKEN: dict[str, Callable[[list[Path]], Any]] = {
    "streams of bytes": lambda files: ([io.BytesIO(file.read_bytes()) for file in files], Y),
    "members of an archive": of_archive,
    "uploads": lambda files: (list(map(Upload, files)), Y),
    "open files in a table": lambda files: {"image": [io.BytesIO(file.read_bytes()) for file in files], "label": Y},
    "addresses of files": lambda files: pandas.DataFrame({"path": [file.as_uri() for file in files], "label": Y}),
    "an index of texts": lambda files: pandas.DataFrame(
        {"path": list(map(str, files)), "label": Y}, index=list("hgfedcba")
    ),
    "categories": lambda files: pandas.DataFrame({"path": list(map(str, files)), "label": pandas.Categorical(Y)}),
    "columns of a series": lambda files: (pandas.Series(list(map(str, files))), pandas.Series(Y)),
    "an array of objects": lambda files: (np.array([*X, None], dtype=object)[:8], Y),
    "names in a mapping": lambda files: named(classes={0: "a", 1: "b"}),
    "numbers in a mapping": lambda files: named(classes={"b": 1, "a": 0}),
    "class_to_idx alone": lambda files: named(class_to_idx={"b": np.int64(1), "a": np.int64(0)}),
    "names in an array": lambda files: named(classes=np.array(["a", "b"])),
    "labels of shape (1,)": lambda files: Items(
        ((x, np.array([n])) for x, n in zip(X, N, strict=True)), classes=["a", "b"]
    ),
    "labels as tensors": lambda files: Items(
        ((x, torch.tensor([n])) for x, n in zip(X, N, strict=True)), classes=["a", "b"]
    ),
    "a stack of data sets": lambda files: torch.utils.data.StackDataset(list(X), Y),
    "generators": lambda files: ((x for x in X), iter(Y)),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_it_is_the_same_source(kind: str, files: list[Path]) -> None:
    opened = data.open(TAKEN[kind](files))
    assert opened.labels == ("a", "b")
    assert opened.fingerprint == data.open((X, Y)).fingerprint


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a stream at its end": (
        lambda: ([io.BytesIO()] * 2, Y[:2]),
        r"picture 0 of .* is an open file with nothing left to read; .*file\.seek\(0\)",
    ),
    "a stream of text": (lambda: ([io.StringIO("x")] * 2, Y[:2]), r"picture 0 .* is open as text, .*open\(…, 'rb'\)"),
    "an address": (
        lambda: {"path": ["https://example.org/a.png"] * 2, "label": Y[:2]},
        r"row 0 .* is the address https://example\.org/a\.png; download the file, or pass its bytes",
    ),
    "masked values": (lambda: (np.ma.masked_less(X, 9), Y), r"masked values, .*: images\.filled\(0\)"),
    "no length": (lambda: Lengthless(), "cannot read the length of lengthless: integer division"),
    "arrays in a mapping": (lambda: {"images": X, "labels": Y}, r"arrays are passed as \(images, labels\)"),
    "a lazy table": (lambda: Lazy(), r"a Lazy has not been computed; pass its table: source\.collect\(\)"),
    "arrays as labels": (lambda: (["a"] * len(X), X), r"is array\(\[\[\[.*; a picture has one class"),
    "a reader of batches": (
        lambda: pyarrow.table({"path": ["a"]}).to_reader(),
        r"pass the whole one: source\.read_all",
    ),
    "a stream of Hugging Face": (lambda: Streaming(), r"a Streaming was passed; .*: list\(…\) makes a list"),
}


class Lengthless:
    def __len__(self) -> int:
        return 1 // 0

    def __getitem__(self, number: int) -> Any:
        return X[0], 0


class Lazy:
    schema: Any = None

    def collect(self) -> Any: ...


class Streaming:
    features: Any = None
    column_names = ("image", "label")

    def __getitem__(self, name: str) -> Any: ...
    def __iter__(self) -> Any: ...


@pytest.mark.parametrize("kind", REFUSED)
def test_it_is_refused_with_what_mends_it(kind: str) -> None:
    make, message = REFUSED[kind]
    with pytest.raises(SourceError, match=message) as refused:
        data.open(make())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("classes", [{"a", "b"}, 2, {0: "a", 2: "b"}])
def test_classes_that_name_no_numbers_are_said(classes: Any) -> None:
    opened = data.open(named(classes=classes))
    assert opened.labels == ("0", "1")
    said = f"the classes of items, {type(classes).__name__}, do not name its numbers: a list of names does"
    assert said in opened.notes
