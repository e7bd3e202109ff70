"""Make any text, such as names of files and labels, safe for a terminal, a page or a picture."""

from __future__ import annotations

import io
import re
import sys
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "FORMULA",
    "as_utf8",
    "as_written",
    "composed",
    "no_formula",
    "pieces",
    "printable",
    "say",
    "write_as_file",
]

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Characters that begin a formula in a spreadsheet."""

JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Joiners of Persian and Indic words and of many emoji; they affect adjacent letters only."""

PIECE = re.compile(r"[^-_./\\:,;=+@|&]*[-_./\\:,;=+@|&]+|[^-_./\\:,;=+@|&]+")


def pieces(name: str) -> list[str]:
    """Divide a long name after its separators, where a line may break: "a/b_c.jpg" -> "a/", "b_", "c.", "jpg"."""
    return PIECE.findall(name)


def composed(name: str) -> str:
    """Return a name in Unicode NFC, in which names are compared: macOS stores é as two code points."""
    return unicodedata.normalize("NFC", name)


def no_formula(text: str) -> str:
    """Put a quotation mark before text that a spreadsheet would compute; numbers stay."""
    if not text.startswith(FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def as_written(text: str) -> str:
    """Return text as it was before `no_formula`."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def printable(text: str, encoding: str | None = None) -> str:
    """Return `text` as one harmless line, with an escape for each letter that cannot be shown, so that names differ.

    Escaped are control characters (`\\x1b`), bidirectional overrides (`\\u202e`), bytes of file names that are not
    UTF-8 (`\\xff`), and letters that `encoding`, such as "cp1252", does not have (`\\u732b`).
    """
    if not text.isprintable():
        text = "".join(letter if _shows(letter) else _escaped(letter) for letter in text)
    return text if encoding is None else text.encode(encoding, "backslashreplace").decode(encoding)


def write_as_file() -> None:
    """Write standard output as UTF-8 from here on, unless it is a terminal: a program reads it, as it reads a file."""
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")


def say(*lines: str, console: Console | None = None, error: bool = False, label: str = "") -> None:
    """Print each text literally: without markup, and without characters that control the terminal.

    On a terminal a long text breaks between words; elsewhere, as in a log, each text is one line.

    Args:
        lines: Texts to print.
        console: Console to print on; by default that of standard output.
        error: Print on standard error instead of standard output.
        label: Word in red before each text, such as "error:".
    """
    from rich.console import Console  # takes 0.03 s, so only where a line is printed
    from rich.text import Text

    console = console or Console(stderr=error)
    for line in (printable(line, console.encoding) for line in lines):
        text = f"{label} {line}" if label else line
        for number, part in enumerate(_break_lines(text, console.width) if console.is_terminal else [text]):
            shown = Text(part)
            if number == 0:
                shown.stylize("bold red", 0, len(label))
            console.print(shown, soft_wrap=True)


def _break_lines(text: str, width: int) -> list[str]:
    """Break a text at blanks into lines of at most `width` cells; a longer word, such as a path, stays whole."""
    from rich.cells import cell_len

    lines = [""]
    for number, word in enumerate(text.split(" ")):
        longer = f"{lines[-1]} {word}" if number else word
        if not lines[-1].strip() or cell_len(longer) <= width:
            lines[-1] = longer
        elif word:
            lines[-1:] = [lines[-1].rstrip(" "), word]
    return lines


def _shows(letter: str) -> bool:
    return letter.isprintable() or letter in JOINERS or unicodedata.category(letter) == "Zs"


def _escaped(letter: str) -> str:
    """Return the escape of a letter; a lone surrogate stands for a byte of a file name (PEP 383)."""
    code = ord(letter)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else letter.encode("unicode_escape").decode("ascii")


def as_utf8(text: str) -> str:
    """Return text with an escape for each byte of a file name that is not UTF-8."""
    return text.encode(errors="backslashreplace").decode()
