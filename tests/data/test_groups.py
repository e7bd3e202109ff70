"""Pictures of one camera, or taken within minutes of each other, stay in one split."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.core.errors import InputError, SourceError
from pennyweight.data.exif_groups import time_groups
from pennyweight.data.groups import group_samples

START = datetime(2024, 5, 1, 12, 0)


def jpeg(pixels: np.ndarray, minutes: float | None, model: str | None) -> bytes:
    exif = Image.Exif()
    if model is not None:
        exif[0x0110] = model
    if minutes is not None:
        exif.get_ifd(0x8769)[0x9003] = (START + timedelta(minutes=minutes)).strftime("%Y:%m:%d %H:%M:%S")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", exif=exif)
    return file.getvalue()


@pytest.fixture
def files(noise: Callable[..., np.ndarray]) -> dict[str, bytes]:
    """Twelve pictures of two classes: six films of two, a minute apart, each with a camera; one without metadata."""
    made = {}
    for number in range(12):
        film, second = divmod(number, 2)
        minutes, model = (60.0 * film + second, f"X{film}") if number else (None, None)
        made[f"{'ab'[film % 2]}/{number:02d}.jpg"] = jpeg(noise(16, 16, seed=number), minutes, model)
    return made


def folder(files: dict[str, bytes], root: Path) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def archive(files: dict[str, bytes], root: Path) -> Path:
    root.mkdir()
    with zipfile.ZipFile(root / "s.zip", "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return root / "s.zip"


def manifest(files: dict[str, bytes], root: Path) -> Path:
    folder(files, root)
    rows = "".join(f"{name},{name[0]}\n" for name in files)
    (root / "labels.csv").write_text(f"path,label\n{rows}")
    return root / "labels.csv"


def parquet(files: dict[str, bytes], root: Path) -> Path:
    root.mkdir()
    pictures = [{"bytes": content, "path": name} for name, content in files.items()]
    pq.write_table(pa.table({"image": pictures, "label": [name[0] for name in files]}), root / "s.parquet")
    return root / "s.parquet"


SOURCES = {"folder": folder, "archive": archive, "manifest": manifest, "parquet": parquet}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("group_by", ["exif:DateTimeOriginal@10min", "exif:Model", "EXIF:datetimeoriginal@0.5H"])
def test_files_of_every_source_are_grouped(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, group_by: str
) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    source = data.open(SOURCES[kind](files, tmp_path / "s"), group_by=group_by)
    groups = [sample.group for sample in source.samples]
    assert len({group for group in groups if group}) == 6
    assert groups.count(None) == 1
    assert source.group_by == group_by
    nameless = [sample.name for sample in source.samples if sample.group is None]
    assert f"1 of 12 pictures have no group, such as {nameless[0]}: each is a group of its own" in source.notes
    assert f"6 groups stay together ({group_by})" in source.notes
    place = {sample.group: part for part in data.SPLITS for sample in data.split(source)[part]}
    for part in data.SPLITS:
        assert {place[sample.group] for sample in data.split(source)[part] if sample.group} <= {part}


@pytest.mark.parametrize(
    ("gap", "count"), [("59s", 12), ("60s", 6), ("60 sec", None), ("1min", 6), ("59min", 1), ("1.5h", 1), ("1d", 1)]
)
def test_units_of_the_gap(files: dict[str, bytes], tmp_path: Path, gap: str, count: int | None) -> None:
    root = folder({name: content for name, content in files.items() if not name.endswith("00.jpg")}, tmp_path / "s")
    if count is None:
        with pytest.raises(InputError, match="needs a gap in s, min, h, d, such as exif:DateTimeOriginal@10min, not"):
            data.open(root, group_by=f"exif:DateTimeOriginal@{gap}")
        return
    source = data.open(root, group_by=f"exif:DateTimeOriginal@{gap}")
    assert len({sample.group for sample in source.samples}) == min(count, 11)


@pytest.mark.parametrize(
    ("group_by", "said"),
    [
        ("exif:", "names no EXIF tag; exif:Model"),
        ("exif:Modell", "names no EXIF tag; did you mean 'Model'"),
        ("exif:Model@10min", "Model is no time; give exif:Model"),
        ("exif:DateTimeOriginal@", "needs a gap"),
        ("exif:DateTimeOriginal@10", "needs a gap"),
        ("exif:DateTimeOriginal@10m", "needs a gap"),
        ("exif:DateTimeOriginal@0min", "needs a gap"),
        ("exif:DateTimeOriginal@-5min", "needs a gap"),
        (f"exif:DateTimeOriginal@{'9' * 30}d", "longer than any time"),
        (
            "exif:Artist",
            "finds no EXIF Artist in s, such as in a/00.jpg; pictures there have exif:Model, exif:DateTimeOriginal",
        ),
    ],
)
def test_what_is_no_grouping_is_refused_in_one_line(
    files: dict[str, bytes], tmp_path: Path, group_by: str, said: str
) -> None:
    with pytest.raises(InputError, match=said) as error:
        data.open(folder(files, tmp_path / "s"), group_by=group_by)
    assert group_by in str(error.value)
    assert "\n" not in str(error.value)


def test_arrays_and_streams_are_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="digits holds arrays, which have no EXIF"):
        data.open("digits", group_by="exif:Model")
    source = replace(data.open(folder(files, tmp_path / "s")), streamed=True)
    with pytest.raises(InputError, match="s is streamed; give a regular expression"):
        group_samples(source, "exif:Model")


def test_files_that_cannot_be_read_stay_alone(files: dict[str, bytes], tmp_path: Path) -> None:
    root = folder(files, tmp_path / "s")
    (root / "a" / "01.jpg").write_bytes(b"<html>404</html>")
    source = data.open(root, group_by="exif:Model")
    assert "2 of 12 pictures have no group, such as a/00.jpg and a/01.jpg: each is a group of its own" in source.notes


def test_times_that_follow_each_other_are_one_group() -> None:
    times = [START + timedelta(minutes=9 * number) for number in range(5)]
    later = START + timedelta(hours=3)
    groups = time_groups([later, None, *reversed(times), times[0]], timedelta(minutes=10))
    assert groups == [later.isoformat(), None, *[START.isoformat()] * 6]
    assert len(set(time_groups(times, None))) == 5
    assert time_groups([], timedelta(minutes=1)) == []


def test_a_single_group_is_named_as_one(tmp_path: Path) -> None:
    for number in range(4):
        folder = tmp_path / "films" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        name = f"film_{number}.png" if number < 2 else f"{number}.png"
        Image.new("RGB", (20, 20), (number, 0, 0)).save(folder / name)
    assert data.open(tmp_path / "films", group_by="(film)").notes[-2:] == (
        "1 group stays together ((film))",
        "2 of 4 pictures have no group, such as a/2.png and b/3.png: each is a group of its own",
    )


def with_exif(root: Path, tags: Callable[[int], dict[int, str]]) -> Path:
    """Save 40 pictures of two classes with EXIF tags by number."""
    for number in range(40):
        exif = Image.Exif()
        exif.update(tags(number))
        path = root / "ab"[number % 2] / f"{number:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (number * 6, 0, 0)).save(path, exif=exif)
    return root


def test_a_class_of_few_groups_is_refused_with_the_pictures_that_have_none(tmp_path: Path) -> None:
    root = with_exif(tmp_path / "s", lambda number: {0x0110: f"X{number % 4}"} if number % 2 else {})
    with pytest.raises(SourceError) as error:
        data.split(data.open(root, group_by="exif:Model"))
    said = str(error.value)
    assert "class 'b' of s has 2 different groups or pictures; it needs at least 3" in said
    assert "its 20 pictures are in 2 groups (exif:Model)" in said
    assert "20 of 40 pictures have no group, such as a/00.jpg, a/02.jpg and a/04.jpg" in said
    assert said.endswith("take smaller groups, or no --group-by")


def test_a_missing_tag_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    root = with_exif(tmp_path / "made", lambda number: {0x010F: "Acme"})
    with pytest.raises(
        InputError, match=r"no EXIF Model in made, such as in a/00\.jpg; pictures there have exif:Make$"
    ):
        data.open(root, group_by="exif:Model")
    root = with_exif(tmp_path / "bare", lambda number: {})
    with pytest.raises(InputError, match="without EXIF, give 'folder' or a regular expression"):
        data.open(root, group_by="exif:Model")
