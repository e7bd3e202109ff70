"""`names`: the list of networks."""

# No `from __future__ import annotations`: Typer reads the annotations.

from typing import Annotated

import typer

from pennyweight.cli import options, show
from pennyweight.core.errors import InputError

__all__ = ["names"]


def names(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="Pattern of names, such as '*v2*'.")] = "*",
    json: options.Json = False,
) -> None:
    """List the networks with their parameters, MACs and published accuracy."""
    from pennyweight import zoo

    rows = []
    for name in zoo.names(pattern):
        row = None if ":" in name else zoo.variant(name)
        rows.append(
            {
                "name": name,
                "params": row and row.params,
                "macs": row and row.macs,
                "input_shape": row and row.input_shape,
                "published_top1": row and row.top1,
                "weights": zoo.tags(name),
            }
        )
    if not rows:
        raise InputError(f"no network matches '{pattern}'; `pennyweight names` lists them all")
    if json:
        show.as_json({"networks": rows})
    else:
        show.networks(rows)
