"""Predictions in parts: whole, resumable, shared by processes, and refused for other questions."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import pennyweight as pw
from pennyweight.cli import main
from pennyweight.core.errors import InputError, RunError
from pennyweight.core.locks import locked
from pennyweight.core.strangers import StrangerRule

COUNT, SIZE = 23, 5


@pytest.fixture(scope="module")
def bundle(bundle: pw.Bundle) -> Path:
    """The file of the bundle."""
    return Path(bundle)


@pytest.fixture
def pictures(tmp_path: Path, noise: Callable[..., NDArray[np.uint8]]) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(COUNT):
        Image.fromarray(noise(20, 24, seed=number)).save(folder / f"{number:02}.png")
    (folder / "07.png").write_bytes(b"no picture")
    return folder


def rows_of(parts: Path) -> list[dict[str, Any]]:
    if files := sorted(parts.glob("part-*.parquet")):
        import pyarrow.parquet

        return [row for file in files for row in pyarrow.parquet.read_table(file).to_pylist()]
    return [json.loads(line) for file in sorted(parts.glob("part-*.jsonl")) for line in file.read_text().splitlines()]


def require_whole(parts: Path, bundle: Path, pictures: Path) -> None:
    """Every picture once, in order, with the answer that `predict` gives."""
    expected = list(pw.predict(bundle, pictures))
    rows = rows_of(parts)
    assert [row["source"] for row in rows] == [each.source for each in expected]
    for row, answer in zip(rows, expected, strict=True):
        if isinstance(answer, pw.Failure):
            assert row["error"] == answer.error
        else:
            assert (row["label"], row["probability"]) == (answer.label, pytest.approx(answer.probability, abs=1e-6))
    assert [each.name for each in parts.iterdir() if each.suffix == ".lock" and "part" in each.name] == []


@pytest.mark.parametrize("form", ["jsonl", pytest.param("parquet", marks=pytest.mark.slow)])
def test_the_parts_hold_every_picture_once_and_are_not_made_again(
    bundle: Path, pictures: Path, tmp_path: Path, form: Any
) -> None:
    parts = tmp_path / "parts"
    done = pw.predict_parts(bundle, pictures, parts, format=form, part_size=SIZE)
    assert (done.parts, done.pictures, done.kept, done.failed.count) == (5, COUNT, 0, 1)
    require_whole(parts, bundle, pictures)
    before = {file: file.stat().st_mtime_ns for file in parts.glob(f"part-*.{form}")}
    (parts / f"part-00002.{form}").unlink()
    done = pw.predict_parts(bundle, pictures, parts, format=form, part_size=SIZE)
    assert (done.parts, done.pictures, done.kept) == (5, SIZE, COUNT - SIZE)
    require_whole(parts, bundle, pictures)
    again = [file.name for file, time_ns in before.items() if file.stat().st_mtime_ns != time_ns]
    assert again == [f"part-00002.{form}"]


@pytest.mark.slow
def test_a_part_that_another_process_works_on_is_waited_for(
    bundle: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process dies in the middle: its part is made here."""
    parts = tmp_path / "parts"
    parts.mkdir()
    other = locked(parts / ".part-00001.lock")
    other.__enter__()
    turns: list[float] = []

    def sleep(seconds: float) -> None:
        turns.append(seconds)
        assert sorted(file.name for file in parts.glob("part-*")) == [f"part-0000{n}.jsonl" for n in (0, 2, 3, 4)]
        other.__exit__(None, None, None)

    monkeypatch.setattr("pennyweight.verbs.parts.filling.time.sleep", sleep)
    done = pw.predict_parts(bundle, pictures, parts, part_size=SIZE)
    assert turns
    assert (done.parts, done.pictures) == (5, COUNT)
    require_whole(parts, bundle, pictures)


@pytest.mark.slow
def test_another_question_for_the_same_folder_is_refused(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    pw.predict_parts(bundle, pictures, parts, part_size=SIZE)
    with pytest.raises(InputError, match=r"another part_size \(5, now 6\)"):
        pw.predict_parts(bundle, pictures, parts, part_size=6)
    with pytest.raises(InputError, match="another paths"):
        pw.predict_parts(bundle, [pictures, pictures], parts, part_size=SIZE)
    (pictures / "03.png").unlink()
    with pytest.raises(RunError, match=r"part-00000\.jsonl has the predictions of other pictures"):
        pw.predict_parts(bundle, pictures, parts, part_size=SIZE)
    (parts / "part-00000.jsonl").write_text("{")
    with pytest.raises(RunError, match="remove it to have it written again"):
        pw.predict_parts(bundle, pictures, parts, part_size=SIZE)
    before = sorted(pictures.iterdir())
    with pytest.raises(InputError, match="has other files"):
        pw.predict_parts(bundle, pictures, pictures, part_size=SIZE)
    assert sorted(pictures.iterdir()) == before
    with pytest.raises(InputError, match="is a file"):
        pw.predict_parts(bundle, pictures, bundle, part_size=SIZE)
    with pytest.raises(InputError, match="standard input"):
        pw.predict_parts(bundle, "-", tmp_path / "new")
    with pytest.raises(InputError, match="jsonl or parquet"):
        pw.predict_parts(bundle, pictures, tmp_path / "new", format="csv")  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_folder_of_parts_that_is_damaged_or_holds_more_is_refused(
    bundle: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = tmp_path / "parts"
    pw.predict_parts(bundle, pictures, parts, part_size=SIZE)
    assert sorted(file.name for file in parts.iterdir()) == ["job.json", *(f"part-0000{n}.jsonl" for n in range(5))]
    for number in range(20, COUNT):
        (pictures / f"{number}.png").unlink()
    with pytest.raises(RunError, match=r"part-00004\.jsonl has the predictions of other pictures"):
        pw.predict_parts(bundle, pictures, parts, part_size=SIZE)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    pictures.rename("pictures")
    with pytest.raises(InputError, match="another paths"):
        pw.predict_parts(bundle, "pictures", parts, part_size=SIZE)
    (parts / "job.json").write_text("{")
    with pytest.raises(pw.PennyweightError, match=r"job\.json"):
        pw.predict_parts(bundle, "pictures", parts, part_size=SIZE)


@pytest.mark.slow
def test_the_command_counts_and_ends_with_the_failures(
    bundle: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(bundle), str(pictures), "--parts", str(tmp_path / "parts")]
    assert main([*command, "--part-size", str(SIZE)]) == 1
    said = capsys.readouterr().err
    assert "23 pictures answered" in said
    assert "5 parts in" in said
    assert "07.png" in said
    assert main([*command, "--part-size", str(SIZE)]) == 1
    said = capsys.readouterr().err
    assert "of the pictures answered before, 1 could not be read; remove part-00001 to have them answered again" in said
    assert "23 were answered before" in said
    assert main([*command, "--jsonl"]) == 1
    assert "--parts and --jsonl are two outputs" in capsys.readouterr().err
    assert main(["predict", str(bundle), str(pictures), "--part-size", "3"]) == 1
    assert "--part-size belongs to --parts" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_and_a_kill_lose_and_double_nothing(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    command = [sys.executable, "-m", "pennyweight", "predict", str(bundle), str(pictures), "--parts", str(parts)]
    command += ["--part-size", "1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    first = subprocess.Popen(command, **quiet)  # type: ignore[call-overload]
    while not list(parts.glob("part-*.jsonl")):
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    both = [subprocess.Popen(command, **quiet) for _ in range(2)]  # type: ignore[call-overload]
    assert {process.wait() for process in both} <= {0, 1}
    require_whole(parts, bundle, pictures)
    assert len(list(parts.glob("part-*.jsonl"))) == COUNT


def test_a_picture_that_changed_between_two_calls_is_answered_again_with_its_part(
    bundle: Path, pictures: Path, tmp_path: Path, noise: Callable[..., NDArray[np.uint8]]
) -> None:
    parts, said = tmp_path / "parts", list[str]()
    pw.predict_parts(bundle, pictures, parts, part_size=SIZE)
    before = {file: file.stat().st_mtime_ns for file in parts.glob("part-*.jsonl")}
    Image.fromarray(noise(20, 24, seed=99)).save(pictures / "07.png")  # it could not be read
    Image.fromarray(255 - noise(20, 24, seed=11)).save(pictures / "11.png")
    done = pw.predict_parts(bundle, pictures, parts, part_size=SIZE, note=said.append)
    assert (done.parts, done.pictures, done.kept, done.failed.count) == (5, 2 * SIZE, COUNT - 2 * SIZE, 0)
    assert len(said) == 2
    assert "1 picture changed since, such as" in said[0]
    assert "all 5 of part-00001.jsonl are answered again" in said[0]
    assert str(pictures / "11.png") in said[1]
    require_whole(parts, bundle, pictures)
    again = sorted(file.name for file, time_ns in before.items() if file.stat().st_mtime_ns != time_ns)
    assert again == ["part-00001.jsonl", "part-00002.jsonl"]
    assert pw.predict_parts(bundle, pictures, parts, part_size=SIZE, note=said.append).kept == COUNT
    assert len(said) == 2


@pytest.mark.slow
def test_parts_of_an_archive_are_answered_again_when_it_changes(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    archive, parts, said = tmp_path / "pictures.zip", tmp_path / "parts", list[str]()
    shutil.make_archive(str(archive.with_suffix("")), "zip", pictures)
    assert pw.predict_parts(bundle, archive, parts, part_size=SIZE, format="parquet").pictures == COUNT
    assert pw.predict_parts(bundle, archive, parts, part_size=SIZE, format="parquet").kept == COUNT
    shutil.copy(pictures / "01.png", pictures / "02.png")
    shutil.make_archive(str(archive.with_suffix("")), "zip", pictures)
    done = pw.predict_parts(bundle, archive, parts, part_size=SIZE, format="parquet", note=said.append)
    assert (done.pictures, len(said)) == (COUNT, 5)
    require_whole(parts, bundle, archive)


@pytest.mark.slow
def test_parts_without_dates_are_compared_by_name_and_a_line_says_so(
    bundle: Path, pictures: Path, tmp_path: Path
) -> None:
    parts, said = tmp_path / "parts", list[str]()
    pw.predict_parts(bundle, pictures, parts, part_size=SIZE)
    for file in parts.glob("part-*.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        file.write_text("".join(f"{json.dumps({k: v for k, v in row.items() if k != 'stamp'})}\n" for row in rows))
    (pictures / "03.png").touch()
    assert pw.predict_parts(bundle, pictures, parts, part_size=SIZE, note=said.append).kept == COUNT
    assert said == ["part-00000.jsonl has no dates of files, so its pictures are compared by name alone"]


@pytest.mark.slow
def test_workers_answer_every_picture_once_and_say_what_one_process_says(
    bundle: Path, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "notes.txt").write_text("no picture")
    parts, said, counted = tmp_path / "parts", list[str](), list[int]()
    done = pw.predict_parts(
        bundle, pictures, parts, part_size=SIZE, workers=2, note=said.append, progress=counted.append
    )
    assert (done.parts, done.pictures, done.kept, done.failed.count) == (5, COUNT, 0, 1)
    assert sum(counted) == COUNT
    assert len(said) == 1
    assert "1 file " in said[0]
    require_whole(parts, bundle, pictures)
    rule = StrangerRule(least_typical=0.5)
    alike = pw.predict_parts(bundle, pictures, tmp_path / "half", part_size=SIZE, workers=2, strangers=rule)
    typical = [answer.typical for answer in pw.predict(bundle, pictures) if isinstance(answer, pw.Prediction)]
    assert [row["typical"] for row in rows_of(tmp_path / "half") if "typical" in row] == typical
    assert alike.strange == sum(value is not None and value <= 0.5 for value in typical) > 0
    (parts / "part-00003.jsonl").unlink()
    done = pw.predict_parts(bundle, pictures, parts, part_size=SIZE, workers=2)
    assert (done.parts, done.pictures, done.kept) == (5, SIZE, COUNT - SIZE)
    (pictures / "00.png").unlink()
    with pytest.raises(RunError, match="has the predictions of other pictures"):
        pw.predict_parts(bundle, pictures, parts, part_size=SIZE, workers=2)
    with pytest.raises(InputError, match="workers must be at least 1, not 0"):
        pw.predict_parts(bundle, pictures, tmp_path / "new", workers=0)


@pytest.mark.slow
@pytest.mark.parametrize("killed", [1, 2])
def test_a_worker_that_is_killed_loses_and_doubles_nothing(
    bundle: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    """The others answer its pictures; if none is left, an error says so, and the same call makes the rest."""
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(*arguments: Any, **options: Any) -> Any:
        started.append(popen(*arguments, **options))
        return started[-1]

    parts, said = tmp_path / "parts", list[str]()

    def kill(count: int) -> None:
        while len(started) < 2:
            time.sleep(0.01)
        for worker in started[:killed]:
            worker.send_signal(signal.SIGKILL)

    monkeypatch.setattr("pennyweight.verbs.parts.workers.subprocess.Popen", start)
    call: dict[str, Any] = {"part_size": 1, "workers": 2, "note": said.append, "progress": kill}
    if killed == 2:
        with pytest.raises(RunError, match=r"the last of 2 workers was killed by signal 9; the same call makes"):
            pw.predict_parts(bundle, pictures, parts, **call)
        started.clear()
        killed = 0
    pw.predict_parts(bundle, pictures, parts, **call)
    assert said in ([], ["a worker was killed by signal 9; other workers answer its pictures"])
    require_whole(parts, bundle, pictures)
    assert len(list(parts.glob("part-*.jsonl"))) == COUNT
    assert all(worker.returncode is not None for worker in started)


@pytest.mark.slow
def test_workers_end_with_the_command_that_is_killed(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    command = [sys.executable, "-m", "pennyweight", "predict", str(bundle), str(pictures), "--parts", str(parts)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    first = subprocess.Popen([*command, "--part-size", "1", "--workers", "2"], **quiet)  # type: ignore[call-overload]
    while not list(parts.glob("part-*.jsonl")):
        time.sleep(0.01)
    children = [int(text) for text in Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()]
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    deadline = time.monotonic() + 30
    while any(is_running(child) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pw.predict_parts(bundle, pictures, parts, part_size=1)
    require_whole(parts, bundle, pictures)


def is_running(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False
