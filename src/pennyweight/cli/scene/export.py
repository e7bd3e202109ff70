"""`scene export`: a bundle of a scene's run."""

# No `from __future__ import annotations`: Typer reads the annotations.

from pathlib import Path
from typing import Annotated

from pennyweight.cli import show
from pennyweight.cli.help import OUTPUT
from pennyweight.cli.options import option
from pennyweight.cli.scene import options as scenes
from pennyweight.cli.scene.show import show_bundle

__all__ = ["export"]


def export(
    run: scenes.SceneRun,
    out: Annotated[
        Path | None, option(OUTPUT, "New file to write; by default model.onnx in the run.", metavar="FILE")
    ] = None,
) -> None:
    """Write a scene's network as a bundle: one ONNX file, proved to map as the network does."""
    from pennyweight.verbs.scenes.export import export as verb

    show_bundle(verb(run, out, note=show.note))
