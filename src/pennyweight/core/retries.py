"""Retry a read after a failure that may pass: of a server, or of a disk behind a network."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Patience", "may_pass", "retrying"]

T = TypeVar("T")

RETRIES = 4
WAIT_S = 1.0
"""Seconds before the first retry; doubled before each further retry."""
PASSING = frozenset(
    getattr(errno, name)
    for name in (
        *("EIO", "EAGAIN", "EBUSY", "EINTR", "ESTALE", "ETIMEDOUT", "EREMOTEIO", "ECOMM"),
        *("ENETDOWN", "ENETUNREACH", "ENETRESET", "ECONNRESET", "ECONNABORTED", "EHOSTDOWN", "EHOSTUNREACH"),
    )
    if hasattr(errno, name)
)
"""Errors of a file system that may pass, such as those of a server that restarts."""


def may_pass(error: BaseException) -> bool:
    """Return whether an error, or its cause, is one of a file system that may pass."""
    cause = error.__cause__ if error.__cause__ is not None else error
    return isinstance(cause, OSError) and cause.errno in PASSING


class Patience:
    """Pauses after failures in a row, at most RETRIES of them."""

    def __init__(self, passing: Callable[[Exception], bool]) -> None:
        self._passing, self._failures = passing, 0

    def succeed(self) -> None:
        """Forget the failures."""
        self._failures = 0

    def wait(self, error: Exception) -> None:
        """Wait before a retry. Raises the error itself if it cannot pass, or after the last retry."""
        if self._failures == RETRIES or not self._passing(error):
            raise error
        time.sleep(WAIT_S * 2**self._failures)
        self._failures += 1


def retrying(action: Callable[[], T], passing: Callable[[Exception], bool] = may_pass) -> T:
    """Return the result of `action`; call it again after errors that are `passing`. Raises the last error."""
    patience = Patience(passing)
    while True:
        try:
            return action()
        except Exception as error:
            patience.wait(error)
