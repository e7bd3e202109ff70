"""The one walk over folders of pictures, and what it says of what it passed over."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from pennyweight.core import walk as module
from pennyweight.core.walk import Walk


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """`tree("a/1.jpg", "b/")`: empty files, and folders where the name ends in a slash."""

    def make(*names: str, root: str = "tree") -> Path:
        for name in names:
            path = tmp_path / root / name
            (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
            if not name.endswith("/"):
                path.touch()
        return tmp_path / root

    return make


def walked(root: Path) -> tuple[list[str], Walk]:
    walk = Walk(root)
    return [path.relative_to(root).as_posix() for path in walk.pictures()], walk


def test_the_order_is_by_name_files_before_folders(tree: Callable[..., Path]) -> None:
    root = tree("b/2.png", "b/1.PNG", "a/c/1.jpg", "z.jpg", "a/9.jpg", "B.jpeg")
    names, walk = walked(root)
    assert names == ["B.jpeg", "z.jpg", "a/9.jpg", "a/c/1.jpg", "b/1.PNG", "b/2.png"]
    assert walk.notes() == ()
    assert walk.lost == []


@pytest.mark.parametrize(
    "system",
    ["@eaDir", "__MACOSX", "$RECYCLE.BIN", "lost+found", "System Volume Information", ".ipynb_checkpoints",
     ".Spotlight-V100", "#recycle", "@Recycle", ".Trash-1000", "$Recycle.Bin", "__macosx"],
)  # fmt: skip
@pytest.mark.parametrize("above", ["", "a/", "a/b/"])
def test_system_folders_are_no_data_and_said_once(tree: Callable[..., Path], system: str, above: str) -> None:
    names, walk = walked(tree("a/1.jpg", "a/b/2.jpg", f"{above}{system}/3.jpg", f"{above}{system}/x/4.jpg"))
    assert names == ["a/1.jpg", "a/b/2.jpg"]
    assert walk.notes() == (f"skipped 1 system folder, such as {above}{system}",)


def test_what_systems_write_among_pictures_is_passed_over(tree: Callable[..., Path]) -> None:
    names, walk = walked(tree("a/1.jpg", "a/._1.jpg", "a/.DS_Store", "a/Thumbs.db", "a/desktop.ini", ".gitignore"))
    assert names == ["a/1.jpg"]
    assert walk.notes() == ()


def test_a_system_folder_that_is_asked_for_is_walked(tree: Callable[..., Path]) -> None:
    assert walked(tree("1.jpg", root="lost+found"))[0] == ["1.jpg"]


def test_other_endings_are_counted(tree: Callable[..., Path]) -> None:
    walk = walked(tree("1.jpg", "a.cr2", "b.CR2", "a/notes.txt", "README"))[1]
    assert walk.notes() == ("skipped 4 files without the extension of a picture (2 .cr2, 1 without any, 1 .txt)",)


def test_links_are_followed_once_and_never_back(tree: Callable[..., Path]) -> None:
    root, other = tree("a/1.jpg", "b/2.jpg"), tree("x/3.jpg", "x/y/4.jpg", root="other")
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "self").symlink_to(root / "a")
    (root / "b" / "one").symlink_to(other)
    (root / "b" / "two").symlink_to(other / "x")
    (other / "x" / "back").symlink_to(root / "b")
    names, walk = walked(root)
    assert names == ["a/1.jpg", "b/2.jpg", "b/one/x/3.jpg", "b/one/x/y/4.jpg"]
    assert walk.counts["read already"] == 4


def test_a_folder_within_one_that_a_link_led_to_first_is_read_once(tree: Callable[..., Path]) -> None:
    root, other = tree("a/1.jpg"), tree("x/3.jpg", "4.jpg", root="other")
    (root / "inner").symlink_to(other / "x")
    (root / "whole").symlink_to(other)
    assert walked(root)[0] == ["a/1.jpg", "inner/3.jpg", "whole/4.jpg"]


def test_a_link_into_a_hidden_folder_is_followed(tree: Callable[..., Path]) -> None:
    root = tree(".store/1.jpg")
    (root / "cats").symlink_to(root / ".store")
    assert walked(root)[0] == ["cats/1.jpg"]


def test_links_that_lead_nowhere_are_told(tree: Callable[..., Path]) -> None:
    root = tree("a/1.jpg")
    (root / "birds").symlink_to("/nowhere/birds")
    (root / "circle").symlink_to(root / "circle")
    (root / "a" / "gone.jpg").symlink_to("/nowhere/gone.jpg")
    names, walk = walked(root)
    assert names == ["a/1.jpg", "a/gone.jpg"]  # whoever reads it says why that fails
    assert {walk.name(lost.path): lost.reason.partition(":")[0] for lost in walk.lost} == {
        "birds": "it is a link to /nowhere/birds, which is not there",
        "circle": f"it is a link to {root}/circle",
    }


def test_a_folder_that_cannot_be_listed_is_told(tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root, scan = tree("a/1.jpg", "b/2.jpg"), os.scandir

    def closed(path: Path) -> object:  # as a folder of another user's is; the tests may run as root
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(module.os, "scandir", closed)
    names, walk = walked(root)
    assert names == ["b/2.jpg"]
    assert [(walk.name(lost.path), lost.reason) for lost in walk.lost] == [
        ("a", "the folder cannot be listed: Permission denied")
    ]


def test_pipes_and_sockets_are_never_opened(tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("1.jpg")
    os.mkfifo(root / "pipe")
    os.mkfifo(root / "pipe.jpg")
    monkeypatch.chdir(root)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as heard:
        heard.bind("talk")
        names, walk = walked(root)
    assert names == ["1.jpg", "pipe.jpg"]  # of a name that says picture, whoever reads it says why that fails
    assert walk.notes() == ("skipped 2 special files, such as pipe (it is a pipe)",)


def test_names_that_are_not_utf_8_are_counted(tree: Callable[..., Path]) -> None:
    names, walk = walked(tree(os.fsdecode(b"caf\xe9.jpg"), "1.jpg"))
    assert len(names) == 2
    assert walk.notes() == ("1 name is not UTF-8, and shown with escapes such as \\xff",)


def test_it_is_lazy(tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root, scan, seen = tree(*(f"{number:02d}/1.jpg" for number in range(50))), os.scandir, []
    monkeypatch.setattr(module.os, "scandir", lambda path: (seen.append(path), scan(path))[1])
    assert len(list(islice(Walk(root).pictures(), 3))) == 3
    assert len(seen) == 4


def test_memory_is_bounded_whatever_is_passed_over(tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    root = tree(*(f".hidden-{number}.jpg" for number in range(9)), *(f"a.e{number}" for number in range(9)))
    for number in range(9):
        (root / f"gone-{number}").symlink_to("nowhere")
    walk = walked(root)[1]
    assert len(walk.lost) == 3
    assert len(walk.others) == 4
    assert walk.others.total() == 9
    assert "6 more folders and links could not be read" in walk.notes()
    assert walk.counts["hidden"] == 9
