"""Archives are unpacked without ever writing outside their folder, and what was refused is named."""

from __future__ import annotations

import errno
import io
import json
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.core.errors import SourceError
from pennyweight.data.readers import archive_members, archives
from pennyweight.data.readers.archives import unpack, unpack_to_cache


def zipped(path: Path, *members: tuple[str, bytes], mode: int = stat.S_IFREG | 0o644) -> Path:
    with zipfile.ZipFile(path, "w") as packed, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there already
        for name, content in members:
            info = zipfile.ZipInfo("x")
            info.filename = info.orig_filename = name  # ZipInfo itself would tidy it
            info.external_attr = mode << 16
            packed.writestr(info, content)
    return path


def taped(path: Path, *members: tuple[str, bytes, bytes]) -> Path:
    """(name, type, link target) of each."""
    with tarfile.open(path, "w") as tape:
        for name, kind, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link.decode()
            info.size = 3 if kind == tarfile.REGTYPE else 0
            tape.addfile(info, io.BytesIO(b"bad") if kind == tarfile.REGTYPE else None)
    return path


REG, DIR = tarfile.REGTYPE, tarfile.DIRTYPE
# Case -> what makes the archive beside a file `outside`, and the word by which the member is refused.
HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "zip: up": (lambda p: zipped(p / "a.zip", ("../outside", b"bad")), "leads out"),
    "zip: up from within": (lambda p: zipped(p / "a.zip", ("a/../../outside", b"bad")), "leads out"),
    "zip: absolute": (lambda p: zipped(p / "a.zip", (f"{p}/outside", b"bad")), "absolute"),
    "zip: backslashes": (lambda p: zipped(p / "a.zip", ("..\\outside", b"bad")), "leads out"),
    "zip: backslashes from the root": (lambda p: zipped(p / "a.zip", ("\\outside", b"bad")), "absolute"),
    "zip: a drive with backslashes": (lambda p: zipped(p / "a.zip", ("C:\\outside", b"bad")), "differently"),
    "zip: up from within with backslashes": (
        lambda p: zipped(p / "a.zip", ("a\\..\\../outside", b"bad")),
        "leads out",
    ),
    "tar: backslashes": (lambda p: taped(p / "a.tar", ("..\\outside", REG, b"")), "differently"),
    "zip: a drive": (lambda p: zipped(p / "a.zip", ("C:/outside", b"bad")), "differently"),
    "zip: a link": (lambda p: zipped(p / "a.zip", ("link", b"../outside"), mode=stat.S_IFLNK | 0o777), "a link"),
    "zip: a device": (lambda p: zipped(p / "a.zip", ("dev", b""), mode=stat.S_IFCHR | 0o777), "a device"),
    "zip: clash of case": (lambda p: zipped(p / "a.zip", ("A.jpg", b"1"), ("a.JPG", b"2")), "clashes"),
    "zip: the same name twice": (lambda p: zipped(p / "a.zip", ("a", b"1"), ("a", b"2")), "clashes"),
    "zip: a file as a folder": (lambda p: zipped(p / "a.zip", ("a", b"1"), ("A/b", b"2")), "clashes"),
    "zip: control letters": (lambda p: zipped(p / "a.zip", ("\x1b[2Jx", b"1")), "differently"),
    "zip: a long name": (lambda p: zipped(p / "a.zip", ("x" * 400, b"1")), "too long"),
    "tar: up": (lambda p: taped(p / "a.tar", ("../outside", REG, b"")), "leads out"),
    "tar: absolute": (lambda p: taped(p / "a.tar", (f"{p}/outside", REG, b"")), "absolute"),
    "tar: a link, then through it": (
        lambda p: taped(p / "a.tar", ("in", tarfile.SYMTYPE, b".."), ("in/outside", REG, b"")),
        "a link",
    ),
    "tar: a hard link": (lambda p: taped(p / "a.tar", ("in", tarfile.LNKTYPE, b"../outside")), "a link"),
    "tar: a device": (lambda p: taped(p / "a.tar", ("dev", tarfile.CHRTYPE, b"")), "a device"),
    "tar: a pipe": (lambda p: taped(p / "a.tar", ("pipe", tarfile.FIFOTYPE, b"")), "a pipe"),
    "tar: folders that clash in case": (
        lambda p: taped(p / "a.tar", ("Dir", DIR, b""), ("dir/a", REG, b""), ("dir", DIR, b"")),
        "clashes",
    ),
}


def everything(root: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else None for path in root.rglob("*")
    }


@pytest.mark.parametrize("case", HOSTILE)
def test_nothing_is_written_outside_and_what_was_refused_is_named(tmp_path: Path, case: str) -> None:
    make, said = HOSTILE[case]
    (tmp_path / "outside").write_bytes(b"precious")
    archive = make(tmp_path)
    before = everything(tmp_path)
    refused = unpack(archive, tmp_path / "target" / "files")
    after = everything(tmp_path)
    assert {name: after[name] for name in after if not name.startswith("target")} == before
    assert any(said in line for line in refused)
    assert all(line.isprintable() for line in refused)
    assert all(path.is_file() or path.is_dir() for path in (tmp_path / "target").rglob("*"))
    assert not any(path.is_symlink() for path in (tmp_path / "target").rglob("*"))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_is_refused_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(archive_members, "SPARE_BYTES", 1 << 20)
    zeros = bytes(30 << 20)
    archive = tmp_path / f"bomb.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("zeros", zeros)
    else:
        with tarfile.open(archive, "w:gz") as tape:
            info = tarfile.TarInfo("zeros")
            info.size = len(zeros)
            tape.addfile(info, io.BytesIO(zeros))
    with pytest.raises(SourceError, match=r"more than 200 times its size at zeros"):
        unpack(archive, tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("kind", ["truncated zip", "truncated tar.gz", "text", "empty", "flipped zip"])
def test_what_is_no_whole_archive_is_one_line_that_names_it(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / ("a.zip" if "zip" in kind else "a.tar.gz")
    content = np.random.default_rng(0).bytes(5000)
    if "zip" in kind:
        zipped(archive, ("a", content))
    else:
        with tarfile.open(archive, "w:gz") as tape:
            info = tarfile.TarInfo("a")
            info.size = len(content)
            tape.addfile(info, io.BytesIO(content))
    whole = archive.read_bytes()
    flipped = whole[:2000] + bytes([whole[2000] ^ 255]) + whole[2001:]
    made = {"text": b"text", "empty": b"", "flipped zip": flipped}
    archive.write_bytes(made.get(kind, whole[: len(whole) // 2]))
    with pytest.raises(SourceError) as caught:
        unpack(archive, tmp_path / "target")
    assert str(archive) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "target").exists()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_an_archive_of_class_folders_is_a_source(
    cache: Path, draw_folder: Callable[..., Path], kind: str, wrapped: bool
) -> None:
    root = draw_folder({"cats": 4, "dogs": 5})
    archive = root.parent / f"packed.{kind}"
    start = root.parent if wrapped else root
    files = sorted(root.rglob("*.png"))
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for file in files:
                packed.write(file, file.relative_to(start))
            packed.writestr("../hostile.png", b"x")
    else:
        with tarfile.open(archive, "w:gz" if kind == "tar.gz" else "w") as tape:
            for file in files:
                tape.add(file, file.relative_to(start))
            tape.addfile(tarfile.TarInfo("../hostile.png"))
    source = data.open(archive)
    assert source.name == "packed"
    assert source.count_by_label() == {"cats": 4, "dogs": 5}
    assert source.fingerprint == data.open(root).fingerprint
    reason = "1 × a path that leads out of its folder, such as ../hostile.png"
    assert source.notes == (f"refused of packed.{kind}: {reason}",)
    assert data.open(source.address) == source
    assert len(list((cache / "archives").iterdir())) == 1  # the second time nothing was unpacked


def test_every_refused_member_is_in_a_file_that_a_note_names(cache: Path, draw_folder: Callable[..., Path]) -> None:
    root = draw_folder({"cats": 4, "dogs": 5})
    names = [f"../{number}.png" for number in range(7)]
    with zipfile.ZipFile(root.parent / "packed.zip", "w") as packed:
        for file in root.rglob("*.png"):
            packed.write(file, file.relative_to(root))
        for name in names:
            packed.writestr(name, b"x")
    reason = "a path that leads out of its folder"
    line, listed = data.open(root.parent / "packed.zip").notes
    assert line == f"refused of packed.zip: 7 × {reason}, such as {names[0]}, {names[1]} and {names[2]}"
    record = json.loads(
        Path(listed.removesuffix(" lists all that is refused of packed.zip")).read_text(encoding="utf-8")
    )
    assert record["members"] == [[name, reason] for name in names]


def test_an_archive_of_anything_else_that_is_a_source(cache: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 8, 8), np.uint8), labels=np.array([0, 1, 0, 1]))
    with zipfile.ZipFile(tmp_path / "arrays.zip", "w") as packed:
        packed.write(tmp_path / "a.npz", "inner/a.npz")
    assert len(data.open(tmp_path / "arrays.zip").samples) == 4
    with tarfile.open(tmp_path / "arrays.tar", "w") as tape:  # a zip, which .npz is, at the end of a tar
        tape.add(tmp_path / "a.npz", "a.npz")
    assert len(data.open(tmp_path / "arrays.tar").samples) == 4
    Image.new("RGB", (8, 8)).save(tmp_path / "private.png")
    for path in (f"{tmp_path}/private.png", "../../../../private.png"):
        zipped(tmp_path / "table.zip", ("manifest.csv", f"path,label\n{path},a\n".encode()), ("x.txt", path.encode()))
        with pytest.raises(SourceError, match="leads out of its archive"):
            data.open(tmp_path / "table.zip")


def test_an_archive_of_a_mac_with_a_table_of_any_name(cache: Path, draw_folder: Callable[..., Path]) -> None:
    root = draw_folder({"cats": 4, "dogs": 5})
    files = sorted(root.rglob("*.png"))
    rows = "".join(f"pets/{file.relative_to(root)},{file.parent.name}\n" for file in files)
    with zipfile.ZipFile(root.parent / "mac.zip", "w") as packed:
        for file in files:
            packed.write(file, f"pets/{file.relative_to(root)}")
            packed.writestr(f"__MACOSX/pets/._{file.name}", b"x")
    with zipfile.ZipFile(root.parent / "table.zip", "w") as packed:
        packed.writestr("my pets.csv", f"path,label\n{rows}")
        for file in files:
            packed.write(file, f"pets/{file.relative_to(root)}")
    for archive, notes in (("mac.zip", ("skipped 1 system folder, such as __MACOSX",)), ("table.zip", ())):
        source = data.open(root.parent / archive)
        assert source.count_by_label() == {"cats": 4, "dogs": 5}
        assert source.notes == notes


def test_a_full_disk_is_said_with_what_helps(
    cache: Path, draw_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    archive = zipped(draw_folder({"cats": 4, "dogs": 5}).parent / "a.zip", ("a/1.png", b"1"), ("b/1.png", b"2"))
    monkeypatch.setattr(archives, "unpack", full)
    with pytest.raises(SourceError, match=r"a\.zip into .*archives: No space left on device; .*PENNYWEIGHT_CACHE"):
        unpack_to_cache(archive)
    assert list((cache / "archives").iterdir()) == []


def test_a_broken_off_unpacking_is_done_again(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(tmp_path / "a.zip", ("a", b"1"), ("b", b"2"))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(archives, "write_json", stop)
    with pytest.raises(KeyboardInterrupt):
        unpack_to_cache(archive)
    monkeypatch.undo()
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(cache))
    assert sorted(path.name for path in unpack_to_cache(archive).folder.iterdir()) == ["a", "b"]
    assert len(list((cache / "archives").iterdir())) == 1


def packed_with(root: Path, archive: Path, rename: Callable[[str], str | bytes], *, flags: int = 0) -> Path:
    """A zip of the pictures under `root`, their names changed by `rename`."""
    with zipfile.ZipFile(archive, "w") as packed:
        for file in sorted(root.rglob("*.png")):
            packed.writestr(zipfile.ZipInfo(str(rename(file.relative_to(root).as_posix()))), file.read_bytes())
    if flags:
        content = bytearray(archive.read_bytes())
        for magic, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            at = content.find(magic)
            while at >= 0:
                content[at + place] |= flags
                at = content.find(magic, at + 4)
        archive.write_bytes(content)
    return archive


def test_backslashes_in_a_zip_are_separators(cache: Path, draw_folder: Callable[..., Path]) -> None:
    root = draw_folder({"cats": 4, "dogs": 5})
    archive = packed_with(root, root.parent / "powershell.zip", lambda name: "photos\\" + name.replace("/", "\\"))
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(zipfile.ZipInfo("photos\\"), b"")
    source = data.open(archive)
    assert source.fingerprint == data.open(root).fingerprint
    assert source.notes == ()


def test_a_colon_in_a_name_is_a_name(cache: Path, draw_folder: Callable[..., Path]) -> None:
    root = draw_folder({"cats": 4, "dogs": 5})
    archive = packed_with(root, root.parent / "a.zip", lambda name: name.replace("dogs", "Tomato: x"))
    assert data.open(archive).labels == ("Tomato: x", "cats")


def test_a_zip_behind_a_password_names_the_users_file(cache: Path, draw_folder: Callable[..., Path]) -> None:
    root = draw_folder({"cats": 4, "dogs": 5})
    archive = packed_with(root, root.parent / "secret.zip", str, flags=1)
    said = r"nothing of .*secret\.zip could be unpacked: 9 × a password-protected file is not unpacked, such as cats/"
    with pytest.raises(SourceError, match=said) as caught:
        data.open(archive)
    assert str(cache) not in str(caught.value)


def test_what_is_left_of_an_archive_is_named_by_the_users_file(cache: Path, draw_folder: Callable[..., Path]) -> None:
    root = draw_folder({"cats": 4, "dogs": 5})
    archive = packed_with(root, root.parent / "a.zip", lambda name: name.replace("dogs/", "../"))
    with pytest.raises(SourceError, match=r"a\.zip.*; refused of a\.zip: 5 × a path that leads out") as caught:
        data.open(archive)
    assert str(cache) not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("encoding", "said"), [("utf-8", "UTF-8"), ("cp437", "cp437, the standard of zip")])
def test_names_without_an_encoding(cache: Path, draw_folder: Callable[..., Path], encoding: str, said: str) -> None:
    root = draw_folder({"cats": 4, "dogs": 5})
    written = "café".encode(encoding)
    archive = packed_with(root, root.parent / "a.zip", lambda name: name.replace("cats", "c" * len(written)))
    archive.write_bytes(archive.read_bytes().replace(b"c" * len(written) + b"/", written + b"/"))
    source = data.open(archive)
    assert source.labels == ("café", "dogs")
    assert source.notes == (
        f"4 names do not say their encoding; they are read as {said}, such as café/picture-0000.png",
    )
    assert data.open(archive) == source
