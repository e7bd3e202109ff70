"""Program of a worker: fill a folder of parts with one core, and tell the process that started it."""

from __future__ import annotations

import json
import os
import pickle
import sys
from threading import Thread
from typing import Any

from pennyweight.core.errors import PennyweightError
from pennyweight.core.machine import bound_cores
from pennyweight.verbs.parts.filling import Plan, fill

__all__ = ["main"]


def main() -> None:
    """Fill the folder of the plan on standard input, and print a line of JSON for each event."""
    bound_cores(1)
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else prints here shall not be taken for a message

    def tell(**message: Any) -> None:
        messages.write(f"{json.dumps(message)}\n")
        messages.flush()

    try:
        plan: Plan = pickle.load(sys.stdin.buffer)  # noqa: S301 - of the process that started this one
        Thread(target=_end_with_parent, daemon=True).start()
        fill(plan, note=lambda line: tell(note=line), finished=lambda done: tell(finished=done))
    except PennyweightError as error:
        tell(error=[type(error).__name__, str(error)])
    except (KeyboardInterrupt, BrokenPipeError):  # the process that started this one ends by the same signal
        os._exit(1)


def _end_with_parent() -> None:
    """Wait for the end of standard input, which the process that started this one holds open, and end this one."""
    while os.read(0, 1):  # past Python's buffer, whose lock would hold up the end of this process
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
