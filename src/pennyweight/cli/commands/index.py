"""`index`: the index of shards."""

# No `from __future__ import annotations`: Typer reads the annotations.

from typing import Annotated

import typer

from pennyweight.cli import options, show
from pennyweight.core.figures import number, several
from pennyweight.core.reasons import by_reason
from pennyweight.core.text import say

__all__ = ["index"]


def index(
    source: Annotated[
        str,
        typer.Argument(metavar="ADDRESS", help="Shards that `fit` takes: a folder, hf:NAME, or an address."),
    ],
    json: options.Json = False,
) -> None:
    """Read each shard once, and save an index of its pictures for `fit`.

    Several processes, also on several machines, may run the same command to share the shards. The index lies in
    `.pennyweight` next to the shards if that can be written, else in the cache.
    """
    from pennyweight.verbs.index import index as verb

    found = verb(source)
    if json:
        show.as_json(found.to_dict())
        return
    for line in found.notes:
        show.note(line)
    for line in by_reason(found.unreadable, "left out: ", listed="--json lists all that are left out"):
        show.note(line)
    say(f"{several(found.images, 'picture')} of {number(len(found.labels))} classes: {found.address}")
