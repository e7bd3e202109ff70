"""Log of a server on standard error: a line for each request and event, without anything of a picture."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import IO, Any

from pennyweight.core.text import printable

__all__ = ["Log"]


class Log:
    """Log in text or in JSON. It holds no content and no name of a picture.

    Args:
        form: "text", "json" or "off"; "off" leaves out the lines of requests alone.
        stream: File to write to; by default standard error.
    """

    def __init__(self, form: str, stream: IO[str] | None = None) -> None:
        self._form = form
        self._stream = stream

    def request(self, method: str, path: str, status: int, seconds: float, **more: Any) -> None:
        """Write the line of a request."""
        if self._form != "off":
            facts = {"method": method, "path": path, "status": status, "ms": round(1000 * seconds, 1), **more}
            self._write("request", facts, f"{method} {path} {status} {facts['ms']} ms")

    def event(self, name: str, text: str, **facts: Any) -> None:
        """Write the line of an event, such as a changed bundle."""
        self._write(name, {"message": text, **facts}, text, named=False)

    def _write(self, event: str, facts: dict[str, Any], text: str, *, named: bool = True) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if self._form == "json":
            line = json.dumps({"time": now, "event": event, **facts})
        else:
            shown = ("method", "path", "status", "ms") if named else ("message", *facts)
            more = "".join(f" {key}={value}" for key, value in facts.items() if key not in shown and value is not None)
            line = printable(f"{now} {text}{more}")
        stream = self._stream or sys.stderr
        try:
            stream.write(f"{line}\n")
            stream.flush()
        except (OSError, ValueError):  # the program that read the log has ended; the server goes on
            return


class ServerHandler(logging.Handler):
    """Handler that writes the errors of the HTTP library as events."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, and the type of its exception."""
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        self._log.event("error", f"{record.getMessage().strip()} {kind}".strip())
