"""Settings of the server, each named like its option."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from pennyweight.core.errors import InputError, nearest, received
from pennyweight.core.files import require_file
from pennyweight.core.images import MAX_PIXELS
from pennyweight.core.machine import cores
from pennyweight.core.reading import reading
from pennyweight.core.strangers import StrangerRule

__all__ = ["LOGS", "MEGABYTE", "ServeSettings", "read_token"]

MEGABYTE = 1_000_000
LOGS = ("text", "json", "off")
MOST_WORKERS, MOST_QUEUE, MOST_PORT = 1024, 100_000, 65_535
LEAST_TOKEN = 16
"""Fewest characters of a token: 16 random letters take longer to guess than any server lives."""
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""Characters of a bearer token (RFC 6750)."""
PORT = 8000


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Address, limits and rules of a server. Raises InputError for a value that cannot be used."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets other machines in."""
    port: int = PORT
    """Port to listen on; 0 takes a free one."""
    workers: int | None = None
    """Threads that decode and compute, each one picture at a time; None is one for each core."""
    queue: int | None = None
    """Pictures that may wait for a worker; more are answered with 503. None is as many as are done in 0.2 s."""
    token: str | None = None
    """Bearer token that every request must send, except for the page's files and the health checks."""
    max_bytes: int = 32 * MEGABYTE
    """Largest body of a request."""
    max_pixels: int | None = None
    """Largest picture that is decoded; None is the limit of `predict`."""
    max_pictures: int = 64
    """Most pictures of one request."""
    timeout: float = 30.0
    """Seconds until a body must have arrived, and until its answer must be ready."""
    strangers: StrangerRule = field(default_factory=StrangerRule)
    """Rule for pictures that are unlike anything the network was taught."""
    log: str = "text"
    """Form of the access log: "text", "json" or "off"."""

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("port", self.port, 0, MOST_PORT),
            ("workers", self.workers, 1, MOST_WORKERS),
            ("queue", self.queue, 1, MOST_QUEUE),
            ("max_bytes", self.max_bytes, 1, 1 << 40),
            ("max_pixels", self.max_pixels, 1, 1 << 40),
            ("max_pictures", self.max_pictures, 1, MOST_QUEUE),
        ):
            if value is not None and (isinstance(value, bool) or not least <= value <= most):
                raise InputError(f"{name} must be from {least} to {most:,}, not {received(value)}")
        if not (math.isfinite(self.timeout) and self.timeout > 0):
            raise InputError(f"timeout must be a number of seconds above 0, not {self.timeout}")
        if self.log not in LOGS:
            raise InputError(f"log '{self.log}' is not one of {', '.join(LOGS)}{nearest(self.log, LOGS)}")

    @property
    def threads(self) -> int:
        """Number of workers."""
        return self.workers or cores()

    @property
    def pixels(self) -> int:
        """Largest picture that is decoded, in pixels."""
        return self.max_pixels or MAX_PIXELS


def read_token(path: Path) -> str:
    """Read the bearer token that a file holds, which is its only line.

    Raises:
        InputError: The file has no token, more lines, or a token that is short or holds other characters.
    """
    with reading(path, InputError):
        require_file(path)
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if len(lines) != 1:
        raise InputError(f"{path} must hold one line with a token, not {len(lines)}")
    if len(lines[0]) < LEAST_TOKEN:
        raise InputError(
            f"the token in {path} has {len(lines[0])} characters, and {LEAST_TOKEN} are needed; make one with: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    if not TOKEN.fullmatch(lines[0]):
        raise InputError(f"the token in {path} may hold letters, digits and . _ ~ + / - = alone")
    return lines[0]
