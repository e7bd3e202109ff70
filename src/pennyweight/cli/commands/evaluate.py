"""`evaluate`: score a trained network on pictures."""

# No `from __future__ import annotations`: Typer reads the annotations.

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pennyweight.cli import engine_options, options, show, source_options, trained_options, unlike
from pennyweight.cli.help import DATA
from pennyweight.cli.opening import open_trained
from pennyweight.cli.options import option
from pennyweight.core.reasons import doctor_lists
from pennyweight.core.settings import parse_pairs

if TYPE_CHECKING:
    from pennyweight.verbs.execution import Execution
    from pennyweight.verbs.load import Trained
    from pennyweight.verbs.strangers import Untypical

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

Strangers = Annotated[
    Path | None,
    option(
        DATA,
        "Also say how many pictures of this folder, which show something else, are told from the network's own.",
        metavar="FOLDER",
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
    strangers: Strangers = None,
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
    trained = open_trained(run_or_bundle_or_name, weights, execution, **usage)
    settings = engine_options.settings_for(trained, execution)
    measure = _strangers(trained, strangers, execution, max_pixels=max_pixels, **settings)  # before the work
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
            **settings,
        )
    if not is_first():
        return
    if not json:
        show.evaluation(scored)
    unlike.finish(scored.to_dict(), "strangers", measure, lambda found: (found.caught_line,), json=json)


def _strangers(
    trained: "Trained", folder: Path | None, execution: "Execution", **settings: Any
) -> "Callable[[], Untypical] | None":
    """Return the function that measures the strangers; None without a folder. Raises an error of what it will need."""
    if folder is None:
        return None
    from pennyweight.verbs.strangers import measure_strangers, require_pictures, require_typicality

    require_typicality(trained, execution)
    require_pictures(folder)
    return partial(measure_strangers, trained, folder, note=show.note, **settings)
