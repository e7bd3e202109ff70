"""Errors by kind. Every message is one line: the value received, the rule, the nearest thing that works.

PennyweightError
├── InputError       a value, name or setting that cannot be used (also a ValueError)
├── ImageError       a file that is not a picture that can be read
├── SourceError      a source of pictures that cannot be trained or scored on
├── RunError         a run folder that is missing, incomplete or in the way
├── BundleError      a bundle that cannot be opened
├── DownloadError    a file that cannot be fetched, or is not what its publisher says
├── ParityError      an exported graph that does not answer as its network does
└── MissingPart      an optional part of Pennyweight that is not installed (also an ImportError)
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "BundleError",
    "DownloadError",
    "ImageError",
    "InputError",
    "MissingPart",
    "ParityError",
    "PennyweightError",
    "RunError",
    "SourceError",
    "nearest",
    "received",
]

NEAR = 0.6
"""Least similarity of two words for a suggestion; at 0.5 'nofolder' was taken for 'flowers'."""


class PennyweightError(Exception):
    """Base of all errors that Pennyweight raises on purpose."""


class InputError(PennyweightError, ValueError):
    """A value, name or setting that cannot be used."""


class ImageError(PennyweightError):
    """A file that is not a picture that can be read."""


class SourceError(PennyweightError):
    """A source of pictures that cannot be trained or scored on."""


class RunError(PennyweightError):
    """A run folder that is missing, incomplete or in the way."""


class BundleError(PennyweightError):
    """A bundle that cannot be opened."""


class DownloadError(PennyweightError):
    """A file that cannot be fetched, or is not what its publisher says."""


class ParityError(PennyweightError):
    """An exported graph that does not answer as its network does."""


class MissingPart(PennyweightError, ImportError):  # noqa: N818 - said as a person would
    """An optional part of Pennyweight that is not installed."""


def nearest(received: str, choices: Iterable[str], *, otherwise: str = "") -> str:
    """Return the end of an error message: "; did you mean 'x'?" for the closest choice, else `otherwise`.

    Small and capital letters are alike; of choices that differ in nothing else the first is the closest.
    """
    import difflib

    folded: dict[str, str] = {}
    for choice in choices:
        folded.setdefault(choice.casefold(), choice)
    close = difflib.get_close_matches(received.casefold(), folded, n=1, cutoff=NEAR)
    return f"; did you mean '{folded[close[0]]}'?" if close else otherwise


def received(value: object) -> str:
    """Return a value as a message names it: its type, and its text where that is short."""
    shown = repr(value)
    return type(value).__name__ if value is None or len(shown) > 40 else f"{type(value).__name__} {shown}"
