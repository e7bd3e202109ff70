"""Options of `predict`, `evaluate` and `export`: a run, a bundle, or a name with weights and their usage."""

# No `from __future__ import annotations`: Typer reads the annotations.

from typing import Annotated, Any

import typer

from pennyweight.cli.help import NETWORK
from pennyweight.cli.options import option
from pennyweight.core.errors import InputError
from pennyweight.core.settings import parse_pairs

__all__ = ["InputSize", "Labels", "Mean", "Std", "Trained", "Weights", "usage"]

Trained = Annotated[
    str,
    typer.Argument(
        metavar="RUN_OR_BUNDLE_OR_NAME",
        help="Folder that `fit` made, file that `export` made, or name of a network with --weights.",
    ),
]
Weights = Annotated[
    str | None,
    option(
        NETWORK,
        "Weights for a name: imagenet (the best published), a tag, a file (FILE#SET for one set in it), or a run.",
        metavar="WEIGHTS",
    ),
]
InputSize = Annotated[
    str | None,
    option(
        NETWORK, "Side of the network's input, or height x width, for weights that do not state it.", "--input-size",
        "--input", metavar="PIXELS",
    ),
]  # fmt: skip
Mean = Annotated[
    str | None,
    option(
        NETWORK, "Mean of the pixels (0 to 1): one number, or one per channel: 0.485,0.456,0.406.", metavar="NUMBERS"
    ),
]
Std = Annotated[
    str | None,
    option(NETWORK, "Standard deviation of the pixels, in the same form.", metavar="NUMBERS"),
]
Labels = Annotated[
    str | None,
    option(
        NETWORK, "Classes in the order of the head: a source, or a .txt file with one class per line.", metavar="SOURCE"
    ),
]


def usage(
    *,
    stem: str | None,
    input_size: str | None,
    config: list[str] | None,
    mean: str | None,
    std: str | None,
    labels: str | None,
) -> dict[str, Any]:
    """Return the usage of weights as `pw.load` takes it. Raises InputError for text that cannot be parsed."""
    return {
        "stem": stem,
        "input_size": input_size,
        "config": parse_pairs(config, "--config", example="width=0.5") if config else None,
        "mean": _numbers(mean, "--mean"),
        "std": _numbers(std, "--std"),
        "labels": labels,
    }


def _numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """Parse "0.5,0.4" as (0.5, 0.4)."""
    try:
        return None if text is None else tuple(map(float, text.split(",")))
    except ValueError as error:
        raise InputError(f"{option} '{text}' is not numbers joined by commas, such as 0.485,0.456,0.406") from error
