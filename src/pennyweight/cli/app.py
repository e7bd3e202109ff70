"""The program: its commands, and what every failure looks like."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress

import typer

from pennyweight.cli import bench, commands, lab, scene, show, weigh
from pennyweight.cli.doctor import doctor
from pennyweight.cli.predict import predict
from pennyweight.cli.recipe_options import CommandWithRecipe
from pennyweight.core.errors import PennyweightError
from pennyweight.core.extras import missing_part
from pennyweight.core.files import require_working_folder
from pennyweight.core.reading import reason_of
from pennyweight.core.signals import INTERRUPTED, TERMINATED, deferring_signals
from pennyweight.core.text import say

__all__ = ["main", "make_app"]

DEBUG = "--debug"
NO_MEMORY = ("can't allocate memory", "can't start new thread", "failed to map segment")
"""What torch, Python's threads and the loader of libraries say when there is no more."""
ENDED: Mapping[object, str] = {INTERRUPTED: "interrupted", TERMINATED: "terminated"}


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
        "Exit status: 0 done, 1 a failure with one line on standard error, 2 wrong usage, 130 interrupted, "
        "143 terminated.",
    )
    app.callback()(commands.pennyweight)
    for command in (
        commands.names,
        weigh.weigh,
        commands.fit,
        commands.evaluate,
        commands.export,
        predict,
        doctor,
        bench.bench,
        scene.leakage,
    ):
        app.command(cls=CommandWithRecipe if command is commands.fit else None)(command)
    app.add_typer(lab.make_lab(), name="lab")
    return app


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status. Signals are its caller's."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = DEBUG in arguments
    try:
        require_working_folder()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal of few letters still shows the figures
        make_app()([argument for argument in arguments if argument != DEBUG], prog_name="pennyweight")
    except SystemExit as ended:
        if ended.code in ENDED:
            failed = ended.__context__  # the signal may come of a failure that was on its way here, as torchrun's does
            _tell(_line(failed) if isinstance(failed, PennyweightError) else ENDED[ended.code])
        return ended.code if isinstance(ended.code, int) else 1
    except BrokenPipeError:
        # The reader of our output went away (`| head`); what is still to be flushed has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            say(*traceback.format_exc().splitlines(), error=True)
        _tell(_line(error))
        return 1
    return 0


def _tell(line: str) -> None:
    """A signal meanwhile changes nothing: the program ends in any case, and what it has to say is said."""
    with suppress(KeyboardInterrupt, SystemExit), deferring_signals():
        show.failure(line)


def _line(error: Exception) -> str:
    """What a person is told of a failure."""
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
