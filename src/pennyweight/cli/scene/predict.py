"""`scene predict`: map a cube."""

# No `from __future__ import annotations`: Typer reads the annotations.

from pathlib import Path
from typing import Annotated

import typer

from pennyweight.cli import options, show
from pennyweight.cli.help import OUTPUT
from pennyweight.cli.options import option
from pennyweight.cli.scene import options as scenes
from pennyweight.cli.scene.show import show_map

__all__ = ["predict"]


def predict(
    run_or_bundle: scenes.SceneRunOrBundle,
    source: Annotated[str, typer.Argument(metavar="CUBE", help="File of a cube, or scene:NAME.")],
    map: Annotated[
        Path,
        option(
            OUTPUT,
            "Class map to write, a .png; maps of confidence and errors are written next to it.",
            metavar="FILE",
        ),
    ],
    labels: scenes.Labels = None,
    background: scenes.Background = None,
    ignore_place: scenes.IgnorePlace = False,
    bfloat16: scenes.Bfloat16 = False,
    json: options.Json = False,
) -> None:
    """Classify every pixel of a cube, and write the map. Nothing that exists is overwritten."""
    from pennyweight.verbs.scenes.predict import predict as verb

    known = scenes.given(labels=labels, background=background, ignore_place=ignore_place or None)
    mapped = verb(run_or_bundle, source, map=map, bfloat16=bfloat16, **known)
    if json:
        show.as_json(mapped.to_dict())
    else:
        show_map(mapped)
