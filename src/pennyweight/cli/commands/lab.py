"""`lab`: the papers' claims, measured on this machine."""

# No `from __future__ import annotations`: Typer reads the annotations.

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pennyweight.cli import options, show, show_machine
from pennyweight.cli.help import MEASUREMENT, NETWORK, OUTPUT, Command, Group
from pennyweight.cli.options import option
from pennyweight.core.figures import several
from pennyweight.core.files import require_new, write_text
from pennyweight.core.machine import machine, machine_line, versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pennyweight.lab import Measured

__all__ = ["guidelines", "make_lab"]


def guidelines(
    side: Annotated[int, option(NETWORK, "Side of the feature maps.", metavar="PIXELS", min=1)] = 56,
    batch: Annotated[int, option(NETWORK, "Inputs in a batch.", metavar="N", min=1)] = 1,
    repeats: Annotated[int, option(MEASUREMENT, "Timed runs of each network.", metavar="N", min=2)] = 30,
    threads: options.Threads = None,
    html: Annotated[Path | None, option(OUTPUT, "Page to write, with the four plots.", metavar="FILE")] = None,
    json: options.Json = False,
) -> None:
    """Rerun the four experiments of ShuffleNetV2 (Tables 1 to 4): equal MACs, different time."""
    if html is not None:
        require_new(html)
    from pennyweight.verbs.experiments import experiments

    measured = experiments(repeats=repeats, batch=batch, side=side, threads=threads)
    _show(measured, {"repeats": repeats, "batch": batch, "side": side}, html, json=json)


def _show(measured: "Sequence[Measured]", conditions: dict[str, Any], html: Path | None, *, json: bool) -> None:
    """Print the rows of the experiments, and write their page to `html`."""
    import torch

    from pennyweight.lab import EXPERIMENTS, WARM_UP

    threads, repeats, side = torch.get_num_threads(), conditions["repeats"], conditions["side"]
    words = (
        f"measured {several(repeats, 'time')} in turns after {WARM_UP} to warm up, medians; {side}×{side} places, "
        f"batch {conditions['batch']}, {several(threads, 'thread')}, eager, float32"
    )
    about = [words, machine_line()]
    tables = [(e.title, [row for row in measured if row.guideline == e.guideline]) for e in EXPERIMENTS]
    if html is not None:
        from pennyweight.report.experiments_page import experiments_page

        write_text(html, experiments_page([(title, list(map(asdict, rows))) for title, rows in tables], about))
        show.written(html)
    if json:
        known = {"warm_up": WARM_UP, "threads": threads, "machine": machine(), "versions": versions()}
        show.as_json({**conditions, **known, "rows": list(map(asdict, measured))})
    else:
        show_machine.experiments(tables, about)


def make_lab() -> typer.Typer:
    """Make the group of commands."""
    group = typer.Typer(cls=Group, no_args_is_help=True, help="Measure the papers' claims on this machine.")
    group.callback()(lambda: None)
    group.command(cls=Command)(guidelines)
    return group
