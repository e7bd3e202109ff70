"""A storage that cannot be reached is one line without a password, and a killed writer spoils no journal."""

import json
import re
import socket
from pathlib import Path

import pytest

pytest.importorskip("optuna")

from pennyweight.core.errors import InputError, RunError
from pennyweight.search import journal
from pennyweight.search.storage import open_storage, without_password, working_storage
from pennyweight.search.study import Study


def refusal(place: str) -> str:
    with pytest.raises(InputError) as refused:
        open_storage(place, option="--storage")
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("no-such-folder/trials.journal", "no-such-folder/trials.journal cannot be opened: No such file"),
        (".", ". cannot be opened: Is a directory"),
        ("postgres://me:secret@nowhere/db", "postgres://me@nowhere/db .*: no such kind of database; did you mean 'po"),
        ("mysql+pymysql://me:secret@nowhere/db", "me@nowhere/db .*: its driver is not installed: pip install pymysql"),
        ("mysql://me:secret@nowhere/db", "its driver is not installed: pip install mysqlclient"),
        ("sqlite:////no-such-folder/trials.db", "unable to open database file"),
        ("sqlite://me:a@secret@nowhere/trials.db", "its password has a character that an address writes as %XX"),
        ("://me:secret@nowhere", "no address such as postgresql"),
    ],
)
def test_what_cannot_be_opened_is_one_line_without_its_password(place: str, message: str) -> None:
    assert re.search(message, refusal(place))


def test_a_server_that_is_not_there_is_one_line_without_its_password() -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as taken:  # bound and not listening: it refuses
        taken.bind(("127.0.0.1", 0))
        place = f"postgresql+psycopg://me:secret@127.0.0.1:{taken.getsockname()[1]}/db"
        assert "me@127.0.0.1" in (line := refusal(place))
        assert line.endswith("Connection refused")


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("/a/b@c.journal", "/a/b@c.journal"),
        ("mysql://me:se@cret@host/db", "mysql://me@host/db"),
        ("postgresql://host/db?user=me&password=secret&a=b", "postgresql://host/db?user=me&password=…&a=b"),
        ("sqlite:///trials.db", "sqlite:///trials.db"),
    ],
)
def test_an_address_is_shown_without_its_password(place: str, shown: str) -> None:
    assert without_password(place) == shown


@pytest.mark.parametrize("content", ["a poem", "a poem\n", '{"epoch": 1}\n', '{"op_code":0}\nrose\n', "[1]", "\n"])
def test_a_file_that_is_no_journal_is_refused_and_stays_as_it_is(content: str, tmp_path: Path) -> None:
    path = tmp_path / "poem.txt"
    path.write_text(content, encoding="utf-8")
    assert "is not one of a journal of trials" in refusal(str(path))
    assert path.read_text(encoding="utf-8") == content


@pytest.mark.parametrize("torn", ['{"op_code":4,"worker', "{", "\0\0\0", '{"op_code":1}'])
def test_a_line_that_a_killed_worker_left_unfinished_is_dropped(torn: str, tmp_path: Path) -> None:
    path = tmp_path / "trials.journal"
    one = Study(str(path), "s")
    one.add("a")
    with path.open("a", encoding="ascii") as file:
        file.write(torn)
    other = Study(str(path), "s")
    other.add("b")
    one.add("c")
    assert [trial.name for trial in one.trials] == [trial.name for trial in other.trials] == ["a", "b", "c"]
    assert all(json.loads(line) for line in path.read_text(encoding="ascii").splitlines())


@pytest.mark.slow
def test_the_lock_of_a_killed_worker_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(journal, "LOCK_S", 3)
    Path("trials.journal.lock").touch()
    study = Study("trials.journal", "s")
    study.add("a")
    assert [trial.name for trial in study.trials] == ["a"]
    assert not Path("trials.journal.lock").exists()


def test_a_storage_that_is_lost_during_a_search_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    place = str(folder / "trials.journal")
    study = Study(place, "s")
    folder.rename(tmp_path / "elsewhere")
    lost = pytest.raises(
        RunError, match=r"trials\.journal no longer answers: No such file.*; trials that have ended are"
    )
    with lost, working_storage(place):
        study.add("a")
