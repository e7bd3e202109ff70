"""What `fit` refuses, the doctor finds; and what the doctor finds no refusal in, `fit` trains on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import PennyweightError
from pennyweight.verbs.doctor import doctor

Draw = Callable[..., Path]
TEXT = b"no picture"


def break_all(root: Path, folder: str, *, keep: int = 0) -> None:
    """Make the pictures of a folder unreadable, but for the first."""
    for path in sorted((root / folder).rglob("*.png"))[keep:]:
        path.write_bytes(TEXT + path.name.encode())


def copy_all(root: Path, source: str, target: str) -> None:
    shutil.copytree(root / source, root / target, dirs_exist_ok=True)


def repeat(picture: Path) -> None:
    for name in "xyz":
        shutil.copy(picture, picture.with_name(f"{name}.png"))


def nothing(root: Path) -> None:
    """Leave it as it is."""


CASES: dict[str, tuple[dict[str, int], Callable[[Path], None], bool]] = {
    "sound": ({"a": 9, "b": 9}, nothing, True),
    "sound splits": ({"train/a": 4, "train/b": 4, "val/a": 2, "val/b": 2, "test/a": 2, "test/b": 2}, nothing, True),
    "a torn picture": ({"a": 9, "b": 9}, lambda root: break_all(root, "a", keep=8), True),
    "an empty class": ({"a": 9, "b": 9}, lambda root: (root / "c").mkdir(), False),
    "one class": ({"a": 9}, nothing, False),
    "no class": ({".": 9}, nothing, False),
    "nothing": ({}, nothing, False),
    "small classes": ({"a": 9, "b": 2, "c": 1}, nothing, False),
    "small classes of a split source": ({"train/a": 9, "train/b": 1, "val/a": 2}, nothing, False),
    "a class of text": ({"a": 9, "b": 9, "c": 9, "d": 9}, lambda root: break_all(root, "a"), False),
    "half of it text": ({"a": 9, "b": 9}, lambda root: [break_all(root, each, keep=4) for each in "ab"], False),
    "a test split of text": (
        {"train/a": 9, "train/b": 9, "test/a": 2, "test/b": 2}, lambda root: break_all(root, "test"), False,
    ),
    "a class that training has not": ({"train/a": 9, "train/b": 9, "test/c": 2}, nothing, False),
    "no training": ({"val/a": 9, "val/b": 9, "test/a": 2, "test/b": 2}, nothing, False),
    "loose pictures": ({"a": 9, "b": 9, ".": 1}, nothing, False),
    "test is training": (
        {"train/a": 4, "train/b": 4}, lambda root: copy_all(root, "train", "test"), False,
    ),
    "a dead class": ({"a": 9, "b": 9}, lambda root: (root / "c").symlink_to("/nowhere"), False),
    "a dead picture": ({"a": 9, "b": 9}, lambda root: (root / "a" / "x.png").symlink_to("/nowhere"), True),
    "folders of the same names": ({"x/a": 9, "x/b": 9, "y/a": 9, "y/b": 9}, nothing, False),
    "two trainings": ({"train/a": 9, "train/b": 9, "training/a": 9, "training/b": 9}, nothing, False),
    "a folder beside splits": ({"train/a": 9, "train/b": 9, "test/a": 2, "extra/a": 3}, nothing, False),
    "equal pictures only": (
        {"a": 1, "b": 9}, lambda root: repeat(next((root / "a").iterdir())), False,
    ),
}  # fmt: skip


class Trains(Exception):
    """`fit` has asked all it asks of a source."""


def reason_of(call: Callable[[], Any]) -> str | None:
    """Why it refuses; None where it does not."""
    try:
        call()
    except Trains:
        return None
    except PennyweightError as error:
        return str(error)
    return None


@pytest.mark.parametrize("case", CASES)
def test_the_doctor_finds_what_fit_refuses(
    draw_folder: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    counts, harm, trains = CASES[case]
    (tmp_path / "pets").mkdir()
    root = draw_folder(counts, side=16)
    harm(root)

    def stop(*arguments: Any, **options: Any) -> None:
        raise Trains

    monkeypatch.setattr(data.Balance, "of", stop)
    monkeypatch.chdir(tmp_path)
    refused = reason_of(lambda: pw.fit(root, "mobilenet_v1_x0_25", input_size=16, progress=False))
    assert (refused is None) == trains
    found: list[Any] = []
    stopped = reason_of(lambda: found.append(doctor(root, quick=True)))
    if stopped is not None:  # nothing to look at: the same line, and status 1
        assert stopped == refused
        return
    (found,) = found
    reasons = [finding.detail for finding in found.of("refused")]
    assert bool(reasons) == (refused is not None)
    assert refused is None or not found.sound
    assert refused is None or any(refused.startswith(reason[:60]) for reason in reasons)


def test_the_doctor_finds_a_class_of_one_burst_which_fit_refuses(
    tmp_path: Path, noise: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        for label, seed in (("burst", 0), ("others", number + 1)):
            folder = tmp_path / "pets" / label
            folder.mkdir(parents=True, exist_ok=True)
            shot = Image.fromarray(noise(72, 72, seed=seed)).crop((number % 5, number % 3, number % 5 + 64, 64))
            shot.save(folder / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    refused = reason_of(lambda: pw.fit(tmp_path / "pets", "mobilenet_v1_x0_25", input_size=16, progress=False))
    found = doctor(tmp_path / "pets")
    assert [each.detail for each in found.of("refused")] == [refused]
    assert refused is not None
    assert "--twins keep counts each" in refused
    assert not found.sound


def test_all_small_classes_are_named_at_once(draw_folder: Draw) -> None:
    root = draw_folder({"c1": 9, "c2": 9, "c3": 2, "c4": 2, "c5": 1})
    shutil.copy(next((root / "c1").iterdir()), root / "c2" / "copy.png")  # it goes on to look at everything else
    found = doctor(root)
    (finding,) = found.of("refused")
    assert all(name in finding.detail for name in ("'c3'", "'c4' (2)", "'c5' (1)"))
    assert found.of("two labels")
    assert not found.sound
