"""Failures of a request, each with its HTTP status and one line for the client."""

from __future__ import annotations

from collections.abc import Mapping

from pennyweight.core.errors import PennyweightError

__all__ = ["RETRY_S", "BusyError", "RequestError"]

RETRY_S = 1
"""Seconds after which a client that was turned away may come again; the queue is worked off by then."""


class RequestError(PennyweightError):
    """Failure that a client is told.

    Args:
        status: HTTP status.
        message: One line: the value received, the rule, the nearest thing that works.
        headers: Headers of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


class BusyError(RequestError):
    """Failure of a request for which the server has no room (503)."""

    def __init__(self, message: str) -> None:
        super().__init__(503, f"{message}; try again in {RETRY_S} s", {"Retry-After": str(RETRY_S)})
