"""What is printed on terminals of few letters keeps names apart; what a program reads is UTF-8."""

import csv
import io
import sys

import pytest

from pennyweight.cli import answers, main
from pennyweight.core.prediction import Failure, Prediction


class Screen(io.TextIOWrapper):
    """Standard output in an encoding; a terminal or a pipe."""

    def __init__(self, encoding: str, *, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding, newline="\n")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def content(self) -> bytes:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


def answer(label: str) -> Prediction:
    """A picture and its label, both named so."""
    return Prediction(source=f"{label}.png", label=label, probability=0.5, top=((label, 0.5), ("猫", 0.25)))


@pytest.mark.parametrize(("terminal", "shown"), [(False, "猫"), (True, r"\u732b")])
def test_rows_for_a_program_are_utf_8_and_those_for_a_terminal_are_escaped(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, shown: str
) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Screen("cp1252", terminal=terminal))
    with answers.as_csv("-", 1) as write:
        write(answer("猫"))
        write(Failure(source="犬.png", error="cannot read 犬.png: it is empty"))
    rows = list(csv.DictReader(io.StringIO(screen.content().decode("cp1252" if terminal else "utf-8"))))
    assert [row["label"] for row in rows] == [shown, ""]
    assert rows[0]["source"] == f"{shown}.png"


@pytest.mark.parametrize("count", [2, answers.PAGE + 2])
def test_rows_of_a_table_stay_apart_and_in_line(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stdout", screen := Screen("cp1252", terminal=False))
    with answers.as_table() as write:
        for number in range(count):
            write(answer("猫犬"[number % 2]))
    lines = screen.content().decode("cp1252").splitlines()[-2:]
    assert [line.split()[0].strip("|") for line in lines] == [r"\u732b.png", r"\u72ac.png"]
    assert len({line.index("50.0%") for line in lines}) == 1


def test_errors_keep_names_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen("cp1252", terminal=False))
    for name in ("猫", "犬", "\x1b[2J", "\udcff"):
        assert main(["names", name]) != 0
    said = [line for line in screen.content().splitlines() if b"error" in line]
    assert len(set(said)) == 4
    assert b"\x1b" not in screen.content()
