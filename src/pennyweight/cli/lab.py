"""`lab`: the papers' claims, measured on this machine."""

# No `from __future__ import annotations`: Typer reads the annotations.

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pennyweight.cli import show, show_machine
from pennyweight.cli.trained import Json
from pennyweight.core.figures import several
from pennyweight.core.files import require_new, write_text
from pennyweight.core.machine import machine, machine_line, versions

__all__ = ["guidelines", "make_lab"]


def guidelines(
    repeats: Annotated[int, typer.Option(metavar="N", min=2, help="How often each network is timed.")] = 30,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Inputs at once.")] = 1,
    side: Annotated[int, typer.Option(metavar="PIXELS", min=1, help="Side of the feature maps.")] = 56,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With so many threads; by default torch's own.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with the four plots.")] = None,
    json: Json = False,
) -> None:
    """Rerun the four experiments of ShuffleNetV2 (Tables 1 to 4): equal MACs, different time."""
    from pennyweight.lab import EXPERIMENTS, WARM_UP, run_guidelines

    if html is not None:
        require_new(html)
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    measured = run_guidelines(repeats=repeats, batch=batch, side=side)
    how = {"repeats": repeats, "warm_up": WARM_UP, "threads": torch.get_num_threads(), "batch": batch, "side": side}
    words = (
        f"measured {several(repeats, 'time')} turn by turn after {WARM_UP} to warm up, medians; {side}×{side} places, "
        f"batch {batch}, {several(how['threads'], 'thread')}, eager, float32"
    )
    about = [words, machine_line()]
    tables = [(e.title, [row for row in measured if row.guideline == e.guideline]) for e in EXPERIMENTS]
    if html is not None:
        from pennyweight.report.cost_page import experiments_page

        write_text(html, experiments_page([(title, list(map(asdict, rows))) for title, rows in tables], about))
        show.written(html)
    if json:
        show.as_json({**how, "machine": machine(), "versions": versions(), "rows": list(map(asdict, measured))})
    else:
        show_machine.experiments(tables, about)


def make_lab() -> typer.Typer:
    """The group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Measure the papers' claims on this machine.")
    group.callback()(lambda: None)
    group.command()(guidelines)
    return group
