"""The program: its commands, and what every failure looks like."""

from __future__ import annotations

import os
import sys
import traceback

import typer

from pennyweight.cli import commands, scene, show
from pennyweight.core.errors import PennyweightError
from pennyweight.core.extras import missing_part

__all__ = ["main", "make_app"]

DEBUG = "--debug"
INTERRUPTED = 130


def make_app() -> typer.Typer:
    """The Typer application with its commands."""
    app = typer.Typer(
        name="pennyweight",
        help="Image classifiers that fit a budget: weigh, fit, evaluate, export, predict.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="--debug, anywhere, shows the traceback of a failure. "
        "Exit status: 0 done, 1 a failure with one line on standard error, 2 wrong usage, 130 interrupted.",
    )
    app.callback()(commands.pennyweight)
    for command in (
        commands.names,
        commands.weigh,
        commands.fit,
        commands.evaluate,
        commands.export,
        commands.predict,
        scene.leakage,
    ):
        app.command()(command)
    return app


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = DEBUG in arguments
    arguments = [argument for argument in arguments if argument != DEBUG]
    try:
        make_app()(arguments, prog_name="pennyweight")
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            show.failure("interrupted")
        return ended.code if isinstance(ended.code, int) else 1
    except BrokenPipeError:
        # The reader of our output went away (`| head`); what is still to be flushed has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        show.failure(_line(error))
        return 1
    return 0


def _line(error: Exception) -> str:
    """What a person is told of a failure."""
    if isinstance(error, ModuleNotFoundError):
        error = missing_part(error) or error
    if isinstance(error, PennyweightError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
    reason = (str(error).strip().splitlines() or [""])[0]
    return f"unexpected {type(error).__name__}: {reason}; --debug shows where, and the authors would like to know"
