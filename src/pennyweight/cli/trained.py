"""What `predict`, `evaluate` and `export` are given: a run, a bundle, or a name with weights and how they are used."""

# No `from __future__ import annotations`: Typer reads the annotations.

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer

from pennyweight.cli import show
from pennyweight.core.errors import InputError
from pennyweight.core.settings import parse_pairs

__all__ = ["Config", "Input", "Json", "Labels", "MaxPixels", "Mean", "Std", "Stem", "Trained", "Weights", "opened"]

PANEL = "A name with weights whose file does not say it"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")]
MaxPixels = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Read pictures of up to N pixels; by default 80 million, for memory's sake."),
]
Trained = Annotated[
    str,
    typer.Argument(
        metavar="RUN_OR_BUNDLE_OR_NAME",
        help="A folder that fit made, a file that export made, or a network's name with --weights.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="WEIGHTS",
        help="For a name: imagenet (the best published), a tag, a file (FILE#SET for one set in it), or a run.",
    ),
]
Stem = Annotated[
    Literal["imagenet", "cifar"] | None,
    typer.Option(help="cifar keeps small images large enough.", rich_help_panel=PANEL),
]
Input = Annotated[
    int | None, typer.Option(metavar="PIXELS", help="Side of the network's input.", rich_help_panel=PANEL)
]
Config = Annotated[
    list[str] | None,
    typer.Option(
        "--config",
        metavar="NAME=VALUE",
        help="A field of the network's Config, such as width=0.5.",
        rich_help_panel=PANEL,
    ),
]
Mean = Annotated[
    str | None,
    typer.Option(metavar="NUMBERS", help="Of pixels in 0..1: 0.485,0.456,0.406, or one.", rich_help_panel=PANEL),
]
Std = Annotated[str | None, typer.Option(metavar="NUMBERS", help="Likewise.", rich_help_panel=PANEL)]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE", help="The classes: of a source, or a .txt file with one a line.", rich_help_panel=PANEL
    ),
]


def opened(
    what: str,
    weights: str | None,
    *,
    stem: str | None,
    input: int | None,
    config: Sequence[str] | None,
    mean: str | None,
    std: str | None,
    labels: str | None,
) -> Any:
    """What `what` names, ready to use; what its weights did not say is told on standard error."""
    from pennyweight.verbs.load import open_trained

    found = open_trained(
        what,
        weights,
        stem=stem,
        input_size=input,
        config=parse_pairs(config, "--config", example="width=0.5") if config else None,
        mean=_numbers(mean, "--mean"),
        std=_numbers(std, "--std"),
        labels=labels,
    )
    for note in getattr(found, "notes", ()):
        show.note(note)
    return found


def _numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """ "0.5,0.4" -> (0.5, 0.4)."""
    try:
        return None if text is None else tuple(map(float, text.split(",")))
    except ValueError as error:
        raise InputError(f"{option} '{text}' is not numbers joined by commas, such as 0.485,0.456,0.406") from error
