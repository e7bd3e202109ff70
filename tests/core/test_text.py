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
    assert shown.startswith("cat\N{REPLACEMENT CHARACTER}")
    assert shown.endswith("dog")


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
