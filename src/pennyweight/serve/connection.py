"""HTTP connections with limits on the time and the size of a request's head, and on their number."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["LimitedConnection"]

HEAD_S = 10.0
"""Seconds within which the head of a request must arrive."""
HEAD_BYTES = 64 * 1024
"""Largest head of a request: its first line and its headers."""
REST_S = 5.0
"""Seconds for which the rest of a body is read and thrown away after an early answer, so that the client reads it."""
MOST = 1000
"""Most connections at the same time."""


class LimitedConnection(HttpToolsProtocol):
    """Connection of uvicorn that is closed when the head of a request is slow or large."""

    _timer: asyncio.TimerHandle | None = None
    _in_head = True
    _whole = True
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Begin a connection, or refuse it if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MOST:
            self._refuse(b"503 Service Unavailable", b"too many connections", b"retry-after: 1\r\n")
        else:
            self._close_in(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what has arrived."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._head_bytes += len(data)
        if self._in_head and self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(b"431 Request Header Fields Too Large", b"the head of a request may have 64 KiB")

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head, self._whole, self._head_bytes = True, False, 0
        self._close_in(HEAD_S)

    def on_headers_complete(self) -> None:
        """End the head of a request."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request."""
        self._whole = True
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End an answer; a client that still sends has a few seconds to end, too."""
        super().on_response_complete()
        if not self._whole and not self.transport.is_closing():
            self._close_in(REST_S)

    def _close_in(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: bytes, reason: bytes, headers: bytes = b"") -> None:
        body = b'{"error":"' + reason + b'"}'
        length = str(len(body)).encode()
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\ncontent-length: " + length
            + b"\r\nconnection: close\r\n" + headers + b"\r\n" + body
        )  # fmt: skip
        self.transport.close()
