"""Bad pictures among good ones, on the command line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def mixed(pictures: Path, tmp_path: Path) -> list[Path]:
    """Good, no picture, not there, torn, good."""
    (tmp_path / "letter.jpg").write_text("Dear Sir or Madam,\n")
    whole = (pictures / "dark" / "03.png").read_bytes()
    (tmp_path / "torn.png").write_bytes(whole[: len(whole) // 2])
    return [
        pictures / "dark" / "01.png",
        tmp_path / "letter.jpg",
        tmp_path / "gone.png",
        tmp_path / "torn.png",
        pictures / "bright" / "02.png",
    ]


def test_bad_pictures_among_good_ones_are_named_and_the_good_ones_predicted(
    pennyweight: Run, bundle_file: Path, mixed: list[Path]
) -> None:
    outcome = pennyweight("predict", bundle_file, *mixed, "--json")
    assert outcome.status == 1
    found = json.loads(outcome.out)
    assert [(row["source"], row["label"]) for row in found["predictions"]] == [
        (str(mixed[0]), "dark"),
        (str(mixed[4]), "bright"),
    ]
    assert [row["source"] for row in found["failures"]] == [str(path) for path in mixed[1:4]]
    *errors, count = outcome.err.splitlines()
    assert count.startswith("note: 2 of 5 pictures answered in ")
    assert count.endswith("; 3 could not be read")
    for line, path, row in zip(errors, mixed[1:4], found["failures"], strict=True):
        assert line == f"error: {row['error']}"
        assert str(path) in line


def test_the_same_for_a_person(
    pennyweight: Run, bundle_file: Path, mixed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    outcome = pennyweight("predict", bundle_file, *mixed)
    assert outcome.status == 1
    (count,) = outcome.err.splitlines()
    assert "2 of 5 pictures answered" in count
    rows = outcome.out.splitlines()[2:]
    assert [line.split()[1] for line in rows] == ["dark", "–", "–", "–", "bright"]
    for line, path in zip(rows, mixed, strict=True):
        assert line.split()[0] == str(path)
    assert "no picture at" in rows[2]


def test_only_bad_pictures_print_no_table(cannot: Callable[..., str], bundle_file: Path, tmp_path: Path) -> None:
    assert "no picture at" in cannot("predict", bundle_file, tmp_path / "gone.png")


def test_the_doctor_names_some_of_each_finding(
    pennyweight: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    shutil.copytree(pictures, tmp_path / "pictures")
    for number in range(1, 4):
        (tmp_path / "pictures" / "dark" / f"0{number}.png").write_bytes(b"no picture")
    outcome = pennyweight("doctor", tmp_path / "pictures", "--quick")
    assert outcome.status == 1
    assert "dark/01.png; dark/02.png; dark/03.png" in outcome.out


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{0:064d}\nsize {0}\n"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Pictures of two classes in a clone without its LFS files."""
    for number in range(30):
        path = tmp_path / "clone" / ("cat", "dog")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(POINTER.format(12_000 + number))
    return tmp_path / "clone"


def test_a_clone_without_its_large_files_is_told_in_a_line(pennyweight: Run, bundle_file: Path, clone: Path) -> None:
    for command, arguments in (("predict", (bundle_file, clone)), ("doctor", (clone,)), ("fit", (clone,))):
        outcome = pennyweight(command, *arguments)
        assert outcome.status == 1
        said = (outcome.out + outcome.err).splitlines()
        assert len(said) < 20
        (line,) = [line for line in said if "30 pictures, such as " in line]
        assert line.count("git lfs pull") == 1
        assert line.count(".jpg") == 3


def test_every_row_of_a_clone_is_written(pennyweight: Run, bundle_file: Path, clone: Path) -> None:
    outcome = pennyweight("predict", bundle_file, clone, "--jsonl")
    assert outcome.status == 1
    rows = [json.loads(line) for line in outcome.out.splitlines()]
    assert len({row["source"] for row in rows}) == 30
    assert all("git lfs pull" in row["error"] for row in rows)
    found = json.loads(pennyweight("doctor", clone, "--json").out)
    assert sum(each["kind"] == "unreadable" for each in found["findings"]) == 30


def test_a_table_has_rows_for_the_first_failures_only(
    pennyweight: Run, bundle_file: Path, clone: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    outcome = pennyweight("predict", bundle_file, clone, pictures)
    rows = [line for line in outcome.out.splitlines() if ".jpg" in line]
    assert sum(" – " in line for line in rows) == len(rows) == 10
    assert "error: cannot read 30 pictures, such as " in outcome.err
    assert "30 could not be read, for each of which --csv and --jsonl have a row" in outcome.err
