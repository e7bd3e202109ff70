"""`export`: a bundle of a trained network."""

# No `from __future__ import annotations`: Typer reads the annotations.

from pathlib import Path
from typing import Annotated

import typer

from pennyweight.cli import options, show, trained_options
from pennyweight.cli.help import OUTPUT
from pennyweight.cli.options import option

__all__ = ["export"]


def export(
    run_or_name: Annotated[
        str, typer.Argument(metavar="RUN_OR_NAME", help="Folder that `fit` made, or name of a network with --weights.")
    ],
    weights: trained_options.Weights = None,
    input_size: trained_options.InputSize = None,
    labels: trained_options.Labels = None,
    stem: options.Stem = None,
    config: options.Config = None,
    mean: trained_options.Mean = None,
    std: trained_options.Std = None,
    out: Annotated[
        Path | None,
        option(OUTPUT, "New file to write; by default model.onnx in the run, or NAME.onnx.", metavar="FILE"),
    ] = None,
) -> None:
    """Write a network as a bundle: one ONNX file, proved to answer as the network does."""
    from pennyweight.verbs.export import export as verb

    usage = trained_options.usage(
        stem=stem, input_size=input_size, config=config, mean=mean, std=std, labels=labels
    )  # fmt: skip
    show.bundle(verb(trained_options.open_trained(run_or_name, weights, **usage), out, note=show.note))
