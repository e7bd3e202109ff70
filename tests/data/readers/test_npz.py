"""Arrays are taken for what they surely are, which is said, or refused with what mends them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pennyweight import data
from pennyweight.core.errors import SourceError

DRAW = np.random.default_rng(0)
PICTURES = DRAW.integers(0, 255, (30, 12, 10, 3), dtype=np.uint8)
LABELS = np.arange(30) % 3


def opened(folder: Path, **arrays: Any) -> data.Source:
    np.savez(folder / "set.npz", **arrays)
    return data.open(folder / "set.npz")


# Case -> images as they are saved, as they should be read, words of the note.
IMAGES: dict[str, tuple[Any, Any, str]] = {
    "channels last": (PICTURES, PICTURES, ""),
    "grey": (PICTURES[..., 0], PICTURES[..., 0], ""),
    "channels first": (PICTURES.transpose(0, 3, 1, 2), PICTURES, "images is (30, 3, 12, 10): its channels come first"),
    "grey first": (PICTURES[:, None, ..., 0], PICTURES[..., :1], "its channels come first"),
    "floats in 0..1": (PICTURES / 255, PICTURES, "float64 values from 0 to 0.996078 are read as the range 0..1"),
    "floats in 0..255": (PICTURES.astype(np.float32), PICTURES, "from 0 to 254 are read as the range 0..255"),
    "int64": (PICTURES.astype(np.int64), PICTURES, "int64 values from 0 to 254 are read as the range 0..255"),
    "bool": (PICTURES > 90, (PICTURES > 90) * np.uint8(255), "bool values from 0 to 1 are read as the range 0..1"),
    "uint16": (PICTURES.astype(np.uint16) * 9, PICTURES.astype(np.uint16) * 9, ""),
    "uint16 of another byte order": ((PICTURES.astype(np.uint16) * 9).astype(">u2"), PICTURES * np.uint16(9), ""),
    "int32 of 16 bits": (PICTURES.astype(np.int32) * 9, PICTURES * np.uint16(9), "as the range 0..65535"),
    "bands": (DRAW.integers(0, 255, (30, 9, 9, 7), dtype=np.uint8), None, ""),
}


@pytest.mark.parametrize("case", IMAGES)
def test_pictures_are_taken_for_what_they_are(tmp_path: Path, case: str) -> None:
    saved, expected, note = IMAGES[case]
    expected = saved if expected is None else expected
    source = opened(tmp_path, images=saved, labels=LABELS)
    found = np.stack([sample.picture for sample in source.samples])
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)
    assert source.channels == (1 if expected.ndim == 3 else expected.shape[3])
    assert source.wide == (30 if expected.dtype == np.uint16 else 0)
    assert (len(source.notes) == 1 and note in source.notes[0]) if note else not source.notes


REFUSED: dict[str, tuple[Any, str]] = {
    "square bands first": (np.zeros((30, 13, 64, 64), np.uint8), r"if its channels come first, save np\.transpose"),
    "pictures last": (
        PICTURES[:, :10].transpose(1, 2, 3, 0),
        r"come last; save np\.transpose\(images, \(3, 0, 1, 2\)\)",
    ),
    "flat": (np.zeros((30, 3072), np.uint8), r"images\.reshape\(-1, 32, 32, 3\)"),
    "flat of no known sides": (np.zeros((30, 3071), np.uint8), "HEIGHT, WIDTH, CHANNELS"),
    "around zero": (PICTURES / 127.5 - 1, "values from -1 to"),
    "no numbers": (np.full(PICTURES.shape, np.nan), "values from nan"),
    "fractions above 255": (PICTURES * 2.5, "floats are in 0..1 or in 0..255"),
    "too large": (PICTURES.astype(np.int64) * 300, "to 76200"),
    "complex": (PICTURES.astype(np.complex64), "pictures are numbers"),
    "no pixels": (PICTURES[:0], "pictures are uint8"),
    "objects": (np.array([{}] * 30), "holds Python objects, which can run code"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_pictures_of_which_nobody_knows_are_refused(tmp_path: Path, case: str) -> None:
    saved, said = REFUSED[case]
    with pytest.raises(SourceError, match=said) as caught:
        opened(tmp_path, images=saved, labels=LABELS[: len(saved)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (LABELS, ("0", "1", "2")),
        (LABELS[:, None], ("0", "1", "2")),
        (LABELS[None], ("0", "1", "2")),
        (LABELS.astype(np.float32), ("0", "1", "2")),
        (np.array(["a", "b", "c"])[LABELS], ("a", "b", "c")),
        (np.array([b"a", b"b", b"c"])[LABELS], ("a", "b", "c")),
    ],
)
def test_labels_in_any_shape(tmp_path: Path, labels: Any, names: tuple[str, ...]) -> None:
    source = opened(tmp_path, images=PICTURES, labels=labels)
    assert source.labels == names
    assert [sample.label for sample in source.samples] == LABELS.tolist()
    assert not source.notes


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float64])
def test_one_hot_labels_are_named_as_such(tmp_path: Path, kind: Any) -> None:
    source = opened(tmp_path, images=PICTURES, labels=np.eye(3, dtype=kind)[LABELS])
    assert [sample.label for sample in source.samples] == LABELS.tolist()
    assert source.notes == ("labels is one-hot, (30, 3): the class of a picture is the index of its column",)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.eye(3)[LABELS] * 0.9 + 0.03, r"not one-hot.* save np\.argmax\(labels, axis=1\)"),
        (np.ones((30, 3)), "not one-hot"),
        (LABELS + 0.5, "holds 0.5; a label is a whole number or a name"),
        (np.where(LABELS == 1, np.nan, LABELS), "holds nan"),
        (LABELS[:20], r"30 pictures and labels of shape \(20,\)"),
        (LABELS.astype("M8[D]"), "a label is a whole number or a name"),
    ],
)
def test_labels_that_are_no_classes_are_refused(tmp_path: Path, labels: Any, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        opened(tmp_path, images=PICTURES, labels=labels)


def test_keys_of_the_field_and_what_is_left(tmp_path: Path) -> None:
    arrays = {"X_train": PICTURES, "Y_train": LABELS, "X_test": PICTURES[:6], "ids": LABELS}
    source = opened(tmp_path, **arrays, class_names=np.array(["ant", "bee", "cat"]))
    assert source.labels == ("ant", "bee", "cat")
    assert source.notes == ("skipped the arrays X_test, ids, which are not pictures with labels",)
    with pytest.raises(SourceError, match="images and x, which mean the same"):
        opened(tmp_path, images=PICTURES, x=PICTURES, labels=LABELS)
    with pytest.raises(SourceError, match=r"has the arrays arr_0, arr_1; .* np\.savez\(file, images="):
        opened(tmp_path, arr_0=PICTURES, arr_1=LABELS)


def test_parts_of_two_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="x_train uint8 and x_test float64; save both as uint8"):
        opened(tmp_path, x_train=PICTURES, y_train=LABELS, x_test=PICTURES / 255, y_test=LABELS)
