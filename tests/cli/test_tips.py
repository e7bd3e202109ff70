"""What an error, a note or a help text tells a user to run exists: commands, options, and the fields that they name."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer.main

import pennyweight
from pennyweight.cli.app import make_command
from pennyweight.cli.program import DEBUG, main
from pennyweight.core.errors import PennyweightError
from pennyweight.train import RECIPES, Recipe

OPTION = re.compile(r"(?<![\w(-])--[a-z][a-z0-9-]*(?![\w-])")
COMMAND = re.compile(r"`pennyweight ([^`]+)`|: pennyweight ((?:(?! \().)+?)(?:, or pw\.[a-z_.]+)?$")
"""A command in backticks, or one that ends a line behind a colon."""
OTHERS = {"--upgrade", "--dereference", "--hard-dereference", "--sparse", "--legible"}
"""Options of pip and of tar, and a variable of a page's style."""
HELD = "X"
"""Stands for what a message puts in."""


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield the strings of a module that a person may see: all but docstrings, with HELD for each value put in."""
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else HELD for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (docstrings | inner):
            yield node.value


@pytest.fixture(scope="module")
def said(sources: Mapping[str, ast.Module]) -> list[tuple[str, str]]:
    """(file, string) of all that the package may say."""
    return [(file, text) for file, tree in sources.items() for text in texts(tree)]


def commands(group: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*before, name))
        else:
            yield (*before, name), command


@pytest.fixture(scope="module")
def app() -> Any:
    return make_command()


@pytest.fixture(scope="module")
def program(app: Any) -> dict[tuple[str, ...], Any]:
    """Every command by its words."""
    return dict(commands(app))


def test_every_option_that_is_mentioned_exists(
    said: list[tuple[str, str]], program: dict[tuple[str, ...], Any]
) -> None:
    known = {DEBUG, "--help", "--version", *OTHERS}
    for command in program.values():
        for parameter in command.params:
            known |= {*parameter.opts, *parameter.secondary_opts}
    mentioned = {(option, file) for file, text in said for option in OPTION.findall(text)}
    assert len(mentioned) > 100
    assert sorted((option, file) for option, file in mentioned if option not in known) == []


def test_every_field_recipe_and_mode_that_is_mentioned_exists(said: list[tuple[str, str]]) -> None:
    fields = {"name", HELD, *Recipe().to_dict()}
    rules = (
        (r"--set (\w+)=", fields),
        (r"--recipe (\w[\w-]*)", {"NAME", HELD, *RECIPES}),
        (r"--mode (\w+)", {"auto", "scratch", "head", "finetune", HELD}),
        (r"--speed (\w+)", {"auto", "fixed", HELD}),
    )
    found = [
        (word, known, file) for pattern, known in rules for file, text in said for word in re.findall(pattern, text)
    ]
    assert len(found) > 10
    assert [(word, file) for word, known, file in found if word not in known] == []


def test_every_command_that_is_mentioned_can_be_parsed(
    said: list[tuple[str, str]], program: dict[tuple[str, ...], Any]
) -> None:
    mentioned = [(line, file) for file, text in said for found in COMMAND.findall(text) for line in found if line]
    assert len(mentioned) >= 10
    for line, file in mentioned:
        words = shlex.split(line)
        if words[0] in (HELD, "pip") or words[:2] == ["scene", HELD]:
            continue  # the next test follows such lines
        if any(tuple(words) == name[: len(words)] for name in program):
            continue  # a whole command, or a group, which prints its help
        name = max((name for name in program if tuple(words[: len(name)]) == name), key=len, default=None)
        assert name is not None, (line, file)
        context = typer.Context(program[name], resilient_parsing=True)
        program[name].make_parser(context).parse_args(words[len(name) :])  # raises for an option that is none


def test_every_function_that_is_mentioned_exists(said: list[tuple[str, str]]) -> None:
    mentioned = [(name, file) for file, text in said for name in re.findall(r"\bpw\.((?:scene\.)?[a-z]\w*)", text)]
    assert len(mentioned) >= 5
    for name, file in mentioned:
        place, _, last = name.rpartition(".")
        assert last in (pennyweight.scene if place else pennyweight).__all__, (name, file)


def parse(command: Any, line: str) -> None:
    """Parse a whole command line as the program does, without running it. Raises what the program says of it."""
    name, words = "pennyweight", shlex.split(line)
    while hasattr(command, "commands"):
        name, *words = words
        command = command.commands[name]
    command.make_context(name, words)


OPTIONS = (
    *("--labels x.npy", "--names n.txt", "--background 2", "--window 9", "--bfloat16", "--map m.png", "--cut=tiles"),
    *("--mode head", "--minutes=3", "--input 32", "--quick", "--top 3", "--no-preflight", "--stem cifar"),
    *("", "--epochs 1", "--json", "--seed 2", "--split random"),
)
"""Options of scenes, of pictures and of both."""


@pytest.mark.parametrize("source", ["scene:synthetic", "SCENE:salinas", "'a cube.mat'", "digits", "'my pets'", ""])
@pytest.mark.parametrize("command", ["fit", "evaluate RUN", "evaluate", "predict RUN", "predict", "export", "doctor"])
def test_what_is_suggested_for_a_scene_takes_every_option_that_it_repeats(app: Any, command: str, source: str) -> None:
    """What a suggestion would be refused for itself is not in it."""
    suggested: list[str] = []
    for option in OPTIONS:
        try:
            parse(app, f"{command} {source} {option}")
        except typer.BadParameter.__mro__[1]:
            continue  # wrong usage of another kind
        except PennyweightError as refused:
            suggested += [line for found in COMMAND.findall(str(refused)) for line in found if line]
    assert suggested or "scene" not in source.lower()
    for line in suggested:
        parse(app, line)
        assert not ("scene:" in line and re.search("--labels|--names|--background", line) and " fit " in line), line


def test_what_is_suggested_for_a_scene_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "scene:synthetic", "--quick", "--background", "3"]) == 1
    line = capsys.readouterr().err.partition(": pennyweight ")[2]
    assert main(shlex.split(line)) == 0
    assert capsys.readouterr().out.startswith("split random: ")


@pytest.mark.parametrize("command", [("doctor", "SOURCE", "--quick"), ("weigh", "mobilenet_v1_x0_25")])
@pytest.mark.parametrize("json", [(), ("--json",)])
def test_a_page_is_said_to_be_written(
    pennyweight: Callable[..., Any],
    draw_folder: Callable[..., Path],
    command: tuple[str, ...],
    json: tuple[str, ...],
    tmp_path: Path,
) -> None:
    """On standard error, where it stands in no program's way."""
    source, page = draw_folder({"cats": 3, "dogs": 3}), tmp_path / "page.html"
    done = pennyweight(*(source if word == "SOURCE" else word for word in command), *json, "--html", page)
    assert f"wrote {page}" in done.err.splitlines()
    assert page.exists()


def test_what_installs_a_part_is_said_in_one_place(said: list[tuple[str, str]]) -> None:
    """A name alone finds nothing on the package index: `core.extras.install_command` knows where this copy is from."""
    literal = [(text, file) for file, text in said if re.search(r"pennyweight\[\w", text)]
    assert literal == []
