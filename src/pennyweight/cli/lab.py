"""`lab`: the papers' claims, measured on this machine."""

# No `from __future__ import annotations`: Typer reads the annotations.

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pennyweight.cli import show, show_machine
from pennyweight.cli.trained import Json
from pennyweight.core.files import require_new, write_text

__all__ = ["guidelines", "make_lab"]


def guidelines(
    repeats: Annotated[int, typer.Option(metavar="N", min=2, help="How often each network is timed.")] = 30,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Inputs at once.")] = 1,
    side: Annotated[int, typer.Option(metavar="PIXELS", min=1, help="Side of the feature maps.")] = 56,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with the four plots.")] = None,
    json: Json = False,
) -> None:
    """Rerun the four experiments of ShuffleNetV2 (Tables 1 to 4): equal MACs, different time."""
    from pennyweight.lab import EXPERIMENTS, run_guidelines

    if html is not None:
        require_new(html)
    measured = run_guidelines(repeats=repeats, batch=batch, side=side)
    tables = [(e.title, [row for row in measured if row.guideline == e.guideline]) for e in EXPERIMENTS]
    if html is not None:
        from pennyweight.core.machine import machine
        from pennyweight.report.cost_page import experiments_page

        about = ", ".join(f"{key} {value}" for key, value in machine().items())
        write_text(html, experiments_page([(title, [asdict(row) for row in rows]) for title, rows in tables], about))
    if json:
        show.as_json({"rows": [asdict(row) for row in measured]})
    else:
        for title, rows in tables:
            show_machine.experiments(title, rows)


def make_lab() -> typer.Typer:
    """The group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Measure the papers' claims on this machine.")
    group.callback()(lambda: None)
    group.command()(guidelines)
    return group
