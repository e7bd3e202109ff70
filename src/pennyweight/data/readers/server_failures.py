"""Failures of servers: which may pass, and their reason in words."""

from __future__ import annotations

from http import HTTPStatus

from pennyweight.core.errors import PennyweightError
from pennyweight.core.reading import reason_of
from pennyweight.core.retries import may_pass
from pennyweight.data.readers.addresses import shown_address

__all__ = ["may_pass_at_server", "may_pass_later", "reason_at_server"]

GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
"""Statuses below 500 after which a later request may succeed."""
NO_FILE = "there is no such file"


def may_pass_at_server(error: BaseException, *, first: bool = False) -> bool:
    """Return whether a later request may succeed: after a status of 429 or 5xx, or a connection that broke.

    Args:
        error: Error of fsspec, or of the protocol behind it.
        first: True for the first request for a file: a machine that is not reached then is taken for a wrong name.
    """
    if isinstance(error, (PennyweightError, ImportError)):
        return False
    cause = _cause(error)
    if (status := _status(cause)) is not None:
        return status in PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if isinstance(cause, (FileNotFoundError, PermissionError)):
        return False
    if cause is error and not first:
        return True
    broke = isinstance(cause, (TimeoutError, ConnectionError)) and not isinstance(cause, ConnectionRefusedError)
    return broke or may_pass(cause) or not (isinstance(cause, (OSError, ValueError)) or _redirects(cause))


def may_pass_later(error: BaseException | None) -> bool:
    """Return whether a later call may succeed: `may_pass_at_server`, or the machine was not reached now."""
    if error is None:
        return False
    final = (FileNotFoundError, PermissionError)
    return may_pass_at_server(error) or (isinstance(cause := _cause(error), OSError) and not isinstance(cause, final))


def reason_at_server(error: BaseException) -> str:
    """Return why a file could not be read, in words."""
    cause = _cause(error)
    status = _status(cause)
    if status in GONE or isinstance(cause, FileNotFoundError):
        return NO_FILE
    if status is not None:
        return f"the server answers {status}{_phrase(status)}"
    if _redirects(cause) and hasattr(cause, "history"):
        return "the server redirects too many times"
    if _redirects(cause):  # the message is the address alone
        return f"the server redirects to {shown_address(reason_of(cause))}, and http:// and https:// are followed alone"
    if isinstance(cause, TimeoutError) and not str(cause):
        return "the server took too long"
    return reason_of(cause)


def _cause(error: BaseException) -> BaseException:
    """Return the error that fsspec replaces by FileNotFoundError, whatever the server did; else the error itself."""
    cause = error.__cause__
    wrapped = isinstance(cause, OSError) or type(cause).__module__.partition(".")[0] == "aiohttp"
    return cause if isinstance(error, FileNotFoundError) and cause is not None and wrapped else error


def _redirects(error: BaseException) -> bool:
    """Return whether an error is one of aiohttp about a redirect."""
    return "Redirect" in type(error).__name__


def _status(error: BaseException) -> int | None:
    status = getattr(error, "status", None)
    return status if isinstance(status, int) and status > 0 else None


def _phrase(status: int) -> str:
    return f" {HTTPStatus(status).phrase}" if status in HTTPStatus._value2member_map_ else ""
