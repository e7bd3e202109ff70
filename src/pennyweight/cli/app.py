"""The Typer application: its commands and their groups."""

# No `from __future__ import annotations`: Typer reads the annotations.

from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated

import typer
from typer.core import TyperGroup
from typer.main import get_command

from pennyweight.cli.commands.bench import bench
from pennyweight.cli.commands.bundle import bundle
from pennyweight.cli.commands.compare import compare
from pennyweight.cli.commands.doctor import doctor
from pennyweight.cli.commands.evaluate import evaluate
from pennyweight.cli.commands.export import export
from pennyweight.cli.commands.fit import fit
from pennyweight.cli.commands.index import index
from pennyweight.cli.commands.lab import make_lab
from pennyweight.cli.commands.names import names
from pennyweight.cli.commands.pack import pack
from pennyweight.cli.commands.pick import pick
from pennyweight.cli.commands.predict import predict
from pennyweight.cli.commands.review import review
from pennyweight.cli.commands.serve import serve
from pennyweight.cli.commands.suggest import suggest
from pennyweight.cli.commands.weigh import weigh
from pennyweight.cli.help import Command, Group
from pennyweight.cli.recipe_options import CommandWithRecipe
from pennyweight.cli.scene.elsewhere import CommandOnPictures, MovedCommand
from pennyweight.cli.scene.group import make_scene

__all__ = ["make_app", "make_command"]


class FitCommand(CommandOnPictures, CommandWithRecipe):
    """Command `fit`."""


COMMANDS: Sequence[tuple[Callable[..., None], type[Command]]] = (
    (fit, FitCommand),
    (evaluate, CommandOnPictures),
    (compare, Command),
    (predict, CommandOnPictures),
    (export, CommandOnPictures),
    (serve, Command),
    (bundle, Command),
    (weigh, Command),
    (pick, Command),
    (names, Command),
    (doctor, CommandOnPictures),
    (review, CommandOnPictures),
    (suggest, CommandOnPictures),
    (pack, CommandOnPictures),
    (index, CommandOnPictures),
    (bench, Command),
)
"""Commands in the order of the help, with their kinds."""


def make_app() -> typer.Typer:
    """Make the Typer application with its commands."""
    app = typer.Typer(
        name="pennyweight",
        cls=Group,
        help="Image classifiers that fit a budget: weigh, fit, evaluate, export, predict, serve.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="--debug, anywhere on the line, shows the traceback of a failure. Exit status: 0 for success, 1 for a "
        "failure, 2 for wrong usage (each with one line on standard error), 130 after an interrupt, 143 after SIGTERM.",
    )
    app.callback()(pennyweight)
    for command, kind in COMMANDS:
        app.command(cls=kind)(command)
    app.add_typer(make_scene(), name="scene")
    app.add_typer(make_lab(), name="lab")
    app.command("leakage", cls=MovedCommand, hidden=True)(lambda: None)
    return app


@cache
def make_command() -> TyperGroup:
    """Make the command of the application once for all calls of `main`: Typer reads the signature of every command."""
    command = get_command(make_app())
    assert isinstance(command, TyperGroup)
    return command


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"pennyweight {version('pennyweight')}")
        raise typer.Exit


def pennyweight(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Image classifiers that fit a budget: weigh, fit, evaluate, export, predict, serve."""
