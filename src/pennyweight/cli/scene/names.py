"""`scene names`: scenes that have a name."""

# No `from __future__ import annotations`: Typer reads the annotations.

from typing import Annotated

import typer

from pennyweight.cli import options, show
from pennyweight.core.errors import InputError
from pennyweight.core.text import say

__all__ = ["names"]


def names(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="Pattern of names, such as 'salinas*'.")] = "*",
    json: options.Json = False,
) -> None:
    """List the scenes that have a name: published ones, and a synthetic one."""
    from pennyweight.verbs.scenes.names import names as verb

    found = verb(pattern)
    if not found:
        raise InputError(f"no scene matches '{pattern}'; `pennyweight scene names` lists them all")
    if json:
        show.as_json({"scenes": found})
    else:
        say(*found)
