"""`pennyweight doctor`: parse, call the verb, print."""

# No `from __future__ import annotations`: Typer reads the annotations.

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pennyweight.cli import read_as as of_source
from pennyweight.cli import show
from pennyweight.cli.trained import Json, MaxPixels
from pennyweight.core.figures import several
from pennyweight.core.text import say
from pennyweight.report.tables import Column, table

if TYPE_CHECKING:
    from pennyweight.data.checks.diagnosis import Diagnosis

__all__ = ["doctor"]

EXAMPLES = 3
REASONED = ("unreadable", "bands")
"""Kinds of which each picture has a reason of its own."""
MOST_REASONS = 100


def doctor(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="What fit takes: a folder, a file, a named set.")],
    group_by: Annotated[str | None, typer.Option(metavar="HOW", help="As fit takes it.")] = None,
    columns: of_source.Columns = None,
    pictures: of_source.Pictures = None,
    ending: of_source.Ending = None,
    label_from: of_source.LabelFrom = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a contact sheet of the findings.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out near duplicates.")] = False,
    max_pixels: MaxPixels = None,
    json: Json = False,
) -> None:
    """Say whether a source of pictures is sound. The status is 1 when a finding is an error."""
    from pennyweight import data
    from pennyweight.data.checks.diagnosis import KINDS
    from pennyweight.report.progress import TrainingProgress
    from pennyweight.verbs.doctor import doctor as verb

    read = of_source.read_as(columns, pictures, ending, label_from)
    opened = data.open(source, group_by=group_by, read_as=read, strict=False)
    with TrainingProgress(0) as progress, progress.phase("looking at pictures", len(opened.samples)) as phase:
        found = verb(opened, quick=quick, max_pixels=max_pixels, html=html, advance=phase.advance)
    if html is not None:
        show.written(html)
    if json:
        show.as_json(found.to_dict())
    else:
        rows = []
        for kind, group in groupby(found.findings, key=lambda finding: finding.kind):
            findings = list(group)
            examples = [" = ".join(finding.pictures[:2]) or finding.detail for finding in findings[:EXAMPLES]]
            rows.append((kind, found.of(kind)[0].severity, len(findings), KINDS[kind][1], "; ".join(examples)))
        if rows:
            heads = [Column(name) for name in ("finding", "severity", "count", "what it means", "such as")]
            Console().print(table(None, heads, rows))
        say(*_reasons(found))
        state = "sound" if found.sound else "not sound"
        total = sum(found.counts.values())
        classes = f"{len(found.counts):,} class{'es' * (len(found.counts) != 1)}"
        say(f"{found.source}: {several(total, 'picture')} in {classes}; {state}", *found.notes)
    if not found.sound:
        raise typer.Exit(1)


def _reasons(found: "Diagnosis") -> Iterator[str]:
    """Yield a line for each reason for which `fit` refuses, and for each picture that cannot be read."""
    for finding in found.of("refused"):
        yield f"fit refuses: {finding.detail}"
    findings = [finding for kind in REASONED for finding in found.of(kind)]
    for finding in findings[:MOST_REASONS]:
        yield f"cannot read {finding.pictures[0]}: {finding.detail}"
    if (more := len(findings) - MOST_REASONS) > 0:
        yield f"and {more:,} more, which --json lists"
