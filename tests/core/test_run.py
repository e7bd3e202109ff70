"""Run folders."""

import json
import os
from pathlib import Path

import pytest

from pennyweight.core.errors import PennyweightError, RunError
from pennyweight.core.run import Run, new_run_folder


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "pets-1"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"seed": 3, "data": {"labels": ["b", "a"]}}))
    return folder


@pytest.mark.parametrize("spell", [str, Path])
def test_a_run_says_what_its_folder_says(run_folder: Path, spell: type) -> None:
    run = Run(spell(run_folder))
    assert run.record["seed"] == 3
    assert run.labels == ["b", "a"]
    assert run.weights_path == run_folder / "weights.safetensors"
    assert run.bundle_path == run_folder / "model.onnx"


def test_the_evaluation_is_read_once_it_is_there(run_folder: Path) -> None:
    run = Run(run_folder)
    with pytest.raises(RunError, match="training did not finish"):
        _ = run.evaluation
    run.evaluation_path.write_text('{"accuracy": 0.5}')
    assert run.evaluation == {"accuracy": 0.5}


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no run at .*nowhere: there is no such folder"):
        Run(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"is not a run: it has no run\.json"):
        Run(tmp_path)


def test_a_damaged_record_names_its_file(run_folder: Path) -> None:
    (run_folder / "run.json").write_text("{")
    with pytest.raises(PennyweightError, match=r"run\.json"):
        _ = Run(run_folder).record


def test_without_a_name_the_first_free_number_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert new_run_folder(None, "pets") == Path("runs/pets-1")
    assert not Path("runs").exists()
    for taken in ("pets-1", "pets-3", "birds-2"):
        Path("runs", taken).mkdir(parents=True)
    Path("runs/pets-2").write_text("a file takes a name too")
    assert new_run_folder(None, "pets") == Path("runs/pets-4")
    assert new_run_folder(None, "birds") == Path("runs/birds-1")


def test_without_a_name_a_place_that_takes_no_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").write_text("a file")
    with pytest.raises(RunError, match="cannot make a run"):
        new_run_folder(None, "pets")


def test_a_name_that_is_free_is_kept_and_not_made(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "new"
    assert new_run_folder(str(out), "pets") == out
    assert not out.parent.exists()


@pytest.mark.parametrize("kind", ["folder", "file", "broken link"])
def test_a_name_that_exists_is_refused(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "here"
    {"folder": out.mkdir, "file": out.touch, "broken link": lambda: out.symlink_to(tmp_path / "gone")}[kind]()
    with pytest.raises(RunError, match=r"here exists already"):
        new_run_folder(out, "pets")


def test_a_name_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="not a folder that can be written to"):
        new_run_folder(tmp_path / "file" / "run", "pets")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_name_where_nothing_may_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="not a folder that can be written to"):
        new_run_folder(tmp_path / "run", "pets")
