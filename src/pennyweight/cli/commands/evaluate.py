"""`evaluate`: score a trained network on pictures."""

# No `from __future__ import annotations`: Typer reads the annotations.

from typing import Annotated, Literal

import typer

from pennyweight.cli import engine_options, options, show, source_options, trained_options
from pennyweight.cli.help import DATA
from pennyweight.cli.options import option
from pennyweight.core.reasons import doctor_lists
from pennyweight.core.settings import parse_pairs

__all__ = ["evaluate"]

Rename = Annotated[
    list[str] | None,
    option(
        DATA,
        "Score a class of the source as this class of the network, such as cats=Cats; repeatable.",
        "--rename",
        metavar="NAME=LABEL",
    ),
]


def evaluate(
    run_or_bundle_or_name: trained_options.Trained,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="Pictures to score on; by default those of the training."),
    ] = None,
    split: Annotated[
        Literal["train", "val", "test"],
        option(DATA, "Split of the source to score: train, val or test.", metavar="SPLIT"),
    ] = "test",
    rename: Rename = None,
    max_pixels: options.MaxPixels = None,
    columns: source_options.Columns = None,
    pictures: source_options.Pictures = None,
    ending: source_options.Ending = None,
    label_from: source_options.LabelFrom = None,
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
    wait: options.Wait = 5.0,
    json: options.Json = False,
) -> None:
    """Score a run, a bundle or a name with weights: accuracy with its 95% interval, and each class."""
    from pennyweight.verbs.evaluate import evaluate as verb
    from pennyweight.verbs.execution import Execution
    from pennyweight.verbs.ranks import is_first

    usage = trained_options.usage(
        stem=stem, input_size=input_size, config=config, mean=mean, std=std, labels=labels
    )  # fmt: skip
    execution = Execution(engine, threads, precision, note=show.note)
    trained = trained_options.open_trained(run_or_bundle_or_name, weights, execution, **usage)
    with show.noting_left_out(doctor_lists(source or "SOURCE")) as lost:
        scored = verb(
            trained,
            source,
            split=split,
            rename=parse_pairs(rename or [], "--rename", example="cats=Cats"),
            max_pixels=max_pixels,
            wait=wait,
            read_as=source_options.read_as(columns, pictures, ending, label_from),
            left_out=lambda each: lost.add(*each),
            note=show.note,
            **engine_options.settings_for(trained, execution),
        )
    if not is_first():
        return
    if json:
        show.as_json(scored.to_dict())
    else:
        show.evaluation(scored)
