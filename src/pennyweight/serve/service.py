"""Service: the models, workers, limits, metrics and log that every endpoint of a server shares."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.routing import BaseRoute

from pennyweight.serve.bodies import Bodies
from pennyweight.serve.failures import BusyError
from pennyweight.serve.log import Log
from pennyweight.serve.metrics import Metrics
from pennyweight.serve.models import Models
from pennyweight.serve.settings import ServeSettings
from pennyweight.serve.workers import Done, Workers

__all__ = ["Service", "note_facts"]

LOOK_S = 1.0
"""Seconds between two looks at the bundles' files."""
Answer = TypeVar("Answer")


class Service:
    """Everything that the endpoints of a server share.

    Args:
        models: Models that are served.
        settings: Limits and rules.
    """

    def __init__(self, models: Models, settings: ServeSettings) -> None:
        self.models, self.settings = models, settings
        self.log = Log(settings.log)
        self.workers = Workers(settings.threads, settings.queue)
        self.bodies = Bodies(settings)
        self.metrics = Metrics(lambda: self.workers.unfinished)
        self.metrics.serving(models)
        self.routes: list[BaseRoute] = []
        self.ready = False
        self.ending = False
        self.loop: asyncio.AbstractEventLoop | None = None
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the workers, and look at the bundles' files from now on."""
        self.loop = asyncio.get_running_loop()
        self.workers.start()
        self._watch = asyncio.create_task(self._keep_looking())
        self.ready = True

    async def stop(self) -> None:
        """End the workers."""
        self.ready = False
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        self.workers.stop()

    def end(self) -> None:
        """Let every connection end with its next answer, and tell load balancers so."""
        self.ready, self.ending = False, True

    async def work(self, work: Callable[[], Answer]) -> Done[Answer]:
        """Have a worker do the work, and measure it."""
        done = await self.workers.run(work)
        self.metrics.work(done)
        return done

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Raise BusyError if the block, which answers one request, takes longer than the time limit."""
        try:
            async with asyncio.timeout(self.settings.timeout):
                yield
        except TimeoutError as error:
            raise BusyError(f"the answer was not ready within {self.settings.timeout:g} s") from error

    async def look(self) -> None:
        """Take up bundle files that have changed."""
        for change in await asyncio.to_thread(self.models.look):
            self.metrics.change(change)
            name, path = change.place.name, change.place.path
            if change.model is None:
                kept = self.models.get(name)
                self.log.event(
                    "bundle-broken",
                    f"{path} has changed and cannot be used; {name} {kept.version} is served further: {change.error}",
                )
            else:
                self.log.event("bundle-loaded", f"{path} has changed; {name} {change.model.version} is served now")

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except Exception as error:
                self.log.event("error", f"the bundles' files cannot be looked at: {error}")


def note_facts(request: Request, **facts: Any) -> None:
    """Add facts to the log line of a request."""
    request.state.facts.update(facts)
