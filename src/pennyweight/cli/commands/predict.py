"""`predict`: classify pictures."""

# No `from __future__ import annotations`: Typer reads the annotations.

from typing import Annotated

import typer

from pennyweight.cli import engine_options, options, prediction_options, source_options, trained_options
from pennyweight.cli.predicting import Outputs, PredictRequest, predict_and_print
from pennyweight.core.settings import parse_share

__all__ = ["predict"]

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...",
        help="Pictures, folders, archives (.zip, .tar), tables with a column of paths (.csv, .parquet), addresses of "
        "pictures and of shards, or - for a list on standard input.",
    ),
]


def predict(
    run_or_bundle_or_name: trained_options.Trained,
    paths: Paths,
    max_pixels: options.MaxPixels = None,
    columns: source_options.Columns = None,
    pictures: source_options.Pictures = None,
    ending: source_options.Ending = None,
    fetch: source_options.Fetch = False,
    weights: trained_options.Weights = None,
    input_size: trained_options.InputSize = None,
    labels: trained_options.Labels = None,
    stem: options.Stem = None,
    config: options.Config = None,
    mean: trained_options.Mean = None,
    std: trained_options.Std = None,
    engine: engine_options.Engine = None,
    threads: engine_options.Threads = None,
    precision: engine_options.Precision = None,
    top: prediction_options.Top = 5,
    csv: prediction_options.Csv = None,
    jsonl: prediction_options.Jsonl = False,
    parts: prediction_options.Parts = None,
    format: prediction_options.Format = None,
    part_size: prediction_options.PartSize = None,
    workers: prediction_options.Workers = None,
    embeddings: prediction_options.Embeddings = None,
    strangers: prediction_options.Strangers = "flag",
    least_typical: prediction_options.LeastTypical = None,
    wait: options.Wait = 5.0,
    json: options.Json = False,
) -> None:
    """Classify pictures. A picture that cannot be read is listed with its reason, and the exit status is then 1."""
    outputs = Outputs(top, csv, jsonl, json, parts, format, part_size, workers, embeddings)
    outputs.require_possible(paths)
    read_as = source_options.read_as(columns, pictures, ending, None, fetch=fetch)
    usage = trained_options.usage(stem=stem, input_size=input_size, config=config, mean=mean, std=std, labels=labels)
    asked = PredictRequest(
        run_or_bundle_or_name, paths, outputs, weights, usage, read_as, max_pixels, engine, threads, precision, wait,
        strangers, None if least_typical is None else parse_share(least_typical, "--least-typical", example="1%"),
    )  # fmt: skip
    raise typer.Exit(predict_and_print(asked))
