"""Names of ImageNet's 1,000 classes, and matching of class names with a network's labels."""

from __future__ import annotations

import os
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from pennyweight.core.encodings import not_utf8
from pennyweight.core.errors import InputError, SourceError, nearest
from pennyweight.core.files import require_file
from pennyweight.core.reasons import few
from pennyweight.core.text import composed

__all__ = ["imagenet_labels", "likely_label", "match_labels", "read_class_names"]

"""Largest number of labels that an error message lists."""
FEW_UNKNOWN = 3


def imagenet_labels() -> tuple[str, ...]:
    """Return the names of ImageNet-1k's classes in the order of networks' outputs, in torchvision's spelling."""
    return tuple(_synsets().values())


def read_class_names(file: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read class names from a text file, one per line, without empty lines. Raises InputError if it is unreadable."""
    try:
        require_file(file)
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()  # Windows writes a byte order mark
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read labels from {file}: {not_utf8(Path(file))}") from error
    except OSError as error:
        raise InputError(f"cannot read labels from {file}: {error}") from error
    return tuple(composed(line.strip()) for line in lines if line.strip())


def match_labels(
    names: Sequence[str], labels: tuple[str, ...], *, source: str, rename: Mapping[str, str] | None = None
) -> list[int]:
    """Match the class names of a source with a network's labels.

    ImageNet's classes match by their WordNet synsets too, the names of its folders (n01440764).

    Args:
        names: Class names of the source.
        labels: Labels of the network.
        source: Name of the source, for messages.
        rename: Name in the source -> label of the network; None if the caller takes no `rename`.

    Returns:
        The number of each name's label.

    Raises:
        SourceError: Some names are not labels; the message lists them and, with `rename`, the likely labels.
        InputError: `rename` has a name that is not in the source, or a label that is not the network's.
    """
    can_rename, rename = rename is not None, {composed(name): composed(to) for name, to in (rename or {}).items()}
    names = [composed(name) for name in names]
    for name in rename:
        if name not in names:
            known = f"; it has {few(tuple(names))}"
            raise InputError(f"{source} has no class '{name}' to rename{nearest(name, names, otherwise=known)}")
    numbers = {composed(label): number for number, label in enumerate(labels)}
    if labels == imagenet_labels():
        numbers |= {synset: number for number, synset in enumerate(_synsets())}
    for name, meant in rename.items():
        if meant not in numbers:
            likely = likely_label(meant, labels)
            hint = f"; did you mean --rename {name}={likely}?" if likely else f"; it knows {few(labels)}"
            raise InputError(f"the network has no class '{meant}' for '{name}'{hint}")
    if unknown := [name for name in names if rename.get(name, name) not in numbers]:
        one = len(unknown) == 1
        listed = " and ".join(f"'{name}'" for name in unknown[:FEW_UNKNOWN])
        more = f" and {len(unknown) - FEW_UNKNOWN:,} more" if len(unknown) > FEW_UNKNOWN else ""
        raise SourceError(
            f"{source} has {'a class' if one else 'classes'} {listed}{more} that the network does not know; "
            f"it knows {few(labels)}{_renames(unknown, labels) if can_rename else nearest(unknown[0], labels)}"
        )
    return [numbers[rename.get(name, name)] for name in names]


def likely_label(name: str, labels: Sequence[str]) -> str | None:
    """Guess the label that a name means: equal but for case, spaces and plural, its synset, or a similar spelling."""
    import difflib

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


def _renames(unknown: Sequence[str], labels: Sequence[str]) -> str:
    """Return the end of a message with `--rename` options for the likely labels of unknown names."""
    likely = [(name, label) for name in unknown[:FEW_UNKNOWN] if (label := likely_label(name, labels)) is not None]
    if not likely:
        return "; --rename NAME=LABEL gives the label of a name"
    options = [f"--rename {shlex.quote(f'{name}={label}')}" for name, label in likely]
    return f"; did you mean {' '.join(options)}?"


@cache
def _synsets() -> dict[str, str]:
    """Return WordNet synset -> name, in ImageNet's order."""
    text = Path(__file__).with_name("imagenet.tsv").read_text(encoding="utf-8")
    return dict(line.split("\t") for line in text.splitlines())
