"""`pack`: a source into mixed shards."""

# No `from __future__ import annotations`: Typer reads the annotations.

from typing import Annotated, Literal

import typer

from pennyweight.cli import options, show, source_options
from pennyweight.cli.help import DATA, OUTPUT
from pennyweight.cli.options import option
from pennyweight.core.figures import several
from pennyweight.core.text import say

__all__ = ["pack"]


def pack(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Source that `fit` takes: a folder, a file, shards, or a named set.")
    ],
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT", help="Folder of the shards: a new path, or an address such as s3://bucket/birds."
        ),
    ],
    group_by: source_options.GroupBy = None,
    columns: source_options.Columns = None,
    pictures: source_options.Pictures = None,
    ending: source_options.Ending = None,
    label_from: source_options.LabelFrom = None,
    resize: Annotated[
        int | None, option(DATA, "Make larger pictures smaller: short side of N pixels.", metavar="N", min=1)
    ] = None,
    shard_size: Annotated[
        str, option(OUTPUT, "Approximate size of a shard, such as 256MB or 1GB.", metavar="SIZE")
    ] = "256MB",
    format: Annotated[
        Literal["webdataset", "parquet"], option(OUTPUT, "Format: webdataset (tar) or parquet.", metavar="FORMAT")
    ] = "webdataset",
    json: options.Json = False,
) -> None:
    """Pack a source into mixed shards with their index. The same command completes a stopped one.

    Several processes, also on several machines, may run the same command to share the work.
    """
    from pennyweight import data
    from pennyweight.report.progress import TrainingProgress
    from pennyweight.verbs.pack import pack as verb

    read = source_options.read_as(columns, pictures, ending, label_from)
    opened = data.open(source, group_by=group_by, read_as=read)
    with TrainingProgress(0) as progress, progress.phase("packing pictures", len(opened.samples)) as phase:
        made = verb(
            opened, out, shard_size=shard_size, format=format, resize=resize, advance=phase.advance, note=show.note
        )
    if json:
        show.as_json(made.to_dict())
    else:
        shards, classes = several(len(made.shards), "shard"), f"{len(made.labels):,} classes"
        say(f"{several(made.images, 'picture')} of {classes} in {shards}: {made.address}")
