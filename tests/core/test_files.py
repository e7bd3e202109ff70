"""Files are whole or absent."""

import errno
import json
import math
import os
import shutil
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from pennyweight.core.errors import InputError, PennyweightError
from pennyweight.core.files import (
    as_text,
    atomic,
    clear_left_overs,
    expanded,
    fault_of_name,
    read_json,
    read_lines,
    require_new,
    write_json,
    write_lines,
    write_text,
)


def test_success_leaves_the_new_file_alone_in_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_text(path, "old")
    write_text(path, "new ×")
    assert path.read_text(encoding="utf-8") == "new ×"
    assert [child.name for child in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", ["old", None])
def test_a_failure_leaves_what_was_there(tmp_path: Path, error: type[BaseException], before: str | None) -> None:
    path = tmp_path / "a.txt"
    if before is not None:
        path.write_text(before)

    def write_half() -> None:
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert {name.name: name.read_text() for name in tmp_path.iterdir()} == ({} if before is None else {"a.txt": before})


def test_the_old_file_is_seen_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent  # a rename across file systems is a copy
        assert temporary.suffix == path.suffix
    assert path.read_text() == "new"


def test_a_writer_that_removes_the_temporary_file_is_an_error_and_leaves_the_old(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), atomic(path) as temporary:
        temporary.unlink()
    assert path.read_text() == "old"


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_the_file_has_the_mode_of_any_new_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    with atomic(tmp_path / "ours") as temporary:
        temporary.chmod(0o600)
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with atomic(path) as one, atomic(path) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"  # the outer ends last
    assert [child.name for child in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, object()])
def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path, value: object) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"loss": 1.0})
    with pytest.raises((ValueError, TypeError)):
        write_json(path, {"loss": [value]})
    assert read_json(path) == {"loss": 1.0}
    assert [child.name for child in tmp_path.iterdir()] == ["a.json"]


def test_json_comes_back_as_it_was(tmp_path: Path) -> None:
    value = {"label": "Kätzchen", "loss": 0.1, "macs": 2**60, "none": None, "inner": {"list": [1, 2]}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert "Kätzchen" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_what_is_no_json_object_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    with pytest.raises(PennyweightError, match=r"odd\.json"):
        read_json(path)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(PennyweightError, match=r"gone\.json"):
        read_json(tmp_path / "gone.json")


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    rows = [{"epoch": 1, "name": "a\nb"}, {"epoch": 2, "name": "×"}]
    write_lines(path, rows)
    assert read_lines(path) == rows
    assert [json.loads(line)["epoch"] for line in path.read_text(encoding="utf-8").splitlines()] == [1, 2]


def test_a_line_that_json_has_no_word_for_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write_lines(path, [{"loss": 1.0}])
    with pytest.raises(ValueError, match="JSON"):
        write_lines(path, [{"loss": 1.0}, {"loss": math.nan}])
    assert read_lines(path) == [{"loss": 1.0}]


def test_a_page_is_written_where_nothing_is(tmp_path: Path) -> None:
    require_new(tmp_path / "page.html")
    (tmp_path / "page.html").write_text("mine")
    (tmp_path / "link.html").symlink_to(tmp_path / "gone.html")
    for taken in ("page.html", "link.html"):
        with pytest.raises(InputError, match=f"{taken} exists already; nothing is overwritten"):
            require_new(tmp_path / taken)
    with pytest.raises(InputError, match=r"there is no folder .*nowhere"):
        require_new(tmp_path / "nowhere" / "page.html")


def test_a_disk_that_became_read_only_names_the_file_that_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, *arguments: object, **more: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "touch", refused)
    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(OSError, match="Read-only") as raised:
        write_text(tmp_path / "run.json", "{}")
    assert raised.value.filename == str(tmp_path / "run.json")


def test_a_disk_that_is_full_names_the_file_and_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritten() -> None:
        with atomic(tmp_path / "seen.npy"):
            raise OSError("4096 requested and 0 written")  # all that numpy says

    with pytest.raises(OSError, match="4096 requested") as raised:
        unwritten()
    assert raised.value.filename == str(tmp_path / "seen.npy")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    with pytest.raises(OSError, match="No space left on device") as raised:
        unwritten()
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(tmp_path / "seen.npy"))
    assert list(tmp_path.iterdir()) == []


def test_left_overs_of_the_killed_alone_are_cleared(tmp_path: Path) -> None:
    dead = [".model.4711.0123abcd.tmp.onnx", ".run.4711.0123abcd.tmp.json", ".plain.1.0123abcd.tmp"]
    kept = [".model.tmp.onnx", ".hidden", ".model.4711.0123ABCD.tmp.onnx", "model.4711.0123abcd.tmp.onnx"]
    for name in (*dead, *kept):
        (tmp_path / name).touch()
    (tmp_path / ".link.4711.0123abcd.tmp.onnx").symlink_to(tmp_path / ".hidden")
    (tmp_path / ".folder.4711.0123abcd.tmp.onnx").mkdir()
    clear_left_overs(tmp_path, of="model.onnx")
    assert {path.name for path in tmp_path.iterdir()} >= {*dead[1:], *kept}
    assert not (tmp_path / dead[0]).exists()
    with atomic(tmp_path / "run.json"):
        clear_left_overs(tmp_path)  # what is being written stays, so that it comes to its place
    assert {path.name for path in tmp_path.iterdir()} == {
        *(*kept, "run.json", ".link.4711.0123abcd.tmp.onnx", ".folder.4711.0123abcd.tmp.onnx")
    }


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("café", ""),
        ("plain", ""),
        ("caf\udce9", "has a name that is not UTF-8; rename it"),
        ("caf\udcc3\udca9", "has a name beyond utf-8, in which this Python reads names; set PYTHONUTF8=1"),
    ],
)
def test_a_name_that_json_cannot_keep_is_told_from_a_locale_that_cannot_read_it(name: str, fault: str) -> None:
    assert fault_of_name(name) == fault  # Python in an ASCII locale reads é as two lone surrogates


def test_bytes_that_are_not_utf_8_are_told_apart() -> None:
    assert as_text("caf\udce9.png") == r"caf\xe9.png"
    assert as_text("caf\udce8.png") == r"caf\xe8.png"
    assert as_text("café.png") == as_text("caf\udcc3\udca9.png") == "café.png"


def test_the_home_folder_is_put_in_place_of_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/pictures") == Path("/home/me/pictures")
    assert expanded("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")
