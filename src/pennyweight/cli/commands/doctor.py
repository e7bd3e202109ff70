"""`doctor`: the faults of a source of pictures."""

# No `from __future__ import annotations`: Typer reads the annotations.

from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pennyweight.cli import options, show, source_options, unlike
from pennyweight.cli.help import OUTPUT, TIME
from pennyweight.cli.options import option
from pennyweight.core.errors import InputError
from pennyweight.core.figures import several
from pennyweight.core.machine import quota_line
from pennyweight.core.reasons import by_reason
from pennyweight.core.text import say
from pennyweight.report.tables import Column, table

if TYPE_CHECKING:
    from pennyweight.data.checks.diagnosis import Diagnosis
    from pennyweight.verbs.strangers import Untypical

__all__ = ["doctor"]

EXAMPLES = 3
MOST_REFUSALS = 10
REASONED = ("unreadable", "bands")
"""Kinds of which each picture has a reason of its own."""


def doctor(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Source that `fit` takes: a folder, a file, or a named set.")
    ],
    group_by: source_options.GroupBy = None,
    max_pixels: options.MaxPixels = None,
    columns: source_options.Columns = None,
    pictures: source_options.Pictures = None,
    ending: source_options.Ending = None,
    label_from: source_options.LabelFrom = None,
    quick: Annotated[bool, option(TIME, "Skip the search for twins, pictures of the same moment.", "--quick")] = False,
    html: Annotated[
        Path | None, option(OUTPUT, "Contact sheet to write, with the pictures of each finding.", metavar="FILE")
    ] = None,
    like: Annotated[
        str | None,
        option(
            OUTPUT,
            "Say how many pictures are unlike those that this run or bundle was trained on, and name some.",
            metavar="RUN|BUNDLE",
        ),
    ] = None,
    network: Annotated[
        str | None,
        option(
            OUTPUT,
            "Show on the contact sheet how pictures enter a network: its name, auto, or a run's folder.",
            "--as",
            metavar="MODEL|RUN",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Check whether a source of pictures is sound. The exit status is 1 when a finding is an error."""
    from pennyweight import data
    from pennyweight.report.progress import TrainingProgress
    from pennyweight.verbs.doctor import doctor as verb

    compare = None if like is None else _comparison_with(like)  # before the pictures are looked at
    read = source_options.read_as(columns, pictures, ending, label_from)
    opened = data.open(source, group_by=group_by, read_as=read, strict=False)
    with TrainingProgress(0) as progress, progress.phase("looking at pictures", len(opened.samples)) as phase:
        found = verb(opened, quick=quick, max_pixels=max_pixels, html=html, network=network, advance=phase.advance)
    if html is not None:
        show.written(html)
    if not json:
        _show(found)
    measure = None if compare is None else partial(compare, opened, max_pixels=max_pixels)
    unlike.finish(found.to_dict(), "unlike", measure, lambda each: (each.shift_line, each.least_line), json=json)
    if not found.sound:
        raise typer.Exit(1)


def _comparison_with(place: str) -> "Callable[..., Untypical]":
    """Return the function that compares pictures with a run or a bundle. Raises InputError for anything else."""
    from pennyweight.core.run import Run
    from pennyweight.verbs.execution import Execution
    from pennyweight.verbs.load import open_trained
    from pennyweight.verbs.strangers import measure_strangers, require_typicality

    path = Path(place)
    if not path.exists():
        raise InputError(
            f"no run or bundle at {place}; --like takes a folder that `fit` made, or a file that `export` made"
        )
    trained = open_trained(Run(path) if path.is_dir() else path)
    require_typicality(trained, Execution())
    return partial(measure_strangers, trained, note=show.note)


def _show(found: "Diagnosis") -> None:
    """Print a row for each kind of finding, the reasons, and the verdict."""
    from pennyweight.data.checks.diagnosis import KINDS

    rows = []
    for kind, group in groupby(found.findings, key=lambda finding: finding.kind):
        findings = list(group)
        examples = [" = ".join(finding.pictures[:2]) or finding.detail for finding in findings[:EXAMPLES]]
        if kind == "refused":
            examples = ["see below"]
        rows.append((kind, found.of(kind)[0].severity, len(findings), KINDS[kind][1], "; ".join(examples)))
    if rows:
        heads = [Column(name) for name in ("finding", "severity", "count", "meaning", "examples")]
        Console().print(table(None, heads, rows))
    say(*_reasons(found))
    total = sum(found.counts.values())
    classes = f"{len(found.counts):,} class{'es' * (len(found.counts) != 1)}"
    say(f"{found.source}: {several(total, 'picture')} in {classes}; {found.verdict}", *found.notes)
    say(*filter(None, ("" if found.view is None else found.view.line, quota_line())))


def _reasons(found: "Diagnosis") -> Iterator[str]:
    """Yield a line for each refusal of `fit`, proposed option, and picture that cannot be read."""
    refused = [finding.detail for finding in found.of("refused")]
    yield from (f"fit refuses: {detail}" for detail in refused[:MOST_REFUSALS])
    if (more := len(refused) - MOST_REFUSALS) > 0:
        yield f"fit refuses for {more:,} more reasons, which --json lists"
    yield from (finding.detail for finding in found.of("groups"))
    unread = [(finding.pictures[0], finding.detail) for kind in REASONED for finding in found.of(kind)]
    lines = ((name, f"cannot read {name}: {detail}") for name, detail in unread)
    yield from by_reason(lines, "cannot read ", one="", listed="--json lists all that cannot be read")
