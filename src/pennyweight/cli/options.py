"""Options that several commands share, each in its panel of the help."""

# No `from __future__ import annotations`: Typer reads the annotations.

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pennyweight.cli.help import DATA, MEASUREMENT, NETWORK, OUTPUT, TIME, TRAINING
from pennyweight.core.errors import InputError
from pennyweight.core.settings import parse_pairs

__all__ = [
    *(
        "Batch",
        "Config",
        "Epochs",
        "Json",
        "MaxPixels",
        "Model",
        "Out",
        "Recipe",
        "Resume",
        "SaveMinutes",
        "Seed",
        "Wait",
    ),
    *("Seeds", "Set", "Stem", "Threads", "Wait", "config_fields", "option", "recipe_fields"),
]


def option(panel: str, help: str, *names: str, metavar: str | None = None, **more: Any) -> Any:
    """Return an option that the help shows in `panel` under the first of its `names`; the others are aliases."""
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel, **more)


Json = Annotated[bool, option(OUTPUT, "Print one JSON object on standard output, and nothing else.", "--json")]
MaxPixels = Annotated[
    int | None, option(DATA, "Read pictures of up to N pixels; by default 80 million.", metavar="N", min=1)
]
Model = Annotated[str, option(NETWORK, "Network, as `names` lists them; auto chooses.", metavar="NAME")]
Stem = Annotated[
    Literal["imagenet", "cifar"] | None,
    option(NETWORK, "First layers: imagenet, or cifar for small pictures.", metavar="STEM"),
]
Config = Annotated[
    list[str] | None,
    option(NETWORK, "Set a field of the network's Config, such as width=0.5.", "--config", metavar="NAME=VALUE"),
]
Recipe = Annotated[
    str | None,
    option(
        TRAINING,
        "Named recipe: steady, quick, sprint, careful, probe, logistic, gentle, classic-cifar, classic-transfer.",
        metavar="NAME",
    ),
]
Epochs = Annotated[int | None, option(TRAINING, "Epochs; the same as --set epochs=N.", metavar="N")]
Batch = Annotated[int | None, option(TRAINING, "Samples in a batch; the same as --set batch=N.", metavar="N")]
Set = Annotated[
    list[str] | None,
    option(TRAINING, "Set a field of the recipe, such as lr=0.1.", "--set", metavar="NAME=VALUE"),
]
Seed = Annotated[int, option(TRAINING, "Seed of every random choice.", metavar="N")]
Seeds = Annotated[
    int,
    option(
        TRAINING,
        "Train N times with consecutive seeds and report mean ± standard deviation.",
        metavar="N",
        min=1,
    ),
]
Resume = Annotated[bool, option(TIME, "Continue the run in --out where the same command stopped.", "--resume")]
Wait = Annotated[
    float, option(TIME, "Wait M minutes for the other ranks of a distributed command.", metavar="M", min=0.0)
]
SaveMinutes = Annotated[
    float,
    option(TIME, "Save a checkpoint every M minutes.", "--save-minutes", "--save-every", metavar="M", min=0.0),
]
Out = Annotated[
    Path | None,
    option(OUTPUT, "New folder for the run; by default runs/SOURCE-MODEL-N.", metavar="DIR"),
]
Threads = Annotated[
    int | None, option(MEASUREMENT, "Threads of torch; by default as many as torch chooses.", metavar="N", min=1)
]


def config_fields(config: list[str] | None) -> dict[str, str]:
    """Return the fields of --config. Raises InputError for a text without NAME=VALUE."""
    return parse_pairs(config or [], "--config", example="width=0.5")


def recipe_fields(pairs: list[str] | None, **shorthands: Any) -> dict[str, Any]:
    """Return the fields of --set and of its shorthands, such as --epochs. Raises InputError where both set one."""
    fields: dict[str, Any] = dict(parse_pairs(pairs or [], "--set", example="lr=0.1"))
    for name, value in shorthands.items():
        field = "name" if name == "recipe" else name
        if value is None:
            continue
        if field in fields:
            raise InputError(f"--{name} and --set {field}= were both given; keep one")
        fields[field] = value
    return fields
