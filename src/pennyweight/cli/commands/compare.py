"""`compare`: runs and bundles side by side on the same pictures."""

# No `from __future__ import annotations`: Typer reads the annotations.

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pennyweight.cli import options, show
from pennyweight.cli.help import DATA, MEASUREMENT, OUTPUT
from pennyweight.cli.options import option
from pennyweight.core.errors import InputError
from pennyweight.core.files import require_new, write_text
from pennyweight.core.reasons import doctor_lists
from pennyweight.core.text import no_formula, printable, say, write_as_file

if TYPE_CHECKING:
    from pennyweight.scoring.comparison import Comparison

__all__ = ["compare"]

Csv = Annotated[bool, option(OUTPUT, "Print a row for each network as comma-separated values.", "--csv")]
Markdown = Annotated[bool, option(OUTPUT, "Print the table as Markdown.", "--markdown")]
Latex = Annotated[bool, option(OUTPUT, "Print the table as LaTeX, with booktabs.", "--latex")]
Html = Annotated[
    Path | None, option(OUTPUT, "Page to write: table, accuracy against cost, every pair.", metavar="FILE")
]


def compare(
    runs_or_bundles: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN_OR_BUNDLE...",
            help="Folders that `fit` made (of `fit --seeds` too), or files that `export` made; two or more.",
        ),
    ],
    source: Annotated[
        str | None,
        option(DATA, "Pictures to score; by default those of the first one's training.", metavar="SOURCE"),
    ] = None,
    split: Annotated[
        Literal["train", "val", "test"],
        option(DATA, "Split of the source to score: train, val or test.", metavar="SPLIT"),
    ] = "test",
    max_pixels: options.MaxPixels = None,
    measure: Annotated[
        bool, option(MEASUREMENT, "Also time each network on this machine, as `bench` does.", "--measure")
    ] = False,
    json: options.Json = False,
    csv: Csv = False,
    markdown: Markdown = False,
    latex: Latex = False,
    html: Html = None,
) -> None:
    """Compare runs and bundles on the same pictures: accuracy over seeds, tests of the differences, cost."""
    forms = {"--json": json, "--csv": csv, "--markdown": markdown, "--latex": latex}
    if len(given := [form for form, wanted in forms.items() if wanted]) > 1:
        raise InputError(f"{' and '.join(given)} were both given; keep one")
    if html is not None:
        require_new(html)
    from pennyweight.verbs.compare import compare as verb

    with show.noting_left_out(doctor_lists(source or "SOURCE")) as lost:
        found = verb(
            runs_or_bundles,
            source,
            split=split,
            measure=measure,
            max_pixels=max_pixels,
            left_out=lambda each: lost.add(*each),
            note=show.note,
        )
    if html is not None:
        _write(html, found)
    if json:
        show.as_json(found.to_dict())
    elif csv:
        _print_csv(found)
    elif markdown or latex:
        write_as_file()
        print(found.to_latex() if latex else found.to_markdown(), end="")
    else:
        _print_table(found)


def _write(path: Path, found: "Comparison") -> None:
    from pennyweight.report.compare_page import compare_page
    from pennyweight.scoring.comparison_table import comparison_cells, comparison_notes

    write_text(path, compare_page(found.to_dict(), *comparison_cells(found), comparison_notes(found)))
    show.written(path)


def _print_table(found: "Comparison") -> None:
    from rich.console import Console

    from pennyweight.report.tables import text_table
    from pennyweight.scoring.comparison_table import comparison_cells, comparison_notes

    headings, rows = comparison_cells(found)
    texts = [[cell.text for cell in row] for row in rows]
    Console().print(text_table(None, headings, texts, numeric=[place > 0 for place in range(len(headings))]))
    say(*comparison_notes(found))


def _print_csv(found: "Comparison") -> None:
    """Print a row for each network, with its full figures and its difference from the most accurate one."""
    import csv
    import sys

    write_as_file()
    writer = None
    for network in found.networks:
        pair = found.against_best(network.name)
        low, high = network.accuracy_interval
        row = {
            "network": no_formula(printable(network.name)),
            "seeds": " ".join(str(seed) for seed in network.seeds if seed is not None),
            "accuracy": network.accuracy,
            "deviation": network.deviation,
            "interval_low": low,
            "interval_high": high,
            "accuracies": " ".join(map(str, network.accuracies)),
            "params": network.params,
            "macs": network.macs,
            "ms": network.ms,
            "mcnemar_p": pair and pair.mcnemar_p,
            "seeds_p": pair and pair.seeds_p,
            "images": found.images,
            "source": no_formula(printable(found.source)),
            "split": found.split,
            "runs": no_formula(printable(" ".join(network.runs))),
        }
        if writer is None:
            writer = csv.DictWriter(sys.stdout, fieldnames=list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
