"""Pictures and labels that a program passes are the same at every look, or the source is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pennyweight import data
from pennyweight.core.errors import SourceError
from pennyweight.data.given import items

DRAW = np.random.default_rng(0)
ARRAYS = DRAW.integers(0, 256, (40, 9, 10, 3), dtype=np.uint8)
Y = list("ab") * 20


class Changing(torch.utils.data.Dataset[Any]):
    """Data set that changes one thing at the second look at an item, and gives it in one of three kinds."""

    def __init__(self, what: str, kind: str = "array") -> None:
        self.what, self.kind, self.looks = what, kind, dict.fromkeys(range(len(ARRAYS)), 0)

    def __len__(self) -> int:
        return len(ARRAYS)

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        array, label, again = ARRAYS[number], number % 2, self.looks[number] > 0
        self.looks[number] += 1
        changed = again and {"the last": number == 39, "all but the first": number > 0}.get(self.what, True)
        if changed and self.what == "labels":
            label = 1 - label
        elif changed:
            array = array[:, ::-1]
        image = Image.fromarray(array)
        return {"array": array, "image": image, "transparent": image.convert("RGBA")}[self.kind], label


@pytest.mark.parametrize("kind", ["array", "image", "transparent"])
@pytest.mark.parametrize("what", ["the last", "all but the first", "all", "labels"])
def test_items_that_change_are_refused(what: str, kind: str) -> None:
    with pytest.raises(SourceError, match=r"^item \d+ of changing is another one each time; leave out its random"):
        data.open(Changing(what, kind))


def test_an_item_that_is_read_later_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the memory that is kept, pictures are read again in training."""
    monkeypatch.setattr(items, "KEPT_BYTES", 3000)

    class Late(Changing):
        def __getitem__(self, number: int) -> tuple[Any, int]:
            array, label = ARRAYS[number].copy(), number % 2
            self.looks[number] += 1
            return (array + np.uint8(self.looks[number] > 9)), label

    opened = data.open(Late("all"))
    later = [sample for sample in opened.samples if not isinstance(sample.picture, np.ndarray)]
    assert later
    assert np.array_equal(later[0].read(), ARRAYS[int(later[0].name)])
    data_set = later[0].picture.dataset  # type: ignore[union-attr]
    data_set.looks = dict.fromkeys(data_set.looks, 9)
    with pytest.raises(SourceError, match="is another one each time"):
        later[0].read()


def test_pictures_that_a_program_changes_afterwards_are_refused() -> None:
    arrays = ARRAYS.copy()
    opened = data.open((arrays, Y))
    data.require_unchanged(opened)
    arrays[:] = 0
    with pytest.raises(SourceError, match="is another picture than when it was passed; pass a copy"):
        data.require_unchanged(opened)


def test_files_of_a_table_that_change_afterwards_are_refused(tmp_path: Path) -> None:
    import pandas

    files = [tmp_path / f"{number}.png" for number in range(6)]
    for file, array in zip(files, ARRAYS, strict=False):
        Image.fromarray(array).save(file)
    opened = data.open(pandas.DataFrame({"path": list(map(str, files)), "label": Y[:6]}))
    files[0].unlink()
    data.require_unchanged(opened)  # reading the pictures tells of it
    Image.fromarray(ARRAYS[9]).save(files[-1])
    with pytest.raises(SourceError, match=r"5\.png is another picture than when it was passed"):
        data.require_unchanged(opened)


def test_sources_with_a_name_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data.Sample, "read", lambda self: 1 / 0)
    data.require_unchanged(data.open("digits"))


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, [0]), (2, [0, 1]), (15, [0, 2, 4, 6, 8, 10, 12, 14])])
def test_looks_are_spread(count: int, expected: list[int]) -> None:
    assert items.evenly(count, 8) == expected
