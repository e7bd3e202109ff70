"""Text for a terminal, a page or a picture, whatever the name of a file or a label holds."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["composed", "printable", "say"]

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Persian and Indic words, and many emoji, are written with them; they change nothing but the letters beside them."""


def composed(name: str) -> str:
    """Return a name with composed letters (NFC), as names are compared: a Mac stores the accent of é by itself."""
    return unicodedata.normalize("NFC", name)


def printable(text: str) -> str:
    """Return `text` as one line that steers nothing: � for each control, bidirectional override and broken letter."""
    return text if text.isprintable() else "".join(letter if _shows(letter) else REPLACEMENT for letter in text)


def say(*lines: str, console: Console | None = None, error: bool = False) -> None:
    """Print each text as one line, literally: brackets and colons are no markup, and no letter steers the terminal.

    They go to `console`, by default standard output, or standard error with `error`.
    """
    from rich.console import Console  # 0.03 s: only those who print pay
    from rich.text import Text

    console = console or Console(stderr=error)
    for line in lines:
        console.print(Text(printable(line)), soft_wrap=True)


def _shows(letter: str) -> bool:
    return letter.isprintable() or letter in JOINERS or unicodedata.category(letter) == "Zs"
