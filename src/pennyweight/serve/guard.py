"""Guard of the application: token, failures as JSON, safe headers, and a log line and metrics for each request."""

from __future__ import annotations

import hmac
import json
import time
from asyncio import CancelledError
from collections.abc import Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pennyweight.core.errors import ImageError, InputError, PennyweightError
from pennyweight.serve.failures import BusyError, RequestError
from pennyweight.serve.log import Log
from pennyweight.serve.metrics import Metrics

__all__ = ["Guard", "as_json"]

OPEN = ("/", "/favicon.ico", "/openapi.json", "/v2/health/live", "/v2/health/ready")
OPEN_FOLDER = "/assets/"
"""Paths that need no token: the page, which asks for it, and the checks of a load balancer."""
SAFE_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
REASONS = {
    404: "there is nothing at this path; there are / (the page), /predict, /models, /v2, /metrics and /openapi.json",
    405: "this path takes another method, which the header Allow names",
}
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


class Guard:
    """ASGI application around another one.

    Args:
        app: Application to guard.
        token: Bearer token that requests must have; None lets every request in.
        log: Log of the requests.
        metrics: Metrics of the requests.
        ending: Function that returns True while the server stops, so that connections are not reused.
    """

    def __init__(
        self, app: ASGIApp, *, token: str | None, log: Log, metrics: Metrics, ending: Callable[[], bool]
    ) -> None:
        self._app, self._log, self._metrics, self._ending = app, log, metrics, ending
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        client = scope.get("client")
        scope.setdefault("state", {})["facts"] = {"client": client[0]} if client else {}

        async def safe_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*SAFE_HEADERS, *message.get("headers", [])]
                if self._ending():
                    headers.append((b"connection", b"close"))
                message = {**message, "headers": headers}
            await send(message)

        try:
            self._require_token(scope)
            await self._app(scope, receive, safe_send)
        except (Exception, CancelledError) as error:  # the server cancels what is not answered when its time is up
            failure = _failure_of(error)
            if failure.status == 500:
                self._log.event("error", f"{type(error).__name__} in {scope['path'][:200]}: {error}"[:500])
            if status == 0:
                await _answer(failure, safe_send)
            status = failure.status
        finally:
            self._count(scope, status or 499, time.perf_counter() - began)

    def _require_token(self, scope: Scope) -> None:
        """Raise RequestError for a request without the token."""
        path = scope["path"]
        if self._token is None or path in OPEN or path.startswith(OPEN_FOLDER):
            return
        sent = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        kind, _, token = sent.partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self._token):
            raise RequestError(401, "send the token: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        path = getattr(route, "path", None) or "other"  # of bounded number, unlike the paths that are asked for
        method = scope["method"] if scope["method"] in KNOWN_METHODS else "other"
        self._metrics.request(path, method, status, seconds)
        facts = scope["state"]["facts"]
        self._log.request(method, scope["path"][:200], status, seconds, **facts)


def _failure_of(error: BaseException) -> RequestError:
    """Return the failure that a client is told; one of 500 says nothing about the inside."""
    if isinstance(error, CancelledError):
        return BusyError("the server stops")
    if isinstance(error, RequestError):
        return error
    if isinstance(error, HTTPException):
        return RequestError(error.status_code, REASONS.get(error.status_code, error.detail), error.headers)
    if isinstance(error, ClientDisconnect):
        return RequestError(499, "the client closed the connection")
    if isinstance(error, ImageError):
        return RequestError(422, str(error))
    if isinstance(error, InputError):
        return RequestError(400, str(error))
    if isinstance(error, MemoryError):
        return RequestError(503, "there is not enough memory for this request", {"Retry-After": "1"})
    kind = "the network cannot be computed" if isinstance(error, PennyweightError) else "the server has failed"
    return RequestError(500, f"{kind}; its log says more")


async def _answer(failure: RequestError, send: Send) -> None:
    body = as_json({"error": str(failure)})
    headers = [(name.lower().encode(), value.encode()) for name, value in failure.headers.items()]
    headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": failure.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def as_json(value: Mapping[str, Any]) -> bytes:
    """Return compact JSON in ASCII. Raises ValueError for NaN."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
