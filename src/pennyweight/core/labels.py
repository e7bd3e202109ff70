"""The names of ImageNet's 1,000 classes, and which class of a network a folder's name means."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pennyweight.core.errors import InputError, SourceError, nearest

__all__ = ["imagenet", "names_in", "numbers_of"]

FEW = 10
"""As many labels stand in an error message."""


def imagenet() -> tuple[str, ...]:
    """What ImageNet-1k's classes are called, in the order in which networks answer; torchvision's spelling."""
    return tuple(_synsets().values())


def names_in(file: str | os.PathLike[str]) -> tuple[str, ...]:
    """The lines of a text file, without empty ones. Raises InputError for a file that cannot be read."""
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read labels from {file}: {error}") from error
    return tuple(line.strip() for line in lines if line.strip())


def numbers_of(names: Sequence[str], labels: tuple[str, ...], *, source: str) -> list[int]:
    """Which of a network's `labels` each name is. ImageNet's classes are known by their WordNet synsets too, which is
    what its folders are called (n01440764). Raises SourceError for the first name that is none of them."""
    numbers = {label: number for number, label in enumerate(labels)}
    if labels == imagenet():
        numbers |= {synset: number for number, synset in enumerate(_synsets())}
    for name in names:
        if name not in numbers:
            few = len(labels) <= FEW
            known = f"; it knows {', '.join(labels[:FEW])}{'' if few else f' and {len(labels) - FEW:,} more'}"
            hint = known if few else nearest(name, labels, otherwise=known)
            raise SourceError(f"{source} has a class '{name}' that the network does not know{hint}")
    return [numbers[name] for name in names]


@cache
def _synsets() -> dict[str, str]:
    """WordNet synset -> name, in ImageNet's order."""
    text = Path(__file__).with_name("imagenet.tsv").read_text(encoding="utf-8")
    return dict(line.split("\t") for line in text.splitlines())
