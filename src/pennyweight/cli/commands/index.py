"""`index`: the index of shards."""

# No `from __future__ import annotations`: Typer reads the annotations.

from typing import Annotated

import typer

from pennyweight.cli import options, show
from pennyweight.core.figures import number, several
from pennyweight.core.text import say

__all__ = ["index"]

NAMED = 10
"""Samples that cannot be used, of which as many are named."""


def index(
    source: Annotated[
        str,
        typer.Argument(metavar="ADDRESS", help="Shards that `fit` takes: a folder, hf:NAME, or an address."),
    ],
    json: options.Json = False,
) -> None:
    """Read each shard once, and save an index of its pictures for `fit`.

    Several processes, also on several machines, may run the same command to share the shards. The index lies in
    `.pennyweight` beside the shards where that may be written, else in the cache.
    """
    from pennyweight.verbs.index import index as verb

    found = verb(source)
    if json:
        show.as_json(found.to_dict())
        return
    for line in found.notes:
        show.note(line)
    for each in found.unreadable[:NAMED]:
        show.note(f"left out: {each.reason}")
    if (more := len(found.unreadable) - NAMED) > 0:
        show.note(f"and {number(more)} more, which --json lists")
    say(f"{several(found.images, 'picture')} of {number(len(found.labels))} classes: {found.address}")
