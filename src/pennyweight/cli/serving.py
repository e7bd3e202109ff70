"""Server, from the command line's words to its end, without Typer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pennyweight.core.figures import several
from pennyweight.core.heap import return_large_blocks
from pennyweight.core.sizes import parse_size

__all__ = ["ServeRequest", "serve_and_print"]

LOCAL = ("127.0.0.1", "localhost", "::1")


class ServeRequest(NamedTuple):
    """Values of a `serve` command, each named like its option."""

    bundles: Sequence[str]
    max_bytes: str
    max_pixels: int | None
    max_pictures: int
    host: str
    port: int
    token_file: Path | None
    workers: int | None
    queue: int | None
    timeout: float
    strangers: str
    least_typical: float | None
    log: str


def serve_and_print(asked: ServeRequest) -> None:
    """Serve until a signal; log the address at the start and the number of answers at the end."""
    from pennyweight.core.strangers import StrangerRule
    from pennyweight.serve.settings import ServeSettings, read_token

    settings = ServeSettings(
        host=asked.host,
        port=asked.port,
        workers=asked.workers,
        queue=asked.queue,
        token=None if asked.token_file is None else read_token(asked.token_file),
        max_bytes=parse_size(asked.max_bytes, "--max-bytes"),
        max_pixels=asked.max_pixels,
        max_pictures=asked.max_pictures,
        timeout=asked.timeout,
        strangers=StrangerRule(asked.strangers, asked.least_typical),
        log=asked.log,
    )
    from pennyweight.serve.server import Server

    return_large_blocks()
    server = Server(asked.bundles, settings)
    log = server.service.log
    for model in server.service.models:
        log.event("model", f"{model.name} {model.version}: {model.path}, {len(model.labels):,} classes")
    if settings.host not in LOCAL and settings.token is None:
        log.event("open", f"anyone who reaches {settings.host} can use this server; --token-file asks for a token")
    workers = several(settings.threads, "worker")
    log.event("start", f"serving on {server.address} ({workers}; Ctrl-C stops)", address=server.address)
    server.run()
    log.event("stop", "stopped; every accepted request is answered")
