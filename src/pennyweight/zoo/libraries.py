"""Networks of other libraries by name, `LIBRARY:NAME`. A library is one row here, and one file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast

from torch import nn

from pennyweight.core.errors import InputError, nearest, received
from pennyweight.core.extras import missing_part
from pennyweight.core.frame import Size
from pennyweight.zoo.weights.checkpoint import Checkpoint

__all__ = ["LIBRARIES", "Foreign", "Library", "foreign"]


class Library(Protocol):
    """Functions that the file of a library provides."""

    names: Callable[[], list[str]]
    tags: Callable[[str], Mapping[str, float | None]]
    input_shape: Callable[[str], tuple[int, int, int]]
    num_classes: Callable[[str], int]
    params: Callable[[], Mapping[str, int]]
    size_setting: Callable[[str, Size], dict[str, Any]]
    checkpoint: Callable[[str, str], Checkpoint]

    def make(self, name: str, *, num_classes: int | None, in_channels: int, config: Mapping[str, Any]) -> nn.Module: ...


LIBRARIES = {"torchvision": "from_torchvision", "timm": "from_timm"}


class Foreign(NamedTuple):
    """Network of another library, and its name there."""

    library: Library
    name: str


def foreign(name: str) -> Foreign | None:
    """Return the library and the name of a `LIBRARY:NAME`; None for a name of ours.

    Raises InputError with the nearest name.
    """
    if not isinstance(name, str):
        raise InputError(f"a network's name is text such as mobilenet_v2, not {received(name)}")
    prefix, colon, theirs = name.partition(":")
    if not colon:
        return None
    if prefix not in LIBRARIES:
        there = f"; there are {', '.join(LIBRARIES)}"
        raise InputError(f"unknown library '{prefix}' in '{name}'{nearest(prefix, LIBRARIES, otherwise=there)}")
    library = open_library(prefix)
    known = library.names()
    if theirs.partition(".")[0] not in known:
        close = nearest(theirs, known, otherwise=f"; `pennyweight names '{prefix}:*'` lists them")
        raise InputError(f"{prefix} has no classifier '{theirs}'{close}")
    tag = theirs.partition(".")[2]
    if tag and tag not in (tags := library.tags(theirs)):
        there = nearest(tag, tags, otherwise=f"; {prefix} has {', '.join(tags) or 'none'}")
        raise InputError(f"'{theirs.partition('.')[0]}' has no weights '{tag}'{there}")
    return Foreign(library, theirs)


@cache
def open_library(prefix: str) -> Library:
    """Import the file of a library on first use, because some libraries are optional, such as timm."""
    try:
        return cast("Library", import_module(f"pennyweight.zoo.{LIBRARIES[prefix]}"))
    except ModuleNotFoundError as error:
        raise missing_part(error) or error from error
