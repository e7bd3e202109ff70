"""Links and pipes in a folder of pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pennyweight import data
from pennyweight.core.errors import SourceError

Draw = Callable[..., Path]


def test_linked_folders_are_followed_but_not_back(draw_folder: Draw, tmp_path: Path) -> None:
    root, other = draw_folder({"cats": 3, "dogs": 3}), draw_folder({"more": 2}, name="other", first=10)
    (root / "cats" / "linked").symlink_to(other / "more")
    (other / "more" / "again").symlink_to(root / "cats")
    (root / "dogs" / "all").symlink_to(root)
    source = data.open(root)
    assert source.count_by_label() == {"cats": 5, "dogs": 3}
    assert source.notes == ("skipped 2 links to folders that are read already, such as cats/linked/again and dogs/all",)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_among_pictures_is_named_and_not_waited_for(draw_folder: Draw) -> None:
    root = draw_folder({"cats": 3, "dogs": 3})
    os.mkfifo(root / "cats" / "pipe.png")
    source = data.open(root)
    assert len(source.samples) == 6
    assert [each.name for each in source.unreadable] == ["cats/pipe.png"]


def test_a_class_of_which_nothing_can_be_opened_is_named(draw_folder: Draw) -> None:
    root = draw_folder({"cats": 3, "dogs": 3})
    (root / "birds").mkdir()
    (root / "birds" / "1.png").symlink_to("nowhere.png")
    with pytest.raises(SourceError, match=r"class 'birds' of pets has no picture that can be read.*birds/1\.png"):
        data.open(root)
