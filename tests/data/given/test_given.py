"""What programs have is a source, and the same pictures are the same source in every form."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from pennyweight import data
from pennyweight.core.errors import InputError, PennyweightError, SourceError
from pennyweight.data.given import items

NAMES = ("cat", "dog", "eel")
COUNT = 36


class Pictures:
    """Equal pictures as arrays, and as a folder of PNG files."""

    def __init__(self, root: Path) -> None:
        draw = np.random.default_rng(0)
        self.numbers: NDArray[np.int64] = np.arange(COUNT) % len(NAMES)
        self.arrays: NDArray[np.uint8] = draw.integers(0, 256, (COUNT, 9, 10, 3), dtype=np.uint8)
        self.arrays[9] = self.arrays[6]  # an equal one, of the same class
        self.labels = [NAMES[number] for number in self.numbers]
        self.folder = root / "animals"
        self.files = [self.folder / label / f"{place:02d}.png" for place, label in enumerate(self.labels)]
        for array, file in zip(self.arrays, self.files, strict=True):
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(file)
        self.images = [Image.fromarray(array) for array in self.arrays]
        self.contents = [file.read_bytes() for file in self.files]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    return Pictures(tmp_path_factory.mktemp("given"))


class MapStyle:
    """Data set of (picture, class) as torchvision has them."""

    def __init__(self, items: list[tuple[Any, int]], transform: Callable[[Any], Any] | None = None) -> None:
        self.items, self.transform, self.classes = items, transform, list(NAMES)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int) -> tuple[Any, int]:
        picture, label = self.items[number]
        return (self.transform(picture) if self.transform else picture), label


def map_style(p: Pictures, **options: Any) -> MapStyle:
    return MapStyle(list(zip(p.images, p.numbers.tolist(), strict=True)), **options)


def frame(p: Pictures) -> Any:
    import pandas

    return pandas.DataFrame({"filename": [str(file) for file in p.files], "label": p.labels, "age": 3})


def hub(p: Pictures, images: Any = None) -> Any:
    import datasets as hugging_face

    features = {"image": hugging_face.Image(), "label": hugging_face.ClassLabel(names=list(NAMES))}
    columns = {"image": p.images if images is None else images, "label": p.numbers.tolist()}
    return hugging_face.Dataset.from_dict(columns, features=hugging_face.Features(features))


FORMS: dict[str, Callable[[Pictures], Any]] = {
    "arrays": lambda p: (p.arrays, p.labels),
    "arrays in another order": lambda p: (p.arrays[::-1], p.labels[::-1]),
    "a list of arrays": lambda p: (list(p.arrays), np.array(p.labels)),
    "images": lambda p: (p.images, p.labels),
    "bytes": lambda p: (p.contents, p.labels),
    "paths": lambda p: (p.files, p.labels),
    "pairs": lambda p: [(str(file), label) for file, label in zip(p.files, p.labels, strict=True)],
    "pairs of arrays": lambda p: list(zip(p.arrays, p.labels, strict=True)),
    "records": lambda p: [{"image": f, "class": label} for f, label in zip(p.images, p.labels, strict=True)],
    "columns": lambda p: {"path": p.files, "label": p.labels},
    "DataFrame": frame,
    "a data set": map_style,
    "a data set with a transform": lambda p: map_style(p, transform=lambda image: torch.zeros(3)),
    "a subset of a data set": lambda p: torch.utils.data.Subset(map_style(p), range(COUNT)),  # type: ignore[arg-type]
    "two data sets": lambda p: torch.utils.data.ConcatDataset(
        [torch.utils.data.Subset(map_style(p), part) for part in (range(9), range(9, COUNT))]  # type: ignore[arg-type]
    ),
    "Hugging Face": hub,
    "Hugging Face's files": lambda p: hub(p, [str(file) for file in p.files]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_folder(form: str, pictures: Pictures) -> None:
    folder, given = data.open(pictures.folder), data.open(FORMS[form](pictures))
    assert given.labels == folder.labels == NAMES
    assert given.fingerprint == folder.fingerprint
    assert (given.size, given.channels) == (folder.size, folder.channels)
    ours, theirs = data.split(given), data.split(folder)
    for split in data.SPLITS:  # in this order they are shown
        assert [sample.digest for sample in ours[split]] == [sample.digest for sample in theirs[split]]
    assert ours.fingerprint == theirs.fingerprint
    assert data.is_passed(given.address)
    assert "no name opens them again" in given.notes[0]


def test_splits_of_a_program_are_those_of_folders(pictures: Pictures, tmp_path: Path) -> None:
    given: dict[str, Any] = {}
    for name, part in (("train", slice(0, 24)), ("test", slice(24, None))):
        for file, content in zip(pictures.files[part], pictures.contents[part], strict=True):
            place = tmp_path / name / file.parent.name / file.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        given[name] = pictures.arrays[part], pictures.labels[part]
    folder = data.open(tmp_path)
    parts: dict[str, Any] = {
        name: MapStyle(list(zip(arrays, [NAMES.index(label) for label in labels], strict=True)))
        for name, (arrays, labels) in given.items()
    }
    assert data.open(given).fingerprint == folder.fingerprint
    assert data.open(parts).fingerprint == folder.fingerprint
    assert [s.digest for s in data.split(data.open(parts)).train] == [s.digest for s in data.split(folder).train]


def test_a_number_of_eleven_classes_stands_where_its_folder_does(pictures: Pictures) -> None:
    given = data.open(
        (np.zeros((22, 4, 4), np.uint8) + np.arange(22, dtype=np.uint8)[:, None, None], np.arange(22) % 11)
    )
    assert given.labels == tuple(sorted(map(str, range(11))))


@pytest.mark.parametrize(
    "labels",
    [
        torch.arange(8) % 2,
        np.arange(8) % 2,
        np.arange(8)[:, None] % 2,
        (np.arange(8) % 2).astype(float),
        [f"{number % 2}" for number in range(8)],
        [b"0", b"1"] * 4,
        [np.int32(0), 1] * 4,
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_labels_of_any_kind_are_whole_numbers_or_names(labels: Any) -> None:
    images = np.zeros((8, 4, 4), np.uint8) + np.arange(8, dtype=np.uint8)[:, None, None]
    opened = data.open((images, labels))
    assert opened.labels == ("0", "1")
    assert [sample.label for sample in opened.samples] == [0, 1] * 4


def test_a_frame_takes_the_columns_that_are_named(pictures: Pictures) -> None:
    import pandas

    table = pandas.DataFrame(
        {
            "photo_of": [file.stem for file in pictures.files],
            "what": pictures.labels,
            "split": ["train"] * 24 + ["val"] * 6 + ["test"] * 6,
            "patient": [f"p{number // 3}" for number in range(COUNT)],
        }
    )
    table["photo_of"] = table["what"] + "/" + table["photo_of"]
    how = {"columns": {"path": "photo_of", "label": "what"}, "pictures": str(pictures.folder), "ending": "png"}
    opened = data.open(table, read_as=how, group_by="patient")
    assert len(opened.samples) == COUNT
    assert {sample.group for sample in opened.samples} == {f"p{number}" for number in range(12)}
    assert [sample.split for sample in opened.samples].count("val") == 6
    assert opened.read_as["columns"] == how["columns"]


def test_a_column_of_two_is_named(pictures: Pictures) -> None:
    table = {"image": pictures.images, "path": pictures.files, "label": pictures.labels, "species": pictures.labels}
    notes = " ".join(data.open(table).notes)
    assert "paths are those of the column 'image', not of path" in notes
    assert "labels are those of the column 'label', not of species; another is named by read_as=" in notes


def test_floats_are_converted_and_said(pictures: Pictures) -> None:
    given = data.open((pictures.arrays / np.float32(255), pictures.labels))
    assert given.fingerprint == data.open(pictures.folder).fingerprint
    assert any("values from 0 to 1 are read as the range 0..1" in note for note in given.notes)


def test_gray_and_many_bands() -> None:
    draw, labels = np.random.default_rng(0), ["a", "b"] * 4
    gray = draw.integers(0, 256, (8, 6, 6, 1), dtype=np.uint8)
    assert data.open((gray, labels)).channels == 1
    assert data.open((gray, labels)).fingerprint == data.open((gray[..., 0], labels)).fingerprint
    assert data.open((draw.integers(0, 256, (8, 6, 6, 7), dtype=np.uint8), labels)).channels == 7


def test_a_lost_file_is_named_and_left_out(pictures: Pictures, tmp_path: Path) -> None:
    given = data.open(([*pictures.files, tmp_path / "gone.png"], [*pictures.labels, "cat"]))
    assert len(given.samples) == COUNT
    assert [each.reason for each in given.unreadable] == [f"cannot read {tmp_path}/gone.png: No such file or directory"]


def test_pictures_beyond_the_memory_are_read_when_they_are_used(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "KEPT_BYTES", 1000)
    given = data.open(map_style(pictures))
    assert sum(isinstance(sample.picture, np.ndarray) for sample in given.samples) == 3
    assert given.fingerprint == data.open(pictures.folder).fingerprint
    assert (given.samples[-1].read() == pictures.arrays[-1]).all()


def test_a_jpeg_that_is_not_decoded_yet_is_its_file(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.jpg" for number in range(4)]
    for number, file in enumerate(files):
        Image.new("RGB", (9, 9), (number * 60, 9, 9)).save(file)
    labels, images = ["a", "a", "b", "b"], [Image.open(file) for file in files]
    assert data.open((images, labels)).fingerprint == data.open((files, labels)).fingerprint
    for image in images:
        image.close()


def twice() -> Any:
    import pandas

    return pandas.DataFrame([["a.png", "a", "b"]], columns=["path", "label", "label"])


def image_folder(p: Pictures, **options: Any) -> Any:
    from torchvision.datasets import ImageFolder

    return ImageFolder(str(p.folder), **options)


def test_parts_of_an_image_folder_are_its_files(pictures: Pictures) -> None:
    whole = image_folder(pictures, transform=lambda image: 1 / 0)
    parts = torch.utils.data.random_split(whole, [16, COUNT - 16])
    for source in (whole, torch.utils.data.ConcatDataset(parts)):
        opened = data.open(source)
        assert opened.fingerprint == data.open(pictures.folder).fingerprint
        assert all(isinstance(sample.picture, Path) for sample in opened.samples)


def test_a_loader_of_its_own_decides_the_pixels(pictures: Pictures) -> None:
    turned = data.open(
        image_folder(pictures, loader=lambda path: Image.open(path).transpose(Image.Transpose.ROTATE_90))
    )
    assert turned.fingerprint != data.open(pictures.folder).fingerprint


def test_names_without_pictures_and_of_another_order_are_said(pictures: Pictures) -> None:
    given = map_style(pictures)
    given.classes = ["zebra", "dog", "ant", "yak", "dog"]
    opened = data.open(given)
    assert opened.labels == ("ant", "dog (1)", "zebra")
    notes = " ".join(opened.notes)
    assert "has no pictures of 2 of the 5 classes that it names, such as yak" in notes
    assert "classes are in the order of their names, as of folders: mapstyle numbers them otherwise" in notes


X, Y = np.zeros((4, 8, 8, 3), np.uint8), [0, 1, 0, 1]
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "tensors": (
        lambda: (torch.zeros(4, 3, 8, 8), Y),
        r"images\.mul\(255\)\.round\(\)\.byte\(\)\.permute\(0, 2, 3, 1\)",
    ),
    "a tensor in a data set": (lambda: MapStyle([(torch.zeros(3, 8, 8), 0)] * 4), r"channels last: x\.mul\(255\)"),
    "one-hot labels": (lambda: (X, np.eye(4)), r"labels\.argmax\(1\)"),
    "more labels": (lambda: (X, [0, 1, 0]), "4 pictures and 3 labels; each picture needs one"),
    "no labels": (lambda: X, r"has no labels; pass \(images, labels\)"),
    "a list of pictures": (lambda: ["a.png", "b.png"], r"a list without labels was passed; a program passes \(images"),
    "nothing": (list, "an empty list without labels"),
    "no pictures": (lambda: (X[:0], []), r"is uint8 \(0, 8, 8, 3\)"),
    "an empty mapping": (dict, "an empty dict without labels"),
    "NaN": (lambda: (np.full((4, 8, 8), np.nan), Y), "holds values from nan to nan"),
    "floats beyond white": (lambda: (np.full((4, 8, 8), -1.0), Y), "save it as uint8"),
    "a missing label": (lambda: (X, ["a", None, "b", "b"]), r"number 1 of the labels of .* has no label"),
    "NaN as label": (lambda: (X, [0, float("nan"), 1, 1]), "number 1 of the labels of .* has no label"),
    "half a label": (
        lambda: (X, [0, 0.5, 1, 1]),
        "number 1 of the labels .* is 0.5; a label is a text or a whole number",
    ),
    "several labels": (lambda: (X, [[0, 1]] * 4), "a picture has one class"),
    "one class": (lambda: (X, [0] * 4), "needs at least two classes"),
    "ragged floats": (
        lambda: ([np.zeros((3, 3)), np.zeros((4, 4))], [0, 1]),
        r"picture 0 of .* is float64; a picture array is uint8 or uint16: np\.uint8\(255 \* x\)",
    ),
    "pairs of splits": (lambda: ((X, np.array(Y)), (X, np.array(Y))), r"\{'train': \(x_train, y_train\), 'test'"),
    "an unknown split": (lambda: {"train": (X, Y), "extra": (X, Y)}, "'extra' is no split; keep train, val and test"),
    "a table without pictures": (lambda: {"label": Y, "size": Y}, "pictures need one of image, .*read_as="),
    "a table without labels": (lambda: {"image": list(X), "size": Y}, "labels need one of label, .*read_as="),
    "unequal columns": (lambda: {"image": list(X), "label": [0]}, "columns of unequal lengths: image 4, label 1"),
    "a loader": (lambda: torch.utils.data.DataLoader(MapStyle([])), r"pass its data set: loader\.dataset"),  # type: ignore[arg-type]
    "an iterator": (lambda: iter([]), r"a list_iterator was passed; .*: list\(…\) makes a list"),
    "a list of both": (lambda: [X, Y], r"pass a tuple: \(images, labels\)"),
    "a class's pictures": (lambda: {"a": ["a.png"], "b": ["b.png"]}, r"make \[\(path, name\) for name, paths in"),
    "one-hot columns": (
        lambda: {"image": list(X), "cat": [1, 0, 1, 0], "dog": [0, 1, 0, 1]},
        r"one-hot labels, .* table\['label'\] = table\[\['cat', 'dog'\]\]\.idxmax\(axis=1\)",
    ),
    "two of one split": (lambda: {"val": (X, Y), "validation": (X, Y)}, "two keys mean the split val"),
    "a column twice": (twice, "the DataFrame has two columns 'label'; rename one of them"),
    "items of three": (
        lambda: Three([]),
        r"is 3 values; an item is \(picture, label\)",
    ),
    "random pictures": (lambda: Random([]), "item 0 of random is another one each time; leave out its random changes"),
    "a class outside the names": (
        lambda: MapStyle([(X[0], 0), (X[1], 7)]),
        "hold 7, and there are names for 0 to 2 only",
    ),
    "a number": (lambda: 5, "a source is a path or a name, such as digits, not int 5"),
    "bytes": (lambda: b"x", "not bytes b'x'"),
}


class Three(MapStyle):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, number: int) -> Any:
        return 1, 2, 3


class Random(Three):
    def __getitem__(self, number: int) -> Any:
        return np.random.default_rng().integers(0, 256, (8, 8), dtype=np.uint8), number % 2


def test_a_transform_that_is_not_optional_is_left_out_too(pictures: Pictures) -> None:
    class Always(MapStyle):
        def __getitem__(self, number: int) -> tuple[Any, int]:
            return self.transform(self.items[number][0]), self.items[number][1]  # type: ignore[misc]

    given = data.open(Always(map_style(pictures).items, lambda image: torch.zeros(3)))
    assert given.fingerprint == data.open(pictures.folder).fingerprint
    assert any("is read without its transform" in note for note in given.notes)


def test_a_method_of_that_name_stays(pictures: Pictures) -> None:
    class Own(MapStyle):
        def __init__(self, items: list[tuple[Any, int]]) -> None:
            self.items, self.classes = items, list(NAMES)

        def transform(self, image: Image.Image) -> Image.Image:  # type: ignore[override]
            return image

    assert data.open(Own(map_style(pictures).items)).fingerprint == data.open(pictures.folder).fingerprint


class Failing(MapStyle):
    def __getitem__(self, number: int) -> tuple[Any, int]:
        if number == 7:
            raise ValueError("the record is damaged")
        return super().__getitem__(number)


def test_an_item_that_cannot_be_read_is_named(pictures: Pictures) -> None:
    with pytest.raises(SourceError, match=r"^cannot read item 7 of failing: the record is damaged$"):
        data.open(Failing(map_style(pictures).items))


def test_a_cell_without_a_picture_is_left_out(pictures: Pictures) -> None:
    images: list[Any] = list(pictures.images)
    images[4] = None
    opened = data.open(hub(pictures, images))
    assert len(opened.samples) == COUNT - 1
    assert [each.reason for each in opened.unreadable] == [
        "cannot read picture 4 of dataset: picture 4 of dataset is no picture; a picture is a path, an open file or "
        "its bytes, an array or a Pillow image"
    ]


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_source_is_refused_with_what_mends_it(kind: str) -> None:
    make, message = REFUSED[kind]
    with pytest.raises(PennyweightError, match=message) as refused:
        data.open(make())
    assert "\n" not in str(refused.value)


def test_what_a_program_passed_is_not_opened_by_its_address(pictures: Pictures) -> None:
    address = data.open((pictures.arrays, pictures.labels)).address
    with pytest.raises(SourceError, match="were passed by a program, and no name opens them again: pass them again"):
        data.open(address)


def test_options_of_tables_are_refused_for_arrays(pictures: Pictures) -> None:
    with pytest.raises(InputError, match=r"^columns belongs to a table or a folder, which what was passed is not$"):
        data.open((pictures.arrays, pictures.labels), read_as={"columns": {"label": "what"}})


def test_the_pixels_of_other_modes_are_kept() -> None:
    draw = np.random.default_rng(0)
    images = [Image.fromarray(draw.integers(0, 256, (5, 5, 4), dtype=np.uint8)) for _ in range(4)]
    given = data.open((images, Y))
    content = io.BytesIO()
    images[0].save(content, "PNG", compress_level=1)
    assert given.channels == 3  # transparency is laid on white, as that of files
    assert given.samples[0].digest == data.open(([content.getvalue()] * 4, Y)).samples[0].digest
    palettes = data.open(([image.convert("P") for image in images], Y))
    assert len(palettes.samples) == 4
