"""Meeting of the ranks of distributed training before torch connects them: a line names the ranks that are missing."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, NamedTuple

import torch.distributed as dist

from pennyweight.core.errors import InputError, PennyweightError
from pennyweight.core.figures import duration
from pennyweight.core.text import say

__all__ = ["WAIT_MINUTES", "is_over", "meet"]

WAIT_MINUTES = 5.0
"""Minutes for which a rank waits for the others."""
QUIET_S = 10.0
"""Seconds of waiting without a line."""
LOOK_S = 0.2
"""Seconds between two looks."""
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Variables that torchrun sets for each rank."""
_kept: list[Any] = []
"""Store of this process, which torch shares; it holds the connection, or on rank 0 the server."""


class Meeting(NamedTuple):
    """Place where the ranks meet."""

    rank: int
    world: int
    host: str
    port: int
    served: bool
    """True if torchrun serves the port, else rank 0 does."""
    key: str

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Meeting | None:
        """Return the meeting that variables describe, None for a single process. Raises InputError for a wrong one."""
        if variables.get("WORLD_SIZE", "1") == "1" and not all(name in variables for name in ("RANK", "MASTER_ADDR")):
            return None
        if missing := [name for name in VARIABLES if not variables.get(name)]:
            raise InputError(
                f"the variable {missing[0]} of distributed training is missing; start with torchrun, or set "
                f"{', '.join(VARIABLES[:-1])} and {VARIABLES[-1]}"
            )
        numbers = {name: variables[name] for name in ("RANK", "WORLD_SIZE", "MASTER_PORT")}
        for name, text in numbers.items():
            if not text.isdecimal():
                raise InputError(f"the variable {name} of distributed training is '{text}'; it is a whole number")
        rank, count, port = (int(text) for text in numbers.values())
        if not rank < count:
            raise InputError(f"there is no rank {rank} of {count}; RANK is 0 to {count - 1}")
        run = "/".join(variables.get(name, "") for name in ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"))
        served = variables.get("TORCHELASTIC_USE_AGENT_STORE") == str(True)
        return cls(rank, count, variables["MASTER_ADDR"], port, served, f"pennyweight/{run}")

    @property
    def place(self) -> str:
        """Return host:port."""
        return f"{self.host}:{self.port}"


def meet(minutes: float = WAIT_MINUTES) -> None:
    """Wait until all ranks are here; later calls return at once.

    Args:
        minutes: Longest time to wait.

    Raises:
        InputError: A variable is missing or wrong, or the port is in use.
        PennyweightError: A rank has not come in time.
    """
    if _kept or dist.is_initialized():
        return
    meeting = Meeting.of(os.environ)
    if meeting is None or meeting.world == 1:
        return
    ends = time.monotonic() + 60 * minutes
    serves = meeting.rank == 0 and not meeting.served
    if serves:
        _require_free(meeting)
    else:
        _wait(lambda: 0 if _answers(meeting) else 1, meeting, ends, minutes, "rank 0")
    _kept.append(
        dist.TCPStore(  # type: ignore[attr-defined]
            meeting.host, meeting.port, meeting.world, serves, timedelta(minutes=minutes),
            wait_for_workers=False, multi_tenant=True,
        )
    )  # fmt: skip
    _kept[0].add(meeting.key, 1)
    _wait(lambda: meeting.world - int(_kept[0].add(meeting.key, 0)), meeting, ends, minutes, "")


def is_over() -> bool:
    """Return whether the ranks have met and have left each other again."""
    return bool(_kept) and not dist.is_initialized()


def _wait(missing: Callable[[], int], meeting: Meeting, ends: float, minutes: float, name: str) -> None:
    """Wait until nobody is missing; say so after QUIET_S. Raises PennyweightError at the end."""
    quiet = time.monotonic() + QUIET_S
    while (count := missing()) > 0:
        who = name or f"{count} of {meeting.world}"
        if time.monotonic() > ends:
            raise PennyweightError(
                f"{name or f'{count} of {meeting.world} ranks'} did not come to {meeting.place} within "
                f"{duration(60 * minutes)}; start every rank with the same MASTER_ADDR and MASTER_PORT, or wait longer "
                "with --wait"
            )
        if time.monotonic() > quiet:
            say(f"waiting for {who} at {meeting.place}", error=True)
            quiet = float("inf")
        time.sleep(LOOK_S)


def _answers(meeting: Meeting) -> bool:
    """Return whether something listens at the place. Raises InputError for an unknown host."""
    try:
        with socket.create_connection((meeting.host, meeting.port), timeout=5):
            return True
    except socket.gaierror as error:
        raise InputError(f"there is no host '{meeting.host}', which MASTER_ADDR names: {error.strerror}") from error
    except OSError:
        return False


def _require_free(meeting: Meeting) -> None:
    """Raise InputError for a port that another program has."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        with suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", meeting.port))
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be taken: {error.strerror}"
            raise InputError(f"port {meeting.port} {why}; name another one in MASTER_PORT, on every rank") from error
