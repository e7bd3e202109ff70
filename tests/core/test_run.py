"""Run folders."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from pennyweight.core.errors import PennyweightError, RunError
from pennyweight.core.files import read_json
from pennyweight.core.locks import holding
from pennyweight.core.run import Run, making_folder, next_run_folder, write_record


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


def test_an_evaluation_of_an_earlier_version_is_read_under_the_present_names(run_folder: Path) -> None:
    old = {"mean_centres": 1.5, "mean_centres_own_class": 0.5, "share": 0.1}
    new = {"mean_training_pixels": 1.5, "mean_training_pixels_own_class": 0.5, "share": 0.1}
    run = Run(run_folder)
    run.evaluation_path.write_text(
        json.dumps({"kappa": 0.5, "leakage": old, "baselines": {"nearest neighbour": {"kappa": 0.4, "leakage": old}}})
    )
    assert run.evaluation == {
        "kappa": 0.5,
        "leakage": new,
        "baselines": {"nearest neighbor": {"kappa": 0.4, "leakage": new}},
    }


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no run at .*nowhere: there is no such folder"):
        Run(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"is not a run: it has no run\.json"):
        Run(tmp_path)


def test_a_damaged_record_names_its_file(run_folder: Path) -> None:
    (run_folder / "run.json").write_text("{")
    with pytest.raises(PennyweightError, match=r"run\.json"):
        _ = Run(run_folder).record


def test_a_new_run_has_a_number_above_all_that_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert next_run_folder("pets") == Path("runs/pets-1")
    assert not Path("runs").exists()
    for taken in ("pets-1", "pets-3", "birds-2", "pets-x", "pets-1-2"):
        Path("runs", taken).mkdir(parents=True)
    Path("runs/pets-4").write_text("a file takes a name too")
    assert next_run_folder("pets") == Path("runs/pets-5")
    assert next_run_folder("birds") == Path("runs/birds-3")


def test_a_folder_is_made_by_one_alone_and_held(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "new"
    with making_folder(folder):
        assert (folder / ".lock").read_text().startswith(f"process {os.getpid()} on ")
        with pytest.raises(FileExistsError), making_folder(folder):
            pass
        with (
            pytest.raises(RunError, match=rf"new is being written by process {os.getpid()} on .*: wait"),
            holding(folder),
        ):
            pass
        (folder / "kept").touch()
    assert [path.name for path in folder.iterdir()] == ["kept"]


def test_a_folder_that_nothing_came_of_goes_with_those_above_that_were_made_for_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(ZeroDivisionError), making_folder(tmp_path / "mine" / "deep" / "new"):
        raise ZeroDivisionError
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_folder_that_another_run_lies_in_stays(tmp_path: Path) -> None:
    with making_folder(tmp_path / "runs" / "first"):
        (tmp_path / "runs" / "second").mkdir()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["second"]


def test_the_lock_of_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    program = "import os, sys, pathlib; from pennyweight.core.locks import holding\n"
    program += "with holding(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
    assert (tmp_path / ".lock").exists()
    with holding(tmp_path):
        pass
    assert not (tmp_path / ".lock").exists()


def test_a_name_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="not a folder that can be written to"), making_folder(tmp_path / "file" / "run"):
        pass


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_name_where_nothing_may_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="not a folder that can be written to"), making_folder(tmp_path / "run"):
        pass


@pytest.fixture
def kept(tmp_path: Path) -> Run:
    """A run with digests."""
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    (tmp_path / "evaluation.json").write_text('{"accuracy": 0.5}')
    path = tmp_path / "run.json"
    write_record(path, {"model": {"config": {}}, "data": {"labels": ["b", "é"]}, "loss": 0.1 + 0.2, "n": 3})
    write_record(path, read_json(path), tmp_path / "weights.safetensors", tmp_path / "evaluation.json")
    return Run(tmp_path)


def test_a_record_says_the_digests_of_its_files_and_its_own(kept: Run) -> None:
    assert kept.record["sha256"].keys() == {"run.json", "weights.safetensors", "evaluation.json"}
    assert kept.whole(kept.weights_path) == kept.weights_path
    assert kept.notes == ()


def test_spaces_and_the_order_of_keys_are_free(kept: Run) -> None:
    turned = dict(reversed(kept.record.items()))
    kept.record_path.write_text(json.dumps(turned, indent=7))
    assert Run(kept.folder).record == kept.record


def test_every_flipped_byte_of_a_record_is_refused_or_changes_nothing(kept: Run) -> None:
    content = kept.record_path.read_bytes()
    for place in range(len(content)):
        kept.record_path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with suppress(PennyweightError):
            assert Run(kept.folder).record == kept.record, content[place - 9 : place + 9]


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"weightz"), Path.unlink])
def test_a_file_that_is_not_what_was_scored_is_refused(kept: Run, change: Callable[[Path], None]) -> None:
    change(kept.weights_path)
    with pytest.raises(
        RunError, match=r"weights\.safetensors (has another SHA-256|is missing).*restore it from a copy"
    ):
        kept.whole(kept.weights_path)
    kept.evaluation_path.write_text('{"accuracy": 0.6}')
    with pytest.raises(RunError, match=r"evaluation\.json has another SHA-256"):
        _ = kept.evaluation


def test_a_run_of_before_digests_says_that_it_cannot_be_checked(run_folder: Path) -> None:
    run = Run(run_folder)
    assert run.whole(run.weights_path) == run.weights_path
    (note,) = run.notes
    assert "was made before runs kept checksums" in note
