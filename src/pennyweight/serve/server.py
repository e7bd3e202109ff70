"""Server: one process that listens, answers, and stops gracefully."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from types import FrameType

import uvicorn

from pennyweight.core.errors import InputError
from pennyweight.core.reading import reason_of
from pennyweight.serve.app import make_app
from pennyweight.serve.connection import LimitedConnection
from pennyweight.serve.log import ServerHandler
from pennyweight.serve.service import Service
from pennyweight.serve.settings import ServeSettings

__all__ = ["Server"]

BACKLOG = 1024
LAST_S = 0.3
"""Seconds in which connections that are open at the end may send the request that is on its way."""
STOP_S = 7
"""Seconds within which accepted requests must be answered at the end."""
IDLE_S = 30
"""Seconds after which an unused connection is closed."""


class Server:
    """Server that listens on an address, has opened its bundles, and answers while `run` runs.

    Args:
        bundles: Files of bundles or run folders, as `make_app` takes them.
        settings: Address, limits and rules.

    Raises:
        BundleError: A bundle cannot be opened.
        InputError: The address cannot be listened on, or a setting cannot be used.
    """

    def __init__(self, bundles: Sequence[str], settings: ServeSettings) -> None:
        self._listener = listen(settings.host, settings.port)  # before bundles are opened, which takes longer
        try:
            app = make_app(bundles, settings)
        except BaseException:
            self._listener.close()
            raise
        self.service = app.service
        self.address = address_of(self._listener, settings.host)
        config = uvicorn.Config(
            app,
            http=LimitedConnection,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=STOP_S,
        )
        self._server = _Server(config, app.service)

    def run(self) -> None:
        """Answer requests until SIGINT, SIGTERM or `stop`, and every accepted request before the end."""
        logger = logging.getLogger("uvicorn.error")
        handler = ServerHandler(self.service.log)
        logger.addHandler(handler)
        logger.propagate = False
        try:
            with self._listener:
                self._server.run(sockets=[self._listener])
        finally:
            logger.removeHandler(handler)

    def stop(self) -> None:
        """Let `run` end, from any thread."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """Server of uvicorn that ends with success after a signal, and answers what has been accepted."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop at the first signal, and at once at a second one."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, answer what arrives on open connections for a moment, then what is being answered."""
        self._service.end()
        await asyncio.sleep(0)  # connections that wait are accepted in this turn of the loop
        for server in self.servers:
            server.close()
        await asyncio.sleep(0 if self.force_exit else LAST_S)
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address. Raises InputError with the reason."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InputError(f"cannot listen on {host}: {reason_of(error)}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)  # a client that comes before the bundles are open waits
    except OSError as error:
        listener.close()
        raise InputError(
            f"cannot listen on port {port} of {host}: {reason_of(error).lower()}; take another --port, or 0 for any"
        ) from error
    return listener


def address_of(listener: socket.socket, host: str) -> str:
    """Return the address of a server as a browser takes it."""
    port = listener.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"
