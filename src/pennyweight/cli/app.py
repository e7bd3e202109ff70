"""The program: its commands, and the one line of every failure."""

# No `from __future__ import annotations`: Typer reads the annotations.

import io
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Annotated

import typer
from typer.core import TyperGroup
from typer.main import get_command

from pennyweight.cli import show
from pennyweight.cli.commands.bench import bench
from pennyweight.cli.commands.bundle import bundle
from pennyweight.cli.commands.doctor import doctor
from pennyweight.cli.commands.evaluate import evaluate
from pennyweight.cli.commands.export import export
from pennyweight.cli.commands.fit import fit
from pennyweight.cli.commands.index import index
from pennyweight.cli.commands.lab import make_lab
from pennyweight.cli.commands.names import names
from pennyweight.cli.commands.pack import pack
from pennyweight.cli.commands.predict import predict
from pennyweight.cli.commands.weigh import weigh
from pennyweight.cli.help import Command, Group
from pennyweight.cli.recipe_options import CommandWithRecipe
from pennyweight.cli.scene.elsewhere import CommandOnPictures, MovedCommand
from pennyweight.cli.scene.group import make_scene
from pennyweight.cli.usage import STATUS, UsageError
from pennyweight.core.errors import PennyweightError
from pennyweight.core.extras import missing_part
from pennyweight.core.files import require_working_folder
from pennyweight.core.reading import reason_of
from pennyweight.core.signals import INTERRUPTED, TERMINATED, deferring_signals
from pennyweight.core.text import say

__all__ = ["main", "make_app", "make_command"]

DEBUG = "--debug"
NO_MEMORY = ("can't allocate memory", "can't start new thread", "failed to map segment")
"""Messages of torch, Python's threads and the loader of libraries when they are out of memory."""
ENDED: Mapping[object, str] = {INTERRUPTED: "interrupted", TERMINATED: "terminated"}


class FitCommand(CommandOnPictures, CommandWithRecipe):
    """Command `fit`."""


COMMANDS: Sequence[tuple[Callable[..., None], type[Command]]] = (
    (fit, FitCommand),
    (evaluate, CommandOnPictures),
    (predict, CommandOnPictures),
    (export, CommandOnPictures),
    (bundle, Command),
    (weigh, Command),
    (names, Command),
    (doctor, CommandOnPictures),
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
        help="Image classifiers that fit a budget: weigh, fit, evaluate, export, predict.",
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
    """Image classifiers that fit a budget: weigh, fit, evaluate, export, predict."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line, and return the exit status. The caller handles signals."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = DEBUG in arguments
    try:
        require_working_folder()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a terminal of few letters still tells names apart
        make_command()([argument for argument in arguments if argument != DEBUG], prog_name="pennyweight")
    except SystemExit as ended:
        if ended.code in ENDED:
            failed = ended.__context__  # a failure may have caused the signal, as with torchrun
            _print_failure(_line(failed) if isinstance(failed, PennyweightError) else ENDED[ended.code])
        return ended.code if isinstance(ended.code, int) else 1
    except BrokenPipeError:
        # The reader of our output is gone (`| head`): discard the rest of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            say(*traceback.format_exc().splitlines(), error=True)
        _print_failure(_line(error))
        return STATUS if isinstance(error, UsageError) else 1
    return 0


def _print_failure(line: str) -> None:
    """Print the line of a failure, even if a signal arrives meanwhile: the program ends in any case."""
    with suppress(KeyboardInterrupt, SystemExit), deferring_signals():
        show.failure(line)


def _line(error: Exception) -> str:
    """Return the line that a user reads about a failure."""
    if isinstance(error, ModuleNotFoundError):
        error = missing_part(error) or error
    if isinstance(error, PennyweightError):
        return str(error)
    if isinstance(error, OSError):
        return f"{reason_of(error)}: {error.filename}" if error.filename else reason_of(error)
    if isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY):
        return "there is not enough memory for this; take a smaller network, input or batch"
    reason = (str(error).strip().splitlines() or [""])[0]
    return f"unexpected {type(error).__name__}: {reason}; --debug shows where, and the authors would like to know"
