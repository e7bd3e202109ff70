"""Processes that fill one folder of parts together, started by one call."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

from pennyweight.core import errors
from pennyweight.core.errors import PennyweightError, RunError
from pennyweight.core.figures import several
from pennyweight.verbs.parts.filling import Finished, Plan

__all__ = ["fill_by_workers"]

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of a worker: each is one thread of the whole, and none spins while it waits."""
Message = dict[str, Any]


class Worker(NamedTuple):
    """Process, and the thread that reads its messages."""

    process: subprocess.Popen[bytes]
    reader: Thread


def fill_by_workers(
    workers: int, plan: Plan, note: Callable[[str], None], finished: Callable[[Finished], None]
) -> None:
    """Start processes that fill a folder of parts, and wait for them.

    Each has one core. A worker that is killed loses the part that it works on to the others.

    Args:
        workers: Number of processes.
        plan: Network, pictures and settings.
        note: Callback that is given each line of the workers once.
        finished: Callback that is given each part once: those that were complete at the end.

    Raises:
        PennyweightError: A worker raised it, or all workers were killed.
    """
    messages: SimpleQueue[tuple[int, Message]] = SimpleQueue()
    said, ended = set[str](), dict[int, int]()
    made, kept = set[int](), dict[int, Finished]()
    with _started(workers, pickle.dumps(plan), messages):
        while len(ended) < workers:
            number, message = messages.get()
            match message:
                case {"note": line}:
                    if line not in said:
                        said.add(line)
                        note(line)
                case {"finished": values}:
                    done = Finished(*values)
                    if done.made:
                        made.add(done.part)
                        finished(done)
                    else:  # perhaps made by another worker, whose message is still on its way
                        kept[done.part] = done
                case {"error": [name, text]}:
                    raise getattr(errors, name, PennyweightError)(text)
                case {"ended": status}:
                    ended[number] = status
                    _require_others(ended, workers, note)
    for part in sorted(kept.keys() - made):
        finished(kept[part])


def _require_others(ended: Mapping[int, int], workers: int, note: Callable[[str], None]) -> None:
    """Note a worker that was killed. Raises RunError if none has finished, and all have ended."""
    status = list(ended.values())[-1]
    if status == 0:
        return
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    if len(ended) == workers and not any(each == 0 for each in ended.values()):
        raise RunError(f"the last of {several(workers, 'worker')} {how}; the same call makes the missing parts")
    if len(ended) < workers:
        note(f"a worker {how}; other workers answer its pictures")


@contextmanager
def _started(workers: int, plan: bytes, messages: SimpleQueue[Any]) -> Iterator[None]:
    """Start the workers; end them with the block, whatever ends it."""
    source = str(Path(errors.__file__).parents[2])
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join([source, *filter(None, sys.path)])}
    started: list[Worker] = []
    try:
        for number in range(workers):
            process = subprocess.Popen(
                [sys.executable, "-m", "pennyweight.verbs.parts.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
            reader = Thread(target=_read, args=(number, process, messages), daemon=True)
            started.append(Worker(process, reader))
            reader.start()
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # it has ended, which its reader says
                process.stdin.write(plan)
                process.stdin.flush()  # and stays open: its end tells the worker that this process is gone
        yield
    finally:
        for worker in started:
            worker.process.terminate()
        for worker in started:
            worker.process.wait()
            worker.reader.join()
            with suppress(BrokenPipeError):
                worker.process.stdin.close()  # type: ignore[union-attr]
            worker.process.stdout.close()  # type: ignore[union-attr]


def _read(number: int, process: subprocess.Popen[bytes], messages: SimpleQueue[Any]) -> None:
    """Put the messages of a worker into the queue, and at last its exit status."""
    assert process.stdout is not None
    for line in process.stdout:
        with suppress(ValueError):  # a half line of a killed process
            messages.put((number, json.loads(line)))
    messages.put((number, {"ended": process.wait()}))
