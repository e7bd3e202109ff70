"""`review`: likely label errors of the pictures behind a run."""

# No `from __future__ import annotations`: Typer reads the annotations.

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pennyweight.cli import options, show, source_options
from pennyweight.cli.help import OUTPUT
from pennyweight.cli.options import option
from pennyweight.core.figures import number, share
from pennyweight.core.reasons import doctor_lists
from pennyweight.core.text import say
from pennyweight.report.tables import Column, table

if TYPE_CHECKING:
    from pennyweight.verbs.reviewing.result import Review

__all__ = ["review"]

LISTED = 20
"""Pictures of the table on a terminal."""


Run = Annotated[
    str, typer.Argument(metavar="RUN", help="Folder that `fit` made, best in mode head; its network is used.")
]
Source = Annotated[
    str | None,
    typer.Argument(metavar="SOURCE", help="Labeled pictures to review; by default those of the training."),
]
Html = Annotated[
    Path | None, option(OUTPUT, "Page to write, on which a person decides and saves the corrections.", metavar="FILE")
]
Csv = Annotated[
    Path | None, option(OUTPUT, "Table of all pictures to write, with empty columns for corrections.", metavar="FILE")
]
Count = Annotated[
    int | None,
    option(
        OUTPUT,
        "Pictures in the page's first list; by default a tenth of all, at least 24 and at most 200.",
        metavar="N",
        min=1,
    ),
]


def review(
    run: Run,
    source: Source = None,
    max_pixels: options.MaxPixels = None,
    columns: source_options.Columns = None,
    pictures: source_options.Pictures = None,
    ending: source_options.Ending = None,
    label_from: source_options.LabelFrom = None,
    corrections: source_options.Corrections = None,
    html: Html = None,
    csv: Csv = None,
    count: Count = None,
    json: options.Json = False,
) -> None:
    """Find likely label errors. Write a page on which a person corrects them for `fit --corrections`."""
    from pennyweight.report.progress_bar import CountProgress
    from pennyweight.verbs.review import review as verb

    listed = doctor_lists(source or "SOURCE")
    with show.noting_left_out(listed) as lost, CountProgress("features", lambda: None) as progress:
        found = verb(
            run,
            source,
            html=html,
            csv=csv,
            count=count,
            read_as=source_options.read_as(columns, pictures, ending, label_from, corrections),
            max_pixels=max_pixels,
            advance=lambda _: progress.advance(),
            left_out=lambda each: lost.add(*each),
        )
    for path in (html, csv):
        if path is not None:
            show.written(path)
    if json:
        show.as_json(found.to_dict())
    else:
        _show(found, written=html is not None or csv is not None)


def _show(found: "Review", *, written: bool) -> None:
    """Print the least likely labels, their estimated number, and what to do next."""
    heads = [
        Column("picture"), Column("label"), Column("answer"), Column("probability", share),
        Column("label's", share), Column("quality", share),
    ]  # fmt: skip
    rows = [
        (each.picture, each.label, each.answer, each.answer_probability, each.label_probability, each.quality)
        for each in found.pictures[:LISTED]
    ]
    Console().print(table("Least likely labels", heads, rows))
    total = number(len(found.pictures))
    say(f"{found.source}: about {number(found.likely_errors)} of {total} labels are likely wrong", *found.notes)
    if not written:
        say("--html FILE writes a page on which to correct them, and --csv FILE a table of all pictures")
