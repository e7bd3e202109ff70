"""The command line and Python call a setting by the same name."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import fields
from inspect import signature
from typing import Any

import pytest

import pennyweight as pw
from pennyweight.cli.app import make_command
from pennyweight.core.budget import LIMITS, option_of
from pennyweight.core.usage import Usage
from pennyweight.data import ReadAs
from pennyweight.serve.settings import ServeSettings
from pennyweight.verbs.fit import FitOptions
from pennyweight.verbs.picking.options import SourceOptions
from pennyweight.verbs.scenes.plan import SceneOptions

PRINTED = {"json", "jsonl", "csv", "by", "sort", "lint", "html", "help"}
"""Options that choose the form of the output, which Python has as values."""
TABLE = {"depth", "unit", "digits", "markdown", "latex"}
"""Options that choose the rows and the form of a table, which Python has as values."""
RECIPE = {"recipe", "set", "mode", "epochs", "batch"}
"""Fields of the argument `recipe`."""
READ_AS, SCENE = ({field.name for field in fields(kind)} for kind in (ReadAs, SceneOptions))
USAGE = set(Usage.__annotations__)
CASES: dict[str, tuple[Callable[..., Any], Collection[str]]] = {
    "fit": (pw.fit, {*RECIPE, *READ_AS, *FitOptions.__annotations__, "seeds"}),
    "evaluate": (pw.evaluate, {*READ_AS, *USAGE, "strangers"}),  # of `measure_strangers`
    "compare": (pw.compare, {"markdown", "latex"}),
    "predict": (
        pw.predict,
        {*READ_AS, *USAGE, *signature(pw.predict_parts).parameters, "embeddings"},
    ),  # `embed` of a classifier
    "serve": (ServeSettings, {"bundles", "token_file", "least_typical"}),  # of `make_app`, `read_token`, a StrangerRule
    "export": (pw.export, {*USAGE, *signature(pw.convert).parameters}),
    "bundle": (pw.Bundle, {"markdown"}),
    "weigh": (pw.weigh_all, {"threads", *TABLE}),
    "names": (pw.names, ()),
    "doctor": (pw.doctor, {*READ_AS, "like", "as"}),  # a keyword of Python, whose argument is `network`
    "review": (pw.review, READ_AS),
    "suggest": (pw.suggest, READ_AS),
    "pack": (pw.pack, READ_AS),
    "index": (pw.index, ()),
    "bench": (pw.bench, {"machine", *signature(pw.bench_machine).parameters, "out"}),  # of `bench_engine`
    "pick": (pw.pick, {*SourceOptions.__annotations__, *(option_of(limit).removeprefix("--") for limit in LIMITS)}),
    "lab guidelines": (pw.experiments, ()),
    "scene fit": (pw.scene.fit, {*RECIPE, *SCENE, "seeds"}),
    "scene evaluate": (pw.scene.evaluate, ()),
    "scene predict": (pw.scene.predict, ()),
    "scene export": (pw.scene.export, ()),
    "scene leakage": (pw.scene.leakage, ()),
    "scene names": (pw.scene.names, ()),
}


def commands() -> dict[str, Any]:
    group: Any = make_command()
    found = {name: command for name, command in group.commands.items() if not command.hidden}
    for name in ("lab", "scene"):
        found |= {f"{name} {inner}": command for inner, command in found.pop(name).commands.items()}
    return found


def test_every_command_has_its_function() -> None:
    assert set(commands()) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_an_option_is_an_argument_of_the_function(name: str) -> None:
    function, elsewhere = CASES[name]
    arguments = {*signature(function).parameters, *elsewhere, *PRINTED}
    for parameter in commands()[name].params:
        spelled = [option.lstrip("-").replace("-", "_") for option in parameter.opts if option.startswith("--")]
        assert (spelled[0] if spelled else parameter.name) in arguments
