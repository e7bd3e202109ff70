"""Files of a form (multipart/form-data), kept in memory and complete: a form that is cut off is refused."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from pennyweight.core.text import printable
from pennyweight.serve.failures import RequestError

__all__ = ["Upload", "read_form"]

LONGEST_NAME = 200
MOST_FIELDS = 1000
"""Most parts of a form, of which those without a file are passed over."""
logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of each damaged form


class Upload(NamedTuple):
    """Picture file that a client has sent."""

    name: str
    content: bytes


async def read_form(content_type: str, chunks: AsyncGenerator[bytes, None], most: int) -> list[Upload]:
    """Read the files of a form.

    Args:
        content_type: Header of the request, which has the boundary of the parts.
        chunks: Body of the request.
        most: Most files.

    Raises:
        RequestError: The form is damaged or cut off, or has too many files (400).
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise RequestError(400, "the form cannot be read: its Content-Type has no boundary")
    form = _Form(most)
    try:
        parser = MultipartParser(boundary, form.callbacks)  # type: ignore[arg-type]
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
    except (FormParserError, ValueError) as error:
        raise RequestError(400, f"the form cannot be read: {printable(str(error))[:LONGEST_NAME]}") from error
    if not form.complete:
        raise RequestError(400, "the form cannot be read: it ends before its last boundary")
    return form.uploads


class _Form:
    """Parts of a form as they arrive."""

    def __init__(self, most: int) -> None:
        self.uploads: list[Upload] = []
        self.complete = False
        self._most, self._parts = most, 0
        self._header, self._value = b"", b""
        self._disposition = b""
        self._name = ""
        self._content: bytearray | None = None
        names = ("part_begin", "part_data", "part_end", "header_field", "header_value", "header_end")
        self.callbacks = {f"on_{name}": getattr(self, f"_{name}") for name in (*names, "headers_finished", "end")}

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_FIELDS:
            raise RequestError(400, f"the form has more than {MOST_FIELDS:,} parts")
        self._header = self._value = self._disposition = b""
        self._content = None

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        name = parse_options_header(self._disposition)[1].get(b"filename")
        if not name:  # a field, or a choice of files that was left empty
            return
        if len(self.uploads) == self._most:
            raise RequestError(400, f"the form has more files than the {self._most:,} of one request (--max-pictures)")
        self._name, self._content = _last_part(name), bytearray()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._content is not None:
            self._content += data[start:end]

    def _part_end(self) -> None:
        if self._content is not None:
            self.uploads.append(Upload(self._name, bytes(self._content)))

    def _end(self) -> None:
        self.complete = True


def _last_part(name: bytes) -> str:
    """Return the last part of a file's name as one line of bounded length."""
    last = name.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
    return printable(last)[:LONGEST_NAME] or "picture"
