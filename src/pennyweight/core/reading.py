"""Read untrusted files: every fault becomes a typed error that names the file, and no declared size is trusted.

A decoder of a damaged file can raise nearly any error, and a header can declare a thousand times the actual content.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from pennyweight.core.errors import PennyweightError, SourceError

__all__ = ["MAX_RATIO", "SPARE_BYTES", "parse_json", "read_most", "reading", "reason_of", "require_plausible"]

MAX_RATIO = 200
"""Most unpacked bytes for each byte of a file. Pictures hardly compress; decompression bombs shrink a thousandfold."""
SPARE_BYTES = 64 << 20
"""Bytes that any file may unpack to."""


@contextmanager
def reading(where: object, kind: type[PennyweightError] = SourceError) -> Iterator[None]:
    """Convert every error inside to `kind`, "cannot read WHERE: REASON"; typed errors pass unchanged.

    ModuleNotFoundError passes unchanged, too, because its message names the extra to install.
    """
    try:
        yield
    except (PennyweightError, ModuleNotFoundError):
        raise
    except Exception as error:
        raise kind(f"cannot read {where}: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """Return the first line of an exception's message, else the name of its type."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    message = str(error)
    # Libraries raise some OSError without a number; with a file's name added they print as "[Errno None] None".
    if isinstance(error, OSError) and type(error).__str__ is OSError.__str__:
        message = error.strerror or " ".join(map(str, error.args))
    return next((line.strip() for line in message.splitlines() if line.strip()), type(error).__name__)


def read_most(file: IO[bytes], most: int) -> bytes:
    """Return the next bytes of a file, at most `most`. A server's file returns those that have arrived: read on."""
    parts: list[bytes] = []
    while most > 0 and (part := file.read(most)):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def require_plausible(needed: int, stored: int, *, spare: int = SPARE_BYTES) -> None:
    """Raise ValueError if `stored` bytes of a file declare `needed` unpacked bytes, far beyond any compression."""
    if needed > max(spare, MAX_RATIO * stored):
        raise ValueError(
            f"{stored:,} bytes declare {needed:,} unpacked ones, more than {MAX_RATIO} times as many; it looks like a "
            "decompression bomb"
        )


def parse_json(text: str | bytes, where: object, kind: type[PennyweightError] = PennyweightError) -> dict[str, Any]:
    """Parse a JSON object. Raises `kind` with the place, `where`, for anything else, NaN included."""
    with reading(where, kind):
        value = json.loads(text, parse_constant=_no_number)
    if not isinstance(value, dict):
        raise kind(f"cannot read {where}: expected a JSON object, found {type(value).__name__}")
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"it holds {name}, which is not a number of JSON")
