"""`scene leakage`: training pixels in the test windows of a split."""

# No `from __future__ import annotations`: Typer reads the annotations.

from typing import Annotated

import typer

from pennyweight.cli import options, show
from pennyweight.cli.help import DATA
from pennyweight.cli.options import option
from pennyweight.cli.scene import options as scenes
from pennyweight.cli.scene.show import leakage_line
from pennyweight.core.text import say

__all__ = ["leakage"]


def leakage(
    labels: Annotated[
        str,
        typer.Argument(metavar="LABELS", help="File of a label map (FILE#VARIABLE in a .mat), or scene:NAME."),
    ],
    test: Annotated[
        str | None, option(DATA, "Label map of the test pixels; LABELS is then that of training.", metavar="FILE")
    ] = None,
    split: scenes.Split = None,
    train: scenes.Train = None,
    background: scenes.Background = None,
    window: scenes.Window = None,
    seed: Annotated[int, option(DATA, "Seed of the split.", metavar="N")] = 0,
    json: options.Json = False,
) -> None:
    """Count the test windows of a scene's split that hold training pixels, before anything is trained."""
    from pennyweight.verbs.scenes.leakage import leakage as verb

    chosen = scenes.given(test=test, split=split, train=train, window=window, background=background)
    found = verb(labels, **chosen, seed=seed)
    if json:
        show.as_json(found)
    else:
        say(*found["notes"], leakage_line(found["leakage"]))
