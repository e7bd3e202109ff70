import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from pennyweight.core.text import printable, say

STEERS = [
    "\x1b[2J",
    "\n",
    "\r",
    "\t",
    "\0",
    "\x7f",
    "\x9b31m",
    "\u202e",
    "\u2066",
    "\u200f",
    "\ufeff",
    "\u2028",
    "\udcff",
]


@pytest.mark.parametrize("letters", STEERS, ids=ascii)
def test_what_could_steer_a_terminal_is_replaced(letters: str) -> None:
    shown = printable(f"cat{letters}dog")
    assert shown.isprintable()
    assert shown.startswith("cat\\")
    assert shown.endswith("dog")


def test_names_that_differ_are_shown_differently() -> None:
    names = [*(f"cat{letters}" for letters in STEERS), "cat\udcfe", "cat", "cat\u732b", "cat\u72ac"]
    for encoding in (None, "utf-8", "cp1252", "cp437", "ascii", "shift_jis"):
        shown = [printable(name, encoding) for name in names]
        assert len(set(shown)) == len(names)
        assert all(text.isprintable() for text in shown)
        assert [text.encode(encoding or "utf-8") for text in shown]  # nothing else is to be replaced


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("猫", "cp1252", r"\u732b"),
        ("猫", "utf-8", "猫"),
        ("café", "cp1252", "café"),
        ("café", "ascii", r"caf\xe9"),
        ("\udcff", "utf-8", r"\xff"),
        ("\x1b[2J", "ascii", r"\x1b[2J"),
        ("\n", None, r"\n"),
        ("🐈", "cp1252", r"\U0001f408"),
        ("ab", "utf-16", "ab"),
    ],
)
def test_what_a_terminal_cannot_show_is_escaped(text: str, encoding: str | None, shown: str) -> None:
    assert printable(text, encoding) == shown


def test_lines_are_escaped_before_they_are_broken() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "cp1252", newline="\n")
    say("a 猫 b", console=Console(file=stream, width=6, force_terminal=True, color_system=None))
    stream.flush()
    assert raw.getvalue().splitlines() == [b"a", b"\\u732b", b"b"]


@pytest.mark.parametrize(
    "text", ["café", "小猫", "می\u200cخواهم", "👩\u200d🔬", "a\u00a0b\u3000c", "[red]x[/]", ":smile:", ""]
)
def test_words_of_every_language_stay(text: str) -> None:
    assert printable(text) == text
    stream = io.StringIO()
    say(text, console=Console(file=stream, width=4, force_terminal=True, color_system=None))
    assert stream.getvalue() == f"{text}\n"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a line of several words", ["a line of", "several", "words"]),
        ("run     runs/a-very-long-name-1", ["run", "runs/a-very-long-name-1"]),
        ("  two blanks", ["  two", "blanks"]),
        ("小猫 小猫 小猫", ["小猫 小猫", "小猫"]),
        ("", [""]),
    ],
)
def test_on_a_terminal_a_text_breaks_between_words(text: str, lines: list[str]) -> None:
    stream = io.StringIO()
    say(text, console=Console(file=stream, width=10, force_terminal=True, color_system=None))
    assert stream.getvalue().splitlines() == lines
    stream = io.StringIO()
    say(text, console=Console(file=stream, width=10, force_terminal=True, color_system=None), label="no:")
    assert max(map(cell_len, stream.getvalue().splitlines())) <= max(10, *map(cell_len, text.split(" ")))
    assert stream.getvalue().split() == ["no:", *text.split()]
    stream = io.StringIO()
    say(text, console=Console(file=stream, width=10))  # a pipe
    assert stream.getvalue() == f"{text}\n"
