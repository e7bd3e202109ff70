"""`weigh`: what networks cost."""

# No `from __future__ import annotations`: Typer reads the annotations.

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pennyweight.cli import show, show_cost
from pennyweight.cli.commands import Config, Stem
from pennyweight.cli.cost_rows import SORTS, By, as_csv, bounded, rows_of
from pennyweight.cli.trained import Json
from pennyweight.core.errors import InputError, nearest
from pennyweight.core.figures import several
from pennyweight.core.files import require_new, write_text
from pennyweight.core.settings import parse_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pennyweight.verbs.weigh import Weighed

__all__ = ["weigh"]

REPEATS = 20


def weigh(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NETWORK...",
            help="A name (`names` lists them), torchvision:NAME, timm:NAME, module.path:callable, a run or a bundle; "
            "several are compared.",
        ),
    ],
    input: Annotated[
        str | None,
        typer.Option(metavar="CxHxW", help="Input shape; by default what the network is published for."),
    ] = None,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Inputs at once.")] = 1,
    stem: Stem = None,
    config: Config = None,
    by: Annotated[By | None, typer.Option(help="How fine the rows are; of one network by layer.")] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Largest first: macs, ops, params, bytes_read, predicted_ms, …")
    ] = None,
    lint: Annotated[
        bool, typer.Option("--lint", help="List where ShuffleNetV2's guidelines are not followed, and what it costs.")
    ] = False,
    training: Annotated[bool, typer.Option("--training", help="Follow the memory of a training step as well.")] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Run the networks on this machine and time them, turn by turn.")
    ] = False,
    repeats: Annotated[
        int | None, typer.Option(metavar="N", min=2, help=f"How often --measure runs each: {REPEATS} unless said.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Threads to measure and predict for; by default torch's own.")
    ] = None,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print the rows as comma-separated values.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page: roofline, traffic and time by layer.")
    ] = None,
) -> None:
    """Say what networks cost: work, traffic, live memory, milliseconds; layer by layer."""
    if json and csv:
        raise InputError("--json and --csv were both given; keep one")
    if csv and lint:
        raise InputError("--csv has a row for each part of a network, none for what --lint finds; take --json instead")
    if repeats is not None and not measure:
        raise InputError("--repeats says how often --measure runs each network; add --measure")
    if html is not None:
        require_new(html)
    if sort is not None and sort not in SORTS:
        hint = nearest(sort, SORTS, otherwise=f"; there are {', '.join(SORTS)}")
        raise InputError(f"cannot sort by '{sort}'{hint}")
    shape = _shape(input, image=not any(":" in name for name in names)) if input is not None else None
    changes = parse_pairs(config or [], "--config", example="width=0.5")
    from pennyweight.verbs.weigh import weigh_all

    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    networks = weigh_all(
        names,
        shape,
        batch=batch,
        stem=stem,
        config=changes,
        training_step=training,
        measure=measure,
        repeats=repeats or REPEATS,
    )
    if html is not None:
        _write(html, networks, by or "layer", sort)
        show.written(html)
    if json:
        found = [_dict(network, by, sort) for network in networks]
        show.as_json(found[0] if len(found) == 1 else {"networks": found})
    elif csv:
        as_csv(networks, by or "layer", sort)
    elif len(networks) == 1:
        show_cost.one(networks[0], by or "layer", sort, lint=lint)
    else:
        show_cost.compared(networks, by, sort, lint=lint)


def _dict(network: "Weighed", by: By | None, sort: str | None) -> dict[str, object]:
    """As JSON keeps it; `rows` where they were asked for, beside the layers in their order."""
    rows = {"rows": rows_of(network, by or "layer", sort)} if by or sort else {}
    return {**network.to_dict(), **rows}


def _write(path: Path, networks: "Sequence[Weighed]", by: By, sort: str | None) -> None:
    from pennyweight.core.machine import machine_line
    from pennyweight.cost import MachineProfile
    from pennyweight.cost.guidelines import FOUND
    from pennyweight.report.cost_page import cost_page

    profile = MachineProfile.load()
    measured = f"profile of {several(profile.threads, 'thread')}, measured {profile.created}" if profile else ""
    page = cost_page(
        [
            {
                **network.to_dict(),
                "cost": network.cost.to_dict(),
                "facts": show_cost.facts(network),
                "rows": [] if by == "total" else [bounded(row) for row in rows_of(network, by, sort)],
            }
            for network in networks
        ],
        by=by,
        comparison=show_cost.comparison(networks) if len(networks) > 1 else [],
        measured=show_cost.measured_how(networks) if len(networks) > 1 else "",
        limits=asdict(profile.limits) if profile else None,
        machine=[machine_line(), measured or f"prediction: {show_cost.no_prediction()}"],
        meanings=FOUND,
    )
    write_text(path, page)


def _shape(text: str, *, image: bool) -> tuple[int, ...]:
    """ "3x224x224" -> (3, 224, 224); of others' networks any number of sides, of an `image` three."""
    sides = text.lower().replace("×", "x").split("x")
    if (image and len(sides) != 3) or not all(side.isascii() and side.isdigit() and int(side) for side in sides):
        raise InputError(f"--input '{text}' is not CxHxW, such as 3x224x224{_meant(text)}")
    return tuple(map(int, sides))


def _meant(text: str) -> str:
    """What is likely meant by a side alone, or by sides with something else between them, channels last."""
    sides = re.findall(r"[0-9]+", text)
    if len(sides) == 1 and sides[0] == text:
        return f"; did you mean '3x{sides[0]}x{sides[0]}'?"
    if len(sides) != 3 or not all(map(int, sides)) or "-" in text or "." in text:
        return ""
    last = sides[0] == sides[1] != sides[2]
    return f"; did you mean '{'x'.join([sides[2], *sides[:2]] if last else sides)}'?"
