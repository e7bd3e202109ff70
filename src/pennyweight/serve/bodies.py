"""Bodies of requests, read with limits on bytes, files and time while they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from pennyweight.serve.failures import BusyError, RequestError
from pennyweight.serve.forms import Upload, read_form
from pennyweight.serve.settings import MEGABYTE, ServeSettings

__all__ = ["Bodies", "is_form"]

HELD_BYTES = 256 * MEGABYTE
"""Bytes of all bodies that are held at the same time, or of one that is larger."""
FORM = "multipart/form-data"
CLIENT_LEFT = 499
"""Status in the log for a client that closed the connection, as nginx has it."""
Chunks = AsyncGenerator[bytes, None]
Found = TypeVar("Found")


class _Held:
    """Bytes that one request holds."""

    count = 0


class Bodies:
    """Reader of bodies with the limits of a server.

    Args:
        settings: Limits of bytes, pictures and seconds.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self._most, self._pictures, self._timeout = settings.max_bytes, settings.max_pictures, settings.timeout
        self._held = 0

    @asynccontextmanager
    async def pictures(self, request: Request) -> AsyncIterator[list[Upload]]:
        """Read the pictures of a request: its whole body, or the files of a form.

        Raises:
            RequestError: The body is too large (413), slow (408), empty or no form (400), or of a kind that is not
                read (415).
            BusyError: Other bodies take the memory.
        """
        if _kind(request) == "application/json":
            raise RequestError(
                415, "send the bytes of a picture file, or a form with files; JSON belongs to /v2/models/MODEL/infer"
            )
        if is_form(request):
            kind, most = request.headers["content-type"], self._pictures
            async with self._read(request, lambda chunks: read_form(kind, chunks, most)) as uploads:
                if not uploads:
                    raise RequestError(400, "the form has no file; with curl: -F file=@photo.jpg")
                yield uploads
        else:
            async with self.whole(request) as body:
                if not body:
                    raise RequestError(400, "the body is empty; send the bytes of a picture file")
                yield [Upload("picture", body)]

    @asynccontextmanager
    async def whole(self, request: Request) -> AsyncIterator[bytes]:
        """Read a body. Raises RequestError and BusyError as `pictures` does."""
        async with self._read(request, _join) as body:
            yield body

    @asynccontextmanager
    async def _read(self, request: Request, consume: Callable[[Chunks], Awaitable[Found]]) -> AsyncIterator[Found]:
        """Yield what `consume` makes of a body, whose bytes count as held until the end of the block."""
        held = _Held()
        try:
            try:
                async with asyncio.timeout(self._timeout):
                    found = await consume(self._chunks(request, held))
            except TimeoutError as error:
                raise RequestError(408, f"the body has not arrived within {self._timeout:g} s") from error
            except ClientDisconnect as error:
                raise RequestError(CLIENT_LEFT, "the client closed the connection") from error
            yield found
        finally:
            self._held -= held.count

    async def _chunks(self, request: Request, held: _Held) -> Chunks:
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise RequestError(415, "send the body without a Content-Encoding; pictures are compressed already")
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > self._most:
            raise self._too_large(f"{int(declared[:20]):,}")
        async for chunk in request.stream():
            held.count += len(chunk)
            self._held += len(chunk)
            if held.count > self._most:
                raise self._too_large("more")
            if self._held > max(HELD_BYTES, self._most):
                raise BusyError("other requests hold the memory for bodies")
            yield chunk

    def _too_large(self, sent: str) -> RequestError:
        return RequestError(413, f"the body has {sent} bytes; {self._most:,} at most are read (--max-bytes)")


def is_form(request: Request) -> bool:
    """Return True for a request whose body is a form with files."""
    return _kind(request) == FORM


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _join(chunks: Chunks) -> bytes:
    parts = [chunk async for chunk in chunks]
    return parts[0] if len(parts) == 1 else b"".join(parts)
