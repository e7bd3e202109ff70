"""The program: run a command line, and print the one line of a failure."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress

from pennyweight.cli import show
from pennyweight.cli.plain import plain_predict
from pennyweight.cli.usage import STATUS, UsageError
from pennyweight.core.errors import PennyweightError
from pennyweight.core.extras import missing_part
from pennyweight.core.files import require_working_folder
from pennyweight.core.reading import reason_of
from pennyweight.core.signals import INTERRUPTED, TERMINATED, deferring_signals
from pennyweight.core.text import say

__all__ = ["DEBUG", "main"]

DEBUG = "--debug"
NO_MEMORY = ("can't allocate memory", "can't start new thread", "failed to map segment")
"""Messages of torch, Python's threads and the loader of libraries when they are out of memory."""
ENDED: Mapping[object, str] = {INTERRUPTED: "interrupted", TERMINATED: "terminated"}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line, and return the exit status. The caller handles signals."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = DEBUG in arguments
    try:
        require_working_folder()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a terminal of few letters still tells names apart
        return _run([argument for argument in arguments if argument != DEBUG])
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


def _run(arguments: Sequence[str]) -> int:
    """Run a command line, and return the exit status or raise SystemExit with it. Raises PennyweightError."""
    if (asked := plain_predict(arguments)) is not None:
        from pennyweight.cli.predicting import predict_and_print

        try:
            return predict_and_print(asked)
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None  # as Typer does
    from pennyweight.cli.app import make_command

    make_command()([*arguments], prog_name="pennyweight")
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
