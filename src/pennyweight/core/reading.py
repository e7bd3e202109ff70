"""Files of strangers: whatever is wrong with one is a typed error that names it, and no header is believed.

A decoder that meets a damaged file can raise nearly anything, and a header can promise a thousand times what follows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pennyweight.core.errors import PennyweightError, SourceError

__all__ = ["MAX_RATIO", "SPARE_BYTES", "believe", "parse_json", "reading", "reason_of"]

MAX_RATIO = 200
"""Unpacked bytes for each byte of a file. Pictures hardly shrink; bombs shrink a thousandfold."""
SPARE_BYTES = 64 << 20
"""What any file may unpack to, whatever its ratio."""


@contextmanager
def reading(where: object, kind: type[PennyweightError] = SourceError) -> Iterator[None]:
    """Raise `kind`, "cannot read WHERE: REASON", for whatever goes wrong inside, but for errors that are typed already.

    A module that is not installed stays what it is: its message names the extra that brings it.
    """
    try:
        yield
    except (PennyweightError, ModuleNotFoundError):
        raise
    except Exception as error:
        raise kind(f"cannot read {where}: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """Return the first line that an exception says, else its kind."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    said = str(error)
    # Libraries raise some OSError without a number; with a file's name added they print as "[Errno None] None".
    if isinstance(error, OSError) and type(error).__str__ is OSError.__str__:
        said = error.strerror or " ".join(map(str, error.args))
    return next((line.strip() for line in said.splitlines() if line.strip()), type(error).__name__)


def believe(needed: int, stored: int, *, spare: int = SPARE_BYTES) -> None:
    """Raise ValueError where `stored` bytes of a file are said to hold `needed` bytes, far more than data shrink to."""
    if needed > max(spare, MAX_RATIO * stored):
        raise ValueError(
            f"{stored:,} bytes declare {needed:,} unpacked ones, more than {MAX_RATIO} times as many; it looks like a "
            "decompression bomb"
        )


def parse_json(text: str | bytes, where: object, kind: type[PennyweightError] = PennyweightError) -> dict[str, Any]:
    """Return the object that a JSON text holds. Raises `kind` that names `where` for anything else, NaN too."""
    with reading(where, kind):
        value = json.loads(text, parse_constant=_no_number)
    if not isinstance(value, dict):
        raise kind(f"cannot read {where}: expected a JSON object, found {type(value).__name__}")
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"it holds {name}, which is no number of JSON")
