"""`export`: a bundle of a trained network."""

# No `from __future__ import annotations`: Typer reads the annotations.

from pathlib import Path
from typing import Annotated

import typer

from pennyweight.cli import export_options, options, show, trained_options
from pennyweight.cli.help import OUTPUT
from pennyweight.cli.opening import open_trained
from pennyweight.cli.options import option
from pennyweight.core.errors import InputError

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
    int8: export_options.Int8 = False,
    max_drop: export_options.MaxDrop = None,
    calibrate: export_options.Calibrate = None,
    tune: export_options.Tune = False,
    prune: export_options.Prune = None,
    to: export_options.To = None,
    proof: Annotated[
        str | None,
        option(OUTPUT, "Pictures to prove the bundle on; by default of the run's test split.", metavar="SOURCE"),
    ] = None,
    out: Annotated[
        Path | None,
        option(
            OUTPUT,
            "New file to write; by default model.onnx in the run, or NAME.onnx; with --int8 model-int8.onnx, with "
            "--prune model-pruned.onnx, with --to ncnn a folder model-ncnn.",
            metavar="FILE",
        ),
    ] = None,
) -> None:
    """Write a network as a bundle: one ONNX file, proved to answer as the network does."""
    from pennyweight.core.settings import parse_share
    from pennyweight.deploy import Int8Error
    from pennyweight.verbs.convert import convert
    from pennyweight.verbs.export import export as verb

    usage = trained_options.usage(stem=stem, input_size=input_size, config=config, mean=mean, std=std, labels=labels)
    limit = None if max_drop is None else parse_share(max_drop, "--max-drop", example="1%")
    share_off = None if prune is None else parse_share(prune, "--prune", example="30%", zero=False)
    trained = open_trained(run_or_name, weights, **usage)
    if to is not None:
        if int8 or calibrate is not None or tune:
            raise InputError(f"--to {to} writes float32; leave --int8 and its settings out")
        show.converted(convert(trained, out, to=to, prune=share_off, max_drop=limit, proof=proof, note=show.note))
        return
    try:
        made = verb(
            trained, out, int8=int8, max_drop=limit, calibrate=calibrate, tune=tune, prune=share_off, proof=proof,
            note=show.note,
        )  # fmt: skip
    except Int8Error as error:
        show.layer_losses(error.layers)
        raise
    show.bundle(made)
