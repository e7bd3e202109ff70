"""Options of the commands on scenes."""

# No `from __future__ import annotations`: Typer reads the annotations.

from typing import Annotated, Any, Literal

import typer

from pennyweight.cli.help import DATA, NETWORK, TRAINING
from pennyweight.cli.options import option

__all__ = [
    *(
        "Background",
        "Bands",
        "Baselines",
        "Bfloat16",
        "Components",
        "Cut",
        "IgnorePlace",
        "Labels",
        "Names",
        "Protocol",
        "SceneRun",
    ),
    *("SceneRunOrBundle", "Split", "SplitMap", "TestLabels", "Train", "Window", "given"),
]

SceneRun = Annotated[str, typer.Argument(metavar="RUN", help="Folder that `scene fit` made.")]
SceneRunOrBundle = Annotated[
    str, typer.Argument(metavar="RUN_OR_BUNDLE", help="Folder that `scene fit` made, or file that `scene export` made.")
]
Labels = Annotated[
    str | None, option(DATA, "Label map of a cube's file; FILE#VARIABLE names an array of a .mat.", metavar="FILE")
]
TestLabels = Annotated[
    str | None,
    option(DATA, "Label map of the test pixels; --labels is then that of the training pixels.", metavar="FILE"),
]
SplitMap = Annotated[
    str | None, option(DATA, "Raster of codes that fix the split: 1 training, 2 test, 3 validation.", metavar="FILE")
]
Names = Annotated[
    str | None, option(DATA, "Names of the label map's classes, one per line, in order of id.", metavar="FILE")
]
Background = Annotated[int | None, option(DATA, "Id of unlabeled pixels in the label map; by default 0.", metavar="ID")]
Bands = Annotated[
    str | None,
    option(
        DATA,
        "Bands to keep, such as 1-129,136-224; by default all but bad bands (bbl) and those without numbers.",
        metavar="LIST",
    ),
]
IgnorePlace = Annotated[
    bool, option(DATA, "Take a label map whose georeference differs from the cube's.", "--ignore-place")
]
Split = Annotated[
    Literal["random", "blocks"] | None,
    option(
        DATA,
        "random, as papers split (the default); or blocks, with a guard of half a window between training and test.",
        metavar="SPLIT",
    ),
]
Train = Annotated[
    float | None,
    option(DATA, "Training pixels of each class: a share below 1, or a count; by default 0.3.", metavar="N"),
]
Window = Annotated[
    int | None,
    option(NETWORK, "Side of the window that the network sees around a pixel; by default 25.", metavar="PIXELS"),
]
Components = Annotated[
    int | None,
    option(NETWORK, "Principal components; 0 for all bands; by default those that suit the network.", metavar="N"),
]
Protocol = Annotated[
    Literal["training", "paper"] | None,
    option(
        TRAINING,
        "Pixels that scaling and components are fitted on: training (the default), or paper (test pixels too).",
        metavar="PROTOCOL",
    ),
]
Cut = Annotated[
    Literal["windows", "tiles"] | None,
    option(
        TRAINING,
        "Train on single windows (the default), or on tiles, in which neighboring windows share the trunk.",
        metavar="CUT",
    ),
]
Baselines = Annotated[
    bool,
    option(TRAINING, "Train and score four simpler classifiers on the same split.", "--with-baselines", "--baselines"),
]
Bfloat16 = Annotated[bool, option(NETWORK, "Compute a run's network in bfloat16 instead of float32.", "--bfloat16")]


def given(**options: Any) -> dict[str, Any]:
    """Return the options that are not None; the others keep their defaults."""
    return {name: value for name, value in options.items() if value is not None}
