"""The folder of files that can be had again, also for a user without name, home or a folder to write."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennyweight.core import cache
from pennyweight.core.cache import LENT, cache_folder, cached_file, cached_files, lend_folders, make_cache_folder

UID = os.getuid()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a folder with a temporary folder `tmp` and a home `home`; nothing else is set."""
    for name in ("PENNYWEIGHT_CACHE", "XDG_CACHE_HOME", "RANK"):
        monkeypatch.delenv(name, raising=False)
    for name in ("tmp", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    cache._say_once.cache_clear()
    return tmp_path


def without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a user whom the system does not know, and who has no HOME."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(bare / "own"))
    assert cache_folder("weights") == bare / "own" / "weights"
    assert cached_file("weights", "a.pth") == bare / "own" / "weights" / "a.pth"


def test_the_cache_is_the_users(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = cache_folder("weights")
    assert folder == bare / "home" / ".cache" / "pennyweight" / "weights"
    make_cache_folder(folder)
    assert folder.is_dir()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["no home", "home is a file", "home is below a file", "a relative home"])
def test_without_a_home_files_are_kept_in_the_temporary_folder(
    monkeypatch: pytest.MonkeyPatch, bare: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    (bare / "file").touch()
    if kind == "no home":
        without_a_home(monkeypatch)
    elif kind == "a relative home":
        without_a_home(monkeypatch)
        monkeypatch.setenv("HOME", "home")
    else:
        monkeypatch.setenv("HOME", str(bare / ("file" if kind == "home is a file" else "file/home")))
    private = bare / "tmp" / f"pennyweight-{UID}"
    folder = cache_folder("weights")
    assert folder == private / "weights"
    assert capsys.readouterr().err == ""  # nothing is kept yet
    for _ in range(2):
        make_cache_folder(folder)
    assert private.stat().st_mode & 0o777 == 0o700
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(private) in said
    assert "PENNYWEIGHT_CACHE" in said


def test_other_ranks_say_nothing(
    monkeypatch: pytest.MonkeyPatch, bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without_a_home(monkeypatch)
    monkeypatch.setenv("RANK", "1")
    make_cache_folder(cache_folder("weights"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["a link", "a file", "open to others"])
def test_a_folder_that_another_user_could_change_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, bare: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    without_a_home(monkeypatch)
    private = bare / "tmp" / f"pennyweight-{UID}"
    if kind == "a link":
        (bare / "elsewhere").mkdir()
        private.symlink_to(bare / "elsewhere")
    elif kind == "a file":
        private.touch()
    else:
        private.mkdir()
        private.chmod(0o777)
    folder = cache_folder("weights")
    assert not folder.is_relative_to(bare / "tmp")
    assert not cached_file("weights", "a.pth").exists()
    with pytest.raises(OSError, match="pennyweight"):
        make_cache_folder(folder)
    assert "nothing is kept" in capsys.readouterr().err


def test_without_a_temporary_folder_nothing_is_kept(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    without_a_home(monkeypatch)

    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(OSError, match="pennyweight"):
        make_cache_folder(cache_folder("weights"))


def test_the_working_folder_is_no_temporary_folder(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    without_a_home(monkeypatch)
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.chdir(bare)
    monkeypatch.setattr(tempfile, "tempdir", str(bare))
    assert not cache_folder("weights").is_relative_to(bare)


def test_a_file_of_a_read_only_home_is_found(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    monkeypatch.setattr(cache, "_can_write", lambda folder: False)
    kept = bare / "home" / ".cache" / "pennyweight" / "weights" / "a.pth"
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert cached_file("weights", "a.pth") == kept
    assert cached_file("weights", "b.pth") == bare / "tmp" / f"pennyweight-{UID}" / "weights" / "b.pth"
    again = bare / "tmp" / f"pennyweight-{UID}" / "weights" / "a.pth"
    assert cached_files("weights", "*.pth") == [kept]
    make_cache_folder(again.parent)
    again.touch()
    assert cached_file("weights", "a.pth") == again  # what was written since
    assert cached_files("weights", "*.pth") == [again]


READS = "-all,+dac_read_search"
READER = f"--reuid=54321 --regid=54321 --clear-groups --inh-caps={READS} --ambient-caps={READS}"
"""Options of a user without a name, who may read the interpreter wherever it is, and write nothing of others."""


def _can_become_another() -> bool:
    tool = shutil.which("setpriv")
    return tool is not None and UID == 0 and not subprocess.run([tool, *READER.split(), "true"], check=False).returncode


def test_other_libraries_are_lent_folders_where_there_is_no_home(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    for name in LENT:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    lend_folders()
    assert not set(LENT) & set(os.environ)
    without_a_home(monkeypatch)
    monkeypatch.setenv("HF_HOME", "/mine")
    lend_folders()
    assert os.environ["MPLCONFIGDIR"] == str(bare / "tmp" / f"pennyweight-{UID}" / "matplotlib")
    assert os.environ["HF_HOME"] == "/mine"
    before = os.umask(0o002)  # as on OpenShift
    try:
        Path(os.environ["MPLCONFIGDIR"]).mkdir(parents=True)
    finally:
        os.umask(before)
    assert cache_folder("weights").is_relative_to(bare / "tmp")


ROOT = pytest.mark.skipif(not _can_become_another(), reason="only root, with setpriv of util-linux, can do that")
PLACES = {
    "no HOME": {},
    "a HOME that is not there": {"HOME": "/nonexistent"},
    "the root as HOME": {"HOME": "/"},
    "an odd XDG_CACHE_HOME": {"HOME": "/nonexistent", "XDG_CACHE_HOME": "caches"},
    "a TMPDIR that cannot be written": {"TMPDIR": "/proc"},
}


def as_nobody(folder: Path, program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a user without a name, in a folder that it cannot write."""
    source = str(Path(cache.__file__).parents[2])
    mine = {"PATH": os.environ["PATH"], "PYTHONPATH": source, "OMP_NUM_THREADS": "1", **variables}
    command = ["setpriv", *READER.split(), sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=mine, cwd=folder)


@pytest.mark.slow
@ROOT
def test_a_user_without_name_and_home_gets_help_and_a_cache() -> None:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    program = "from pennyweight.cli import main; raise SystemExit(main(['predict', 'no-such-folder', 'a.png']))"
    done = as_nobody(folder, program)
    folder.rmdir()
    assert done.returncode == 1
    assert "no-such-folder" in done.stderr
    assert "unexpected" not in done.stderr


def draw_pictures(folder: Path) -> None:
    """Write two classes of twelve pictures, which train in a moment."""
    draw = np.random.default_rng(0)
    for label, level in (("bright", 200), ("dark", 40)):
        (folder / label).mkdir(parents=True)
        for number in range(12):
            pixels = np.clip(draw.normal(level, 15, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")


SHALLOW = ["--model", "mobilenet_v1_x0_25", "--config", "stages=[[32, 1, 1], [64, 1, 2]]"]
COMMANDS = {
    "weigh": ["weigh", "mobilenet_v1_x0_25"],
    "names": ["names"],
    "doctor": ["doctor", "{pictures}"],
    "fit": ["fit", "{pictures}", *SHALLOW, "--input-size", "16", "--epochs", "1", "--out", "{out}/run"],
    "export": ["export", "{out}/run"],
    "predict": ["predict", "{out}/run/model.onnx", "{pictures}"],
    "evaluate": ["evaluate", "{out}/run/model.onnx", "{pictures}"],
}
TOGETHER = (("names", "weigh", "doctor", "fit", "export", "evaluate"), ("predict",))
"""Commands that one process runs: with torch, they would load it five times."""
APART = (("weigh",), ("names", "doctor", "fit"), ("export", "evaluate"), ("predict",))
PROCESSES = {place: APART if place == "no HOME" else TOGETHER for place in PLACES}


@ROOT
@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_containers_user_runs_the_commands_of_the_demo(place: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "out").mkdir()
        (folder / "out").chmod(0o777)
        draw_pictures(folder / "pictures")
        for names in PROCESSES[place]:
            calls = [
                [word.format(out=folder / "out", pictures=folder / "pictures") for word in COMMANDS[name]]
                for name in names
            ]
            program = f"from pennyweight.cli import main; raise SystemExit(max(main(words) for words in {calls!r}))"
            done = as_nobody(folder, program, **PLACES[place])
            assert done.returncode == 0, (names, done.stderr)
            assert "unexpected" not in done.stderr
            assert "Traceback" not in done.stderr


def test_a_librarys_own_folder_in_a_home_that_cannot_be_written_is_read(
    monkeypatch: pytest.MonkeyPatch, bare: Path, tmp_path: Path
) -> None:
    for name in LENT:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    users = tmp_path / "image" / ".cache" / "pennyweight"
    (users.parent / "huggingface").mkdir(parents=True)
    monkeypatch.setattr(cache, "_users_folder", lambda: users)
    monkeypatch.setattr(cache, "_can_write", lambda folder: folder != users)
    lend_folders()
    assert "HF_HOME" not in os.environ
    assert os.environ["MPLCONFIGDIR"] == str(bare / "tmp" / f"pennyweight-{UID}" / "matplotlib")
