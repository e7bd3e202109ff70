"""Guess the encoding of a text file that is not UTF-8, for messages."""

from __future__ import annotations

import codecs
from pathlib import Path

__all__ = ["not_utf8"]

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def not_utf8(path: Path) -> str:
    """Return a line with the likely encoding of a file and the remedy."""
    with path.open("rb") as file:
        start = file.read(4096)
    wide = start.startswith(UTF16) or b"\0" in start
    return f"it is {'UTF-16' if wide else 'in another encoding than UTF-8, such as cp1252'}; save it as UTF-8"
