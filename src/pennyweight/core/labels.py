"""The names of ImageNet's 1,000 classes, and which class of a network a folder's name means."""

from __future__ import annotations

import difflib
import os
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from pennyweight.core.encodings import not_utf8
from pennyweight.core.errors import InputError, SourceError, nearest
from pennyweight.core.files import require_file
from pennyweight.core.text import composed

__all__ = ["imagenet", "likely_label", "names_in", "numbers_of"]

FEW = 10
"""As many labels stand in an error message."""
FEW_UNKNOWN = 3


def imagenet() -> tuple[str, ...]:
    """What ImageNet-1k's classes are called, in the order in which networks answer; torchvision's spelling."""
    return tuple(_synsets().values())


def names_in(file: str | os.PathLike[str]) -> tuple[str, ...]:
    """The lines of a text file, without empty ones. Raises InputError for a file that cannot be read."""
    try:
        require_file(file)
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()  # Windows begins a text with a mark
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read labels from {file}: {not_utf8(Path(file))}") from error
    except OSError as error:
        raise InputError(f"cannot read labels from {file}: {error}") from error
    return tuple(composed(line.strip()) for line in lines if line.strip())


def numbers_of(
    names: Sequence[str], labels: tuple[str, ...], *, source: str, rename: Mapping[str, str] | None = None
) -> list[int]:
    """Find which of a network's `labels` each name is, by name after `rename` (a source's name -> the network's).

    ImageNet's classes are known by their WordNet synsets too, which is what its folders are called (n01440764). Raises
    SourceError that lists the names that are none of them (with what they are likely to mean, where the caller takes a
    `rename`); InputError for a `rename` of a name that is not there.
    """
    can_rename, rename = rename is not None, {composed(name): composed(to) for name, to in (rename or {}).items()}
    names = [composed(name) for name in names]
    for name in rename:
        if name not in names:
            known = f"; it has {_few(tuple(names))}"
            raise InputError(f"{source} has no class '{name}' to rename{nearest(name, names, otherwise=known)}")
    numbers = {composed(label): number for number, label in enumerate(labels)}
    if labels == imagenet():
        numbers |= {synset: number for number, synset in enumerate(_synsets())}
    for name, meant in rename.items():
        if meant not in numbers:
            likely = likely_label(meant, labels)
            hint = f"; did you mean --rename {name}={likely}?" if likely else f"; it knows {_few(labels)}"
            raise InputError(f"the network has no class '{meant}' for '{name}'{hint}")
    if unknown := [name for name in names if rename.get(name, name) not in numbers]:
        one = len(unknown) == 1
        said = " and ".join(f"'{name}'" for name in unknown[:FEW_UNKNOWN])
        more = f" and {len(unknown) - FEW_UNKNOWN:,} more" if len(unknown) > FEW_UNKNOWN else ""
        raise SourceError(
            f"{source} has {'a class' if one else 'classes'} {said}{more} that the network does not know; "
            f"it knows {_few(labels)}{_renames(unknown, labels) if can_rename else nearest(unknown[0], labels)}"
        )
    return [numbers[rename.get(name, name)] for name in names]


def likely_label(name: str, labels: Sequence[str]) -> str | None:
    """Guess which of `labels` a name means: but for case, spaces and a plural, by its synset, or nearly spelt so."""
    plain = {_plain(label): label for label in reversed(labels)}
    synset = _synsets().get(name) or next((key for key, value in _synsets().items() if value == name), None)
    if synset is not None and synset in labels:
        return synset
    if found := plain.get(_plain(name)):
        return found
    close = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.75)
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    letters = "".join(letter for letter in unicodedata.normalize("NFKD", name).casefold() if letter.isalnum())
    return letters.removesuffix("s") or name


def _few(labels: Sequence[str]) -> str:
    more = len(labels) - FEW
    return f"{', '.join(labels[:FEW])}{f' and {more:,} more' if more > 0 else ''}"


def _renames(unknown: Sequence[str], labels: Sequence[str]) -> str:
    """Return the options that would say what the unknown names are likely to mean."""
    likely = [(name, label) for name in unknown[:FEW_UNKNOWN] if (label := likely_label(name, labels)) is not None]
    if not likely:
        return "; --rename NAME=LABEL says which of them is meant"
    options = [f"--rename {shlex.quote(f'{name}={label}')}" for name, label in likely]
    return f"; did you mean {' '.join(options)}?"


@cache
def _synsets() -> dict[str, str]:
    """WordNet synset -> name, in ImageNet's order."""
    text = Path(__file__).with_name("imagenet.tsv").read_text(encoding="utf-8")
    return dict(line.split("\t") for line in text.splitlines())
