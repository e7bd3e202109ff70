"""Patterns of network names, such as `mobilenet_v2*` or `timm:resnet*`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pennyweight import zoo
from pennyweight.core.errors import InputError, nearest

__all__ = ["expand_patterns", "is_pattern"]

Name = str | os.PathLike[str]


def is_pattern(name: Name) -> bool:
    """Return whether a name is a pattern, and no file or folder that is here."""
    return isinstance(name, str) and any(mark in name for mark in "*?[") and not Path(name).exists()


def expand_patterns(names: Sequence[Name]) -> list[Name]:
    """Return the names with each pattern replaced by the networks that match it, each network once.

    Raises InputError for a pattern that no network matches.
    """
    found: dict[Name, None] = {}
    for name in names:
        if not is_pattern(name):
            found[name] = None
            continue
        matching = zoo.names(str(name))
        if not matching:
            library, colon, _ = str(name).partition(":")
            known = ", ".join(f"{each}:*" for each in zoo.LIBRARIES)
            meant = nearest(library, zoo.LIBRARIES) if colon else ""
            raise InputError(f"no network matches '{name}'{meant or f'; `names` lists them, also those of {known}'}")
        found |= dict.fromkeys(matching)
    return list(found)
