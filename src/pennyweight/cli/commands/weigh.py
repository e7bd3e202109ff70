"""`weigh`: the costs of networks."""

# No `from __future__ import annotations`: Typer reads the annotations.

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pennyweight.cli import options, show, show_cost
from pennyweight.cli.cost_rows import SORTS, By, as_csv, bounded, rows_of
from pennyweight.cli.help import MEASUREMENT, NETWORK, OUTPUT
from pennyweight.cli.options import option
from pennyweight.core.errors import InputError, nearest
from pennyweight.core.figures import several
from pennyweight.core.files import require_new, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pennyweight.verbs.weigh import Weighed

__all__ = ["weigh"]

REPEATS = 20


Networks = Annotated[
    list[str],
    typer.Argument(
        metavar="NETWORK...",
        help="Names (`names` lists them), torchvision:NAME, timm:NAME, module.path:callable, runs or bundles; "
        "several are compared.",
    ),
]
InputShape = Annotated[
    str | None,
    option(
        NETWORK,
        "Shape of the input; by default the one that the network is published for.",
        "--input-shape",
        "--input",
        metavar="CxHxW",
    ),
]
Batch = Annotated[int, option(NETWORK, "Inputs in a batch.", metavar="N", min=1)]
TrainingStep = Annotated[
    bool, option(NETWORK, "Count the memory of a training step as well.", "--training-step", "--training")
]
Measure = Annotated[bool, option(MEASUREMENT, "Run the networks on this machine and time them in turns.", "--measure")]
Repeats = Annotated[
    int | None, option(MEASUREMENT, f"Timed runs with --measure; by default {REPEATS}.", metavar="N", min=2)
]
Rows = Annotated[
    By | None, option(OUTPUT, "Rows: layer (the default for one network), stage or total.", metavar="ROWS")
]
Sort = Annotated[
    str | None, option(OUTPUT, "Largest first: macs, ops, params, bytes_read, predicted_ms, …", metavar="COLUMN")
]
Lint = Annotated[bool, option(OUTPUT, "List violations of ShuffleNetV2's guidelines, and their cost.", "--lint")]
Csv = Annotated[bool, option(OUTPUT, "Print the rows as comma-separated values.", "--csv")]
Html = Annotated[Path | None, option(OUTPUT, "Page to write: roofline, traffic and time by layer.", metavar="FILE")]


def weigh(
    names: Networks,
    input_shape: InputShape = None,
    batch: Batch = 1,
    stem: options.Stem = None,
    config: options.Config = None,
    training_step: TrainingStep = False,
    measure: Measure = False,
    repeats: Repeats = None,
    threads: options.Threads = None,
    by: Rows = None,
    sort: Sort = None,
    lint: Lint = False,
    json: options.Json = False,
    csv: Csv = False,
    html: Html = None,
) -> None:
    """Count the costs of networks: MACs, memory traffic, peak memory and milliseconds, layer by layer."""
    _require_outputs(json=json, csv=csv, lint=lint, html=html, sort=sort)
    if repeats is not None and not measure:
        raise InputError("--repeats says how often --measure runs each network; add --measure")
    image = not any(":" in name for name in names)
    shape = _shape(input_shape, image=image) if input_shape is not None else None
    config_fields = options.config_fields(config)
    from pennyweight.verbs.weigh import weigh_all

    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    networks = weigh_all(
        names, shape, batch=batch, stem=stem, config=config_fields, training_step=training_step, measure=measure,
        repeats=repeats or REPEATS,
    )  # fmt: skip
    if html is not None:
        _write(html, networks, by or "layer", sort)
        show.written(html)
    _print(networks, by, sort, lint=lint, json=json, csv=csv)


def _print(
    networks: "Sequence[Weighed]", by: By | None, sort: str | None, *, lint: bool, json: bool, csv: bool
) -> None:
    """Print the costs in the form that was asked for."""
    if json:
        found = [_dict(network, by, sort) for network in networks]
        show.as_json(found[0] if len(found) == 1 else {"networks": found})
    elif csv:
        as_csv(networks, by or "layer", sort)
    elif len(networks) == 1:
        show_cost.one(networks[0], by or "layer", sort, lint=lint)
    else:
        show_cost.compared(networks, by, sort, lint=lint)


def _require_outputs(*, json: bool, csv: bool, lint: bool, html: Path | None, sort: str | None) -> None:
    """Raise InputError, before anything is counted, for outputs that exclude each other or cannot be written."""
    if json and csv:
        raise InputError("--json and --csv were both given; keep one")
    if csv and lint:
        raise InputError("--csv has a row for each part of a network, none for what --lint finds; take --json instead")
    if html is not None:
        require_new(html)
    if sort is not None and sort not in SORTS:
        hint = nearest(sort, SORTS, otherwise=f"; there are {', '.join(SORTS)}")
        raise InputError(f"cannot sort by '{sort}'{hint}")


def _dict(network: "Weighed", by: By | None, sort: str | None) -> dict[str, object]:
    """Return the JSON object of a network, with `rows` where --by or --sort was given."""
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
    """Parse "3x224x224" as (3, 224, 224); an `image` has three sides. Raises InputError."""
    sides = text.lower().replace("×", "x").split("x")
    if (image and len(sides) != 3) or not all(side.isascii() and side.isdigit() and int(side) for side in sides):
        raise InputError(f"--input-shape '{text}' is not CxHxW, such as 3x224x224{_meant(text)}")
    return tuple(map(int, sides))


def _meant(text: str) -> str:
    """Suggest a shape for one side or two, for other separators, or for channels last; an empty text for the rest."""
    sides = re.findall(r"[0-9]+", text)
    if len(sides) == 1 and sides[0] == text:
        return f"; did you mean '3x{sides[0]}x{sides[0]}'?"
    if len(sides) == 2 and all(map(int, sides)) and not re.search(r"[-.]", text):
        return f"; did you mean '3x{'x'.join(sides)}'?"
    if len(sides) != 3 or not all(map(int, sides)) or "-" in text or "." in text:
        return ""
    last = sides[0] == sides[1] != sides[2]
    return f"; did you mean '{'x'.join([sides[2], *sides[:2]] if last else sides)}'?"
