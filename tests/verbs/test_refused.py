"""Strangers that are refused: counted as such, by every output, and by the rule of a classifier."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.cli import main
from pennyweight.core.errors import InputError
from pennyweight.core.strangers import StrangerRule
from pennyweight.verbs.fitting.keep_typicality import measure_typicality

LIMIT = 0.9


@pytest.fixture
def album(tmp_path: Path, noise: Callable[..., NDArray[np.uint8]]) -> Path:
    """Folder of eight pictures and a torn one."""
    folder = tmp_path / "album"
    folder.mkdir()
    for number in range(8):
        Image.fromarray(noise(20, 24, seed=number)).save(folder / f"{number}.png")
    (folder / "torn.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def strange(bundle: pw.Bundle, album: Path) -> list[bool]:
    """Return for each picture that can be read whether it is refused at LIMIT; four and more are, for one line."""
    answers = pw.predict(bundle, album)
    found = [answer.typical <= LIMIT for answer in answers if answer.typical is not None]
    assert sum(found) > 3
    return found


def test_refused_pictures_are_told_from_unreadable_ones(
    bundle: pw.Bundle, album: Path, strange: list[bool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = sum(strange)
    command = ["predict", str(bundle.path), str(album), "--strangers", "refuse", "--least-typical", "90%"]
    assert main([*command, "--csv", str(tmp_path / "rows.csv")]) == 1
    err = capsys.readouterr().err.splitlines()
    assert err[0] == f"note: {refused} of 8 are unlike anything it was taught (90% typical or less)"
    (line,) = (line for line in err if f"no prediction for {refused} pictures, such as {album}/" in line)
    assert line.partition(".png: ")[2].startswith("it is unlike anything the network was taught")
    (torn,) = (line for line in err if "cannot read" in line)
    assert torn.startswith(f"error: cannot read {album}/torn.png: ")
    assert f"{8 - refused} of 9 pictures answered in " in err[-1]
    assert f"; {refused} without a prediction, 1 could not be read; rows in " in err[-1]
    with (tmp_path / "rows.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["error"] != "" for row in rows] == [*strange, True]
    assert [float(row["typical"]) <= LIMIT for row in rows[:-1]] == strange


def test_parts_count_refused_pictures_in_whole_sentences(
    bundle: pw.Bundle, album: Path, strange: list[bool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = sum(strange)
    command = ["predict", str(bundle.path), str(album), "--strangers", "refuse", "--least-typical", "90%"]
    assert main([*command, "--parts", str(tmp_path / "parts")]) == 1
    err = capsys.readouterr().err.splitlines()
    assert f"note: {refused} of 8 are unlike anything it was taught (90% typical or less)" in err
    assert not any(line.startswith("error: ,") for line in err)
    assert any(line.startswith(f"error: no prediction for {refused} pictures, such as ") for line in err)
    assert f"note: {8 - refused} of 9 pictures answered in " in err[-1]
    assert f"{refused} without a prediction, 1 could not be read, for each of which the parts have a row; " in err[-1]
    rows = [json.loads(line) for line in (tmp_path / "parts" / "part-00000.jsonl").read_text().splitlines()]
    assert [row["typical"] <= LIMIT for row in rows[:-1]] == strange
    rule = StrangerRule("refuse", LIMIT)
    done = pw.predict_parts(bundle, album, tmp_path / "again", strangers=rule)
    assert (done.pictures, done.failed.count, done.refused, done.strange) == (9, refused + 1, refused, refused)
    assert f"{8 - refused} picture{'s' * (refused != 7)} answered" in repr(done)
    assert f"{refused} without a prediction, 1 could not be read" in repr(done)


@pytest.mark.parametrize("given", [("--strangers", "refuse"), ("--least-typical", "50%")])
def test_features_follow_no_rule_for_answers(
    bundle: pw.Bundle, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: tuple[str, str]
) -> None:
    assert main(["predict", str(bundle.path), str(album), "--embeddings", str(tmp_path / "e.npy"), *given]) == 1
    err = capsys.readouterr().err
    assert "error: --embeddings writes the features of every picture, and " + given[0] in err
    assert not (tmp_path / "e.npy").exists()


def test_features_count_the_pictures_that_have_any(
    bundle: pw.Bundle, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        (album / f"torn-{number}.png").write_bytes(b"no picture")
    assert main(["predict", str(bundle.path), str(album), "--embeddings", str(tmp_path / "e.npy")]) == 1
    err = capsys.readouterr().err.splitlines()
    assert not any(line.startswith("error: ,") for line in err)
    assert "features of 8 of 13 pictures in " in err[-1]
    assert "; 5 could not be read, for each of which " in err[-1]


def test_a_classifier_takes_another_rule_after_any(bundle: pw.Bundle, album: Path, strange: list[bool]) -> None:
    picture = album / "0.png"
    classifier = pw.load(bundle)
    ignoring = classifier.with_strangers("ignore")
    assert ignoring.predict(picture)[0].typical is None
    assert "typicality" not in repr(ignoring)
    assert ignoring.with_strangers("flag").predict(picture) == classifier.predict(picture)
    refusing = ignoring.with_strangers("refuse", LIMIT)
    assert [isinstance(each, pw.Failure) for each in refusing.stream(sorted(album.glob("?.png")))] == strange


def test_predict_keeps_the_rule_of_a_classifier_unless_another_is_given(
    bundle: pw.Bundle, album: Path, strange: list[bool]
) -> None:
    files = sorted(album.glob("?.png"))
    refusing = pw.load(bundle).with_strangers("refuse", LIMIT)

    def refused(**rule: Any) -> list[bool]:
        return [isinstance(answer, pw.Failure) for answer in pw.predict(refusing, files, **rule)]

    assert refused() == strange
    assert refused(strangers="flag") == [False] * 8
    assert all(answer.typical is None for answer in pw.predict(refusing, files, strangers="ignore"))
    assert sum(refused(least_typical=1 - 1e-9)) >= sum(strange)
    flagging = pw.load(bundle).with_strangers("flag", LIMIT)
    found = pw.predict(flagging, files, strangers="refuse")
    assert [isinstance(answer, pw.Failure) for answer in found] == strange


def test_a_compiled_network_says_that_it_does_not_tell(
    trained: pw.Run, album: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.compile", lambda network, **options: network)
    said: list[str] = []
    classifier = pw.load(trained, engine="torch-compiled", note=said.append)
    assert said == ["torch-compiled does not compute how typical a picture is; leave the engine out, and torch does"]
    assert classifier.predict(album / "0.png")[0].typical is None
    with pytest.raises(InputError, match=r"^torch-compiled does not compute"):
        classifier.with_strangers("refuse")
    command = ["predict", str(trained.folder), str(album / "0.png"), "--engine", "torch-compiled"]
    assert main(command) == 0
    assert f"note: {said[0]}" in capsys.readouterr().err
    assert main([*command, "--strangers", "ignore"]) == 0
    assert capsys.readouterr().err == ""
    assert main([*command, "--strangers", "refuse"]) == 1
    assert capsys.readouterr().err == f"error: {said[0]}\n"


def test_pruning_notes_why_typicality_is_not_kept() -> None:
    said: list[str] = []
    network: Any = None
    few: Any = range(18)
    assert measure_typicality(network, object.__new__(data.Stream), few, said.append) is None
    assert measure_typicality(network, few, few, said.append) is None
    assert said == [
        "typicality is not kept: the training pictures of a stream are not read again",
        "typicality is not kept: 18 validation pictures are too few to tell 5%, which takes 19",
    ]
