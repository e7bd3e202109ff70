"""`predict` of many pictures: what it takes, in which forms it answers, and what it leaves when it is interrupted."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def album(pictures: Path, tmp_path: Path) -> Path:
    """A folder of 30 good pictures, some in a folder of their own, and a torn one."""
    root = tmp_path / "album"
    shutil.copytree(pictures / "dark", root / "trip")
    for file in sorted((pictures / "bright").iterdir())[:6]:
        shutil.copy(file, root)
    (root / "03b.png").write_bytes((root / "03.png").read_bytes()[:60])
    return root


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def listed(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Put `content` on standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def sources(outcome: Any) -> list[str]:
    return [json.loads(line)["source"] for line in outcome.out.splitlines()]


def test_csv_equals_json_row_by_row(pennyweight: Run, bundle_file: Path, album: Path, empty: Path) -> None:
    outcome = pennyweight("predict", bundle_file, album, "--csv", "out.csv", "--jsonl")
    assert outcome.status == 1
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    rows = rows_of(Path("out.csv").read_text("utf-8"))
    assert list(rows[0]) == ["source", "label", "probability", "label_2", "probability_2", "typical", "error"]
    assert len(rows) == len(lines) == 31
    for row, line in zip(rows, lines, strict=True):
        assert row["source"] == line["source"]
        assert row["error"] == line.get("error", "")
        if "error" in line:
            assert [row["label"], row["probability"], row["label_2"], row["probability_2"]] == [""] * 4
            continue
        assert (row["label"], float(row["probability"])) == (line["label"], line["probability"])
        top = [[row["label"], float(row["probability"])], [row["label_2"], float(row["probability_2"])]]
        assert top == line["top"]
    (torn,) = (line for line in lines if "error" in line)
    assert torn["source"] == str(album / "03b.png")
    *errors, count = outcome.err.splitlines()
    assert errors == [f"error: {torn['error']}"]
    assert "30 of 31 pictures answered" in count
    assert count.endswith("; 1 could not be read; rows in out.csv")
    whole = json.loads(pennyweight("predict", bundle_file, album, "--json").out)
    assert whole["failures"] == [torn]
    assert whole["predictions"] == [line for line in lines if "error" not in line]
    assert rows_of(pennyweight("predict", bundle_file, album, "--csv", "-").out) == rows


def test_a_table_names_every_picture(
    pennyweight: Run, bundle_file: Path, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    outcome = pennyweight("predict", bundle_file, album)
    rows = [line.split() for line in outcome.out.splitlines()[2:]]
    found = [(row[0], row[1]) for row in rows]
    assert len(found) == 31
    assert found[0] == (str(album / "00.png"), "bright")
    assert found[4] == (str(album / "03b.png"), "–")
    assert found[-1] == (str(album / "trip" / "23.png"), "dark")


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz"])
def test_an_archive_is_read_where_it_lies(
    pennyweight: Run, bundle_file: Path, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    (album / "notes.txt").write_text("of a trip")
    form = {"zip": "zip", "tar": "tar", "tar.gz": "gztar"}[ending]
    archive = Path(shutil.make_archive(str(tmp_path / "album"), form, album))
    outcome = pennyweight("predict", bundle_file, archive, "--jsonl")
    assert outcome.status == 1
    plain = pennyweight("predict", bundle_file, album, "--jsonl")
    expected = {line.replace(str(album), str(archive)) for line in plain.out.splitlines()}
    assert set(outcome.out.splitlines()) == expected
    assert "1 .txt" in outcome.err
    assert not (tmp_path / "cache").exists()


def test_a_zip_of_strange_members(pennyweight: Run, bundle_file: Path, pictures: Path, tmp_path: Path) -> None:
    good = (pictures / "dark" / "01.png").read_bytes()
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as packed:
        packed.writestr("../../up.png", good)
        packed.writestr("__MACOSX/._a.png", b"no picture")
        packed.writestr(".hidden/b.png", good)
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        packed.writestr(link, "/etc/passwd")
        packed.writestr("c.PNG", good)
    outcome = pennyweight("predict", bundle_file, tmp_path / "odd.zip", "--jsonl")
    assert sources(outcome) == [f"{tmp_path}/odd.zip/{name}" for name in ("../../up.png", "link.png", "c.PNG")]
    assert "a link is not read out of an archive" in outcome.out
    assert "skipped 2 files of" in outcome.err
    assert [path.name for path in tmp_path.parent.iterdir() if path.name == "up.png"] == []


@pytest.mark.parametrize("content", [b"", b"PK\3\4 and then nothing", b"no archive"])
def test_what_is_no_archive_is_one_line(
    cannot: Callable[..., str], bundle_file: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "torn.zip").write_bytes(content)
    assert f"cannot read {tmp_path / 'torn.zip'}" in cannot("predict", bundle_file, tmp_path / "torn.zip")


def test_a_table_of_paths(pennyweight: Run, bundle_file: Path, album: Path) -> None:
    (album / "table.csv").write_text("label,file_name\nx,00.png\ny,trip/01.png\nz,gone.png\nu,\n")
    outcome = pennyweight("predict", bundle_file, album / "table.csv", "--jsonl")
    table = f"{album}/table.csv"
    assert sources(outcome) == [f"{album}/00.png", f"{album}/trip/01.png", f"{album}/gone.png", f"{table}:4"]
    assert "no picture at" in outcome.out
    assert f"row 4 of {table} names no picture" in outcome.out


def test_parquet_with_paths_and_with_pictures(pennyweight: Run, bundle_file: Path, album: Path) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    parquet.write_table(pyarrow.table({"path": ["00.png", "trip/01.png"]}), album / "paths.parquet")
    content = (album / "00.png").read_bytes()
    pictures = [{"bytes": content, "path": "a"}, {"bytes": b"no picture", "path": "b"}, None]
    parquet.write_table(pyarrow.table({"image": pictures}), album / "pictures.parquet")
    outcome = pennyweight("predict", bundle_file, album / "paths.parquet", album / "pictures.parquet", "--jsonl")
    rows = [f"{album}/pictures.parquet:{row}" for row in (1, 2, 3)]
    assert sources(outcome) == [f"{album}/00.png", f"{album}/trip/01.png", *rows]
    first, _, third, *bad = (json.loads(line) for line in outcome.out.splitlines())
    assert third["top"] == first["top"]
    assert all("error" in row for row in bad)


def test_a_table_without_paths_is_one_line(cannot: Callable[..., str], bundle_file: Path, tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("day,score\n1,2\n")
    assert "has the columns day, score" in cannot("predict", bundle_file, tmp_path / "scores.csv")


@pytest.mark.parametrize("separator", [b"\n", b"\0", b"\r\n"])
def test_a_list_on_standard_input(
    pennyweight: Run, bundle_file: Path, album: Path, monkeypatch: pytest.MonkeyPatch, separator: bytes
) -> None:
    paths = [b"00.png", b"gone.png", b"trip", b"", b"05.png"]
    monkeypatch.chdir(album)
    listed(monkeypatch, separator.join(paths))
    outcome = pennyweight("predict", bundle_file, "01.png", "-", "02.png", "--jsonl")
    assert outcome.status == 1
    trip = [f"trip/{number:02d}.png" for number in range(24)]
    assert sources(outcome) == ["01.png", "00.png", "gone.png", *trip, "05.png", "02.png"]


def test_a_list_of_nothing_and_one_that_is_no_list(
    pennyweight: Run, cannot: Callable[..., str], bundle_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed(monkeypatch, b"\n\n")
    assert "the list on standard input is empty" in cannot("predict", bundle_file, "-")
    listed(monkeypatch, b"\xff\xd8" * 100_000)
    outcome = pennyweight("predict", bundle_file, "-", "--jsonl")
    assert outcome.status == 1
    assert "is no path of a picture" in outcome.out
    assert "- was named twice" in cannot("predict", bundle_file, "-", "-")


def test_names_that_spreadsheets_and_terminals_would_act_on(
    pennyweight: Run, bundle_file: Path, pictures: Path, empty: Path
) -> None:
    good = (pictures / "dark" / "01.png").read_bytes()
    names = [b"=cmd().png", b'a,"b"\n.png', b"\x1b[2J.png", b"caf\xe9.png", b"-x.png"]
    for name in names:
        Path(os.fsdecode(name)).write_bytes(good)
    paths = [os.fsdecode(name) for name in names]
    outcome = pennyweight("predict", bundle_file, "--csv", "-", "--", *paths)
    assert outcome.status == 0
    found = [row["source"] for row in rows_of(outcome.out)]
    assert found == ["./=cmd().png", 'a,"b"\n.png', "\x1b[2J.png", "caf\\xe9.png", "./-x.png"]
    assert "\x1b" not in pennyweight("predict", bundle_file, "--", *paths).out
    assert sources(pennyweight("predict", bundle_file, "--jsonl", "--", *paths))[0] == "=cmd().png"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--json", "--jsonl"), "--jsonl and --json both print on standard output"),
        (("--csv", "-", "--json"), "--csv - and --json both print"),
        (("--csv", "there.csv"), "there.csv exists already"),
        (("--csv", "no/where.csv"), "there is no folder"),
        (("--jsonl", "out.jsonl"), "did you mean > out.jsonl?"),
    ],
)
def test_outputs_that_cannot_be_are_refused_first(
    pennyweight: Run, pictures: Path, empty: Path, options: tuple[str, ...], said: str
) -> None:
    Path("there.csv").write_text("mine")
    outcome = pennyweight("predict", "no-such-bundle.onnx", pictures, *options)
    assert said in outcome.error
    assert Path("there.csv").read_text() == "mine"


def test_failures_with_one_reason_are_a_line(pennyweight: Run, bundle_file: Path, empty: Path) -> None:
    gone = [f"gone-{number}.png" for number in range(40)]
    outcome = pennyweight("predict", bundle_file, *gone, "--jsonl")
    assert (outcome.status, len(outcome.out.splitlines())) == (1, 40)
    *errors, count = outcome.err.splitlines()
    assert [error.partition(": no")[0] for error in errors] == [
        "error: cannot read 40 pictures, such as gone-0.png, gone-1.png and gone-2.png"
    ]
    assert "0 of 40 pictures answered" in count
    assert count.endswith("40 could not be read")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupted_csv_is_absent_and_says_so(bundle_file: Path, pictures: Path, empty: Path) -> None:
    started = [sys.executable, "-m", "pennyweight", "predict", str(bundle_file), "-", "--csv", "out.csv", "--jsonl"]
    with subprocess.Popen(started, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{pictures}\n".encode() * 40)
        process.stdin.flush()
        assert process.stdout.readline()  # the answers come while the list goes on
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        process.stdin = None
        _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert b"out.csv is not written" in said
    assert b"Traceback" not in said
    assert list(empty.iterdir()) == []
