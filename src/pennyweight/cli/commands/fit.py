"""`fit`: train on pictures."""

# No `from __future__ import annotations`: Typer reads the annotations.

from typing import Annotated, Any, Literal

import typer

from pennyweight.cli import options, show, source_options
from pennyweight.cli.help import DATA, NETWORK, OUTPUT, TIME, TRAINING
from pennyweight.cli.options import option

__all__ = ["fit"]

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Folder with a folder for each class, manifest (.csv, .parquet), .npz, archive, or named set (digits).",
    ),
]
Channels = Annotated[
    int | None,
    option(DATA, "1 gray, 3 RGB, 4 with transparency; by default those of the pictures.", metavar="N"),
]
ShuffleBuffer = Annotated[
    str | None,
    option(DATA, "Memory in which streamed shards are read and mixed; by default 256MB.", metavar="SIZE"),
]
Trust = Annotated[
    bool,
    option(
        DATA,
        "Begin on streamed shards without decoding every picture first; skip and count pictures that training cannot "
        "read.",
        "--trust",
    ),
]
Weights = Annotated[
    str | None,
    option(
        NETWORK,
        "Initial weights: imagenet (the best published), a tag, a file (FILE#SET for one set in it), a run, or none. "
        "auto takes published weights for photographs. Of a folder's files, mode head tries each network.",
        metavar="WEIGHTS",
    ),
]
InputSize = Annotated[
    str | None,
    option(
        NETWORK,
        "Side of the network's input, or height x width, such as 96x384; by default chosen for the pictures.",
        "--input-size",
        "--input",
        metavar="PIXELS",
    ),
]
Frame = Annotated[
    Literal["auto", "crop", "pad", "stretch"],
    option(
        NETWORK,
        "Cut out the middle of each picture (crop), show all of it with a border (pad), or change its shape (stretch). "
        "auto chooses by the pictures' shapes.",
        metavar="FRAME",
    ),
]
Mode = Annotated[
    Literal["auto", "scratch", "head", "finetune"] | None,
    option(
        TRAINING,
        "Train everything (scratch), the last layer only (head), or the head and then everything (finetune). auto "
        "chooses and prints its reason.",
        metavar="MODE",
    ),
]
Teacher = Annotated[
    str | None,
    option(TRAINING, "Network to distill from: a run, or a name with published weights.", metavar="NETWORK"),
]
Folds = Annotated[
    int | None,
    option(
        TRAINING,
        "Score every picture once in K folds (cross-validation), and learn from all. By default 3 to 8 in mode head if "
        "a test split would have fewer than 100 pictures; 1 keeps the test split. Other modes train K + 1 networks.",
        metavar="K",
    ),
]
Preflight = Annotated[
    bool | None,
    option(TRAINING, "Check first for faults that make a long training worthless.", "--preflight/--no-preflight"),
]
Augment = Annotated[
    Literal["check", "keep"],
    option(
        TRAINING,
        "check leaves out augmentations that contradict the labels, such as mirroring b and d; keep applies all.",
        metavar="RULE",
    ),
]
Minutes = Annotated[float | None, option(TIME, "Fit the whole run into M minutes.", metavar="M")]
Speed = Annotated[
    Literal["auto", "fixed"] | None,
    option(
        TIME,
        "auto measures which precision, memory layout and compilation have the highest throughput (the default with "
        "--minutes); fixed keeps those of the recipe.",
        metavar="SPEED",
    ),
]
Log = Annotated[str | None, option(OUTPUT, "Experiment tracker: tensorboard, mlflow or wandb.", metavar="TRACKER")]


def fit(
    source: Source,
    group_by: source_options.GroupBy = None,
    twins: source_options.Twins = "group",
    channels: Channels = None,
    max_pixels: options.MaxPixels = None,
    shuffle_buffer: ShuffleBuffer = None,
    trust: Trust = False,
    columns: source_options.Columns = None,
    pictures: source_options.Pictures = None,
    ending: source_options.Ending = None,
    label_from: source_options.LabelFrom = None,
    corrections: source_options.Corrections = None,
    model: options.Model = "auto",
    weights: Weights = None,
    input_size: InputSize = None,
    frame: Frame = "auto",
    stem: options.Stem = None,
    config: options.Config = None,
    epochs: options.Epochs = None,
    batch: options.Batch = None,
    recipe: options.Recipe = None,
    set: options.Set = None,
    mode: Mode = None,
    folds: Folds = None,
    seed: options.Seed = 0,
    seeds: options.Seeds = 1,
    teacher: Teacher = None,
    preflight: Preflight = None,
    augment: Augment = "check",
    minutes: Minutes = None,
    resume: options.Resume = False,
    save_minutes: options.SaveMinutes = 5.0,
    wait: options.Wait = 5.0,
    speed: Speed = None,
    out: options.Out = None,
    log: Log = None,
    json: options.Json = False,
) -> None:
    """Train on pictures. Write a run folder with weights, evaluation and report."""
    arguments: dict[str, Any] = {
        "recipe": options.recipe_fields(set, epochs=epochs, batch=batch, mode=mode, recipe=recipe),
        "config": options.config_fields(config),
        "read_as": source_options.read_as(columns, pictures, ending, label_from, corrections),
    }
    same: dict[str, Any] = {
        "group_by": group_by,
        "twins": twins,
        "channels": channels,
        "max_pixels": max_pixels,
        "shuffle_buffer": shuffle_buffer,
        "trust": trust,
    }
    same |= {"weights": weights, "input_size": input_size, "frame": frame, "stem": stem, "teacher": teacher}
    same |= {"augment": augment, "minutes": minutes, "resume": resume, "save_minutes": save_minutes, "speed": speed}
    same |= {"seed": seed, "preflight": preflight, "out": out, "log": log, "wait": wait, "folds": folds}
    if seeds > 1:
        _fit_seeds(source, model, seeds, arguments | same, json=json)
    else:
        _fit_one(source, model, arguments | same, json=json)


def _fit_one(source: str, model: str, arguments: dict[str, Any], *, json: bool) -> None:
    from pennyweight.verbs.fit import fit

    run = fit(source, model, **arguments)
    if json:
        show.as_json(show.run_values(run))
    else:
        show.run(run)


def _fit_seeds(source: str, model: str, seeds: int, arguments: dict[str, Any], *, json: bool) -> None:
    from pennyweight.verbs.fitting.fit_seeds import fit_seeds

    several = fit_seeds(source, model, seeds=seeds, **arguments)
    if json:
        show.as_json(several)
    else:
        show.seeds(several)
