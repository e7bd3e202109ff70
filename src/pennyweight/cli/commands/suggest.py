"""`suggest`: pictures to label next."""

# No `from __future__ import annotations`: Typer reads the annotations.

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pennyweight.cli import options, show, source_options
from pennyweight.cli.help import DATA, OUTPUT
from pennyweight.cli.options import option
from pennyweight.core.figures import number, several, share
from pennyweight.core.text import say
from pennyweight.report.tables import Column, table

__all__ = ["suggest"]

Run = Annotated[str, typer.Argument(metavar="RUN", help="Folder that `fit` made; its network is used.")]
Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="Pictures without labels, with all that is inside.")]
Source = Annotated[
    str | None,
    typer.Argument(metavar="SOURCE", help="Labeled pictures; by default those of the training."),
]
Count = Annotated[int, option(DATA, "Number of pictures to suggest.", metavar="N", min=1)]
Html = Annotated[Path | None, option(OUTPUT, "Contact sheet to write.", metavar="FILE")]
Csv = Annotated[
    Path | None, option(OUTPUT, "Table to write, with the columns path and label, the latter empty.", metavar="FILE")
]


def suggest(
    run: Run,
    folder: Folder,
    source: Source = None,
    count: Count = 24,
    max_pixels: options.MaxPixels = None,
    columns: source_options.Columns = None,
    pictures: source_options.Pictures = None,
    ending: source_options.Ending = None,
    label_from: source_options.LabelFrom = None,
    corrections: source_options.Corrections = None,
    html: Html = None,
    csv: Csv = None,
    json: options.Json = False,
) -> None:
    """Choose pictures to label next: uncertain ones that stand for many others, no duplicates."""
    from pennyweight.report.progress_bar import CountProgress
    from pennyweight.verbs.suggest import suggest as verb

    with show.noting_left_out("") as lost, CountProgress("features", lambda: None) as progress:
        found = verb(
            run,
            folder,
            source,
            count=count,
            html=html,
            csv=csv,
            read_as=source_options.read_as(columns, pictures, ending, label_from, corrections),
            max_pixels=max_pixels,
            advance=lambda _: progress.advance(),
            left_out=lambda each: lost.add(*each),
            note=show.note,
        )
    for path in (html, csv):
        if path is not None:
            show.written(path)
    if json:
        show.as_json(found.to_dict())
        return
    heads = [Column("picture"), Column("answer"), Column("probability", share), Column("uncertainty", share)]
    rows = [(each.picture, each.answer, each.probability, each.uncertainty) for each in found.pictures]
    Console().print(table("Pictures to label next", heads, rows))
    known = f"; {several(found.known, 'picture')} left out, labeled already or twins of another" if found.known else ""
    say(f"{number(len(found.pictures))} of {several(found.considered, 'picture')} of {found.source}{known}")
