"""`weigh`: the costs of networks."""

# No `from __future__ import annotations`: Typer reads the annotations.

import re
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from pennyweight.cli import options, show, show_cost
from pennyweight.cli.cost_rows import SORTS, By, Depth, as_csv, bounded, rows_of
from pennyweight.cli.help import MEASUREMENT, NETWORK, OUTPUT
from pennyweight.cli.network_table import DIGITS, NETWORK_SORTS, Style, Unit, headings_and_rows, ordered
from pennyweight.cli.options import option
from pennyweight.core.errors import InputError, PennyweightError, nearest
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
        help="Names or patterns such as 'mobilenet_v2*' (`names` lists them), torchvision:NAME, timm:NAME, "
        "module.path:callable, runs or bundles; several make a table.",
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
    bool, option(NETWORK, "Count the memory and the MACs of a training step as well.", "--training-step", "--training")
]
Measure = Annotated[bool, option(MEASUREMENT, "Run the networks on this machine and time them in turns.", "--measure")]
Repeats = Annotated[
    int | None, option(MEASUREMENT, f"Timed runs with --measure; by default {REPEATS}.", metavar="N", min=2)
]
Rows = Annotated[
    By | None, option(OUTPUT, "Rows: layer (the default for one network), stage or total.", metavar="ROWS")
]
Sort = Annotated[
    str | None,
    option(
        OUTPUT,
        "Largest first, of layers or of several networks: macs, ops, params, bytes_read, predicted_ms, …; networks "
        "also by name, measured_ms, published_top1.",
        metavar="COLUMN",
    ),
]
DepthOption = Annotated[
    int | None, option(OUTPUT, "Rows: modules down to this depth of their names.", "--depth", metavar="N", min=1)
]
UnitOption = Annotated[
    Unit | None,
    option(
        OUTPUT,
        "Unit of parameters, MACs and operations in a table of networks: 1, K, M or G; by default 1, in Markdown and "
        "LaTeX M.",
        "--unit",
        metavar="UNIT",
    ),
]
Digits = Annotated[
    int, option(OUTPUT, "Significant digits in a table of networks.", "--digits", metavar="N", min=1, max=12)
]
Markdown = Annotated[bool, option(OUTPUT, "Print a row for each network as Markdown.", "--markdown")]
Latex = Annotated[bool, option(OUTPUT, "Print a row for each network as LaTeX, with booktabs.", "--latex")]
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
    depth: DepthOption = None,
    unit: UnitOption = None,
    digits: Digits = DIGITS,
    markdown: Markdown = False,
    latex: Latex = False,
) -> None:
    """Count the costs of networks: MACs, memory traffic, peak memory and milliseconds, layer by layer."""
    forms = Forms(by if depth is None else depth, sort, lint, json, csv, markdown, latex, unit, digits)
    forms.require_possible(names, html, both_rows=by is not None and depth is not None)
    if repeats is not None and not measure:
        raise InputError("--repeats says how often --measure runs each network; add --measure")
    image = not any(":" in name for name in names)
    shape = _shape(input_shape, image=image) if input_shape is not None else None
    config_fields = options.config_fields(config)
    from pennyweight.verbs.weigh import weigh_all

    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    failures: list[str] = []
    networks = weigh_all(
        names, shape, batch=batch, stem=stem, config=config_fields, training_step=training_step, measure=measure,
        repeats=repeats or REPEATS, failed=partial(_note_failure, failures) if is_table(names) else None,
    )  # fmt: skip
    if networks:
        networks = tuple(ordered(networks, sort)) if is_table(names) else networks
        if html is not None:
            _write(html, networks, forms.by or "layer", forms.layer_sort)
            show.written(html)
        _print(networks, forms)
    for line in failures:
        show.failure(line)
    if failures:
        raise typer.Exit(1)


def is_table(names: "Sequence[str]") -> bool:
    """Return whether the names make a table of networks: there are several, or a pattern."""
    from pennyweight.verbs.network_patterns import is_pattern

    return len(names) > 1 or is_pattern(names[0])


def _note_failure(failures: list[str], name: str, error: PennyweightError) -> None:
    """Keep the line of a network that cannot be weighed; its name begins the line unless the reason has it."""
    line = str(error)
    failures.append(line if name in line else f"{name}: {line}")


class Forms(NamedTuple):
    """Rows and forms of the output."""

    by: Depth | None
    sort: str | None
    lint: bool
    json: bool
    csv: bool
    markdown: bool
    latex: bool
    unit: Unit | None
    digits: int

    @property
    def layer_sort(self) -> str | None:
        """Column by which the rows of a network are sorted; None for one that layers have not."""
        return self.sort if self.sort in SORTS else None

    @property
    def style(self) -> Style:
        """Unit and digits of a table of networks."""
        return Style(self.unit or ("M" if self.markdown or self.latex else "1"), self.digits)

    def require_possible(self, names: "Sequence[str]", html: Path | None, *, both_rows: bool) -> None:
        """Raise InputError, before anything is counted, for outputs that exclude each other or cannot be written."""
        given = [f"--{form}" for form in ("json", "csv", "markdown", "latex") if getattr(self, form)]
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)} were both given; keep one")
        if both_rows:
            raise InputError("--by and --depth were both given; --depth 2 is --by stage")
        if self.csv and self.lint:
            raise InputError(
                "--csv has a row for each part of a network, none for what --lint finds; take --json instead"
            )
        if (self.markdown or self.latex) and (self.by is not None or self.lint):
            raise InputError(
                f"{given[0]} has a row for each network, and none for its parts; leave --by, --depth and --lint out, "
                "or take --csv"
            )
        if html is not None:
            require_new(html)
        known = (*NETWORK_SORTS, "name") if is_table(names) else SORTS
        if self.sort is not None and self.sort not in known:
            hint = nearest(self.sort, known, otherwise=f"; there are {', '.join(known)}")
            raise InputError(f"cannot sort by '{self.sort}'{hint}")


def _print(networks: "Sequence[Weighed]", forms: Forms) -> None:
    """Print the costs in the form that was asked for."""
    if forms.json:
        found = [_dict(network, forms) for network in networks]
        show.as_json(found[0] if len(found) == 1 else {"networks": found})
    elif forms.csv:
        as_csv(networks, forms.by or ("layer" if len(networks) == 1 else "total"), forms.layer_sort)
    elif forms.markdown or forms.latex:
        _print_for_paper(networks, forms)
    elif len(networks) == 1:
        show_cost.one(networks[0], forms.by or "layer", forms.layer_sort, lint=forms.lint)
    else:
        show_cost.compared(networks, forms.by, forms.layer_sort, forms.style, lint=forms.lint)


def _print_for_paper(networks: "Sequence[Weighed]", forms: Forms) -> None:
    """Print a row for each network as Markdown or LaTeX, with what the figures mean."""
    from pennyweight.core.text import write_as_file
    from pennyweight.cost.counting.conventions import CONVENTIONS
    from pennyweight.report.paper_table import as_latex, as_markdown

    write_as_file()
    notes = [f"Batch {networks[0].cost.batch}. MACs: {CONVENTIONS['macs']}."]
    notes += [f"{how[0].upper()}{how[1:]}." for how in [show_cost.measured_how(networks)] if how]
    table = as_latex if forms.latex else as_markdown
    print(table(*headings_and_rows(networks, forms.style), notes), end="")


def _dict(network: "Weighed", forms: Forms) -> dict[str, object]:
    """Return the JSON object of a network, with `rows` where --by, --depth or --sort was given."""
    asked = forms.by is not None or forms.sort is not None
    rows = {"rows": rows_of(network, forms.by or "layer", forms.layer_sort)} if asked else {}
    return {**network.to_dict(), **rows}


def _write(path: Path, networks: "Sequence[Weighed]", by: Depth, sort: str | None) -> None:
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
        by=by if isinstance(by, str) else "module",
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
