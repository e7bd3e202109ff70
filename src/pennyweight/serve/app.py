"""ASGI application of the server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pennyweight.serve.cards import describe
from pennyweight.serve.guard import Guard, as_json
from pennyweight.serve.inference import protocol_routes
from pennyweight.serve.metrics import CONTENT_TYPE_LATEST
from pennyweight.serve.models import Models, places_of
from pennyweight.serve.openapi import openapi
from pennyweight.serve.page import page_routes
from pennyweight.serve.predicting import make_predict
from pennyweight.serve.service import Service
from pennyweight.serve.settings import ServeSettings

__all__ = ["App", "make_app"]

JSON = "application/json"


class App:
    """ASGI application with its service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        service.routes = _routes(service)
        inner = Starlette(routes=service.routes, lifespan=_lifespan(service))
        inner.router.redirect_slashes = False
        self._guarded = Guard(
            inner.router,
            token=service.settings.token,
            log=service.log,
            metrics=service.metrics,
            ending=lambda: service.ending,
        )
        self._inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        scope["app"] = self._inner  # by which the router raises for a wrong method
        await self._guarded(scope, receive, send)


def make_app(bundles: Sequence[str], settings: ServeSettings | None = None) -> App:
    """Return an ASGI application that serves bundles.

    Args:
        bundles: Files of bundles or run folders; NAME=PATH gives a model another name than its file's.
        settings: Limits and rules; host and port belong to the server that runs the application.

    Raises:
        BundleError: A bundle cannot be opened.
        InputError: Two bundles have the same name, or a setting cannot be used.
    """
    settings = settings or ServeSettings()
    models = Models(places_of(bundles), settings.strangers, settings.max_pixels)
    return App(Service(models, settings))


def _routes(service: Service) -> list[BaseRoute]:
    async def metrics(request: Request) -> Response:
        return Response(service.metrics.exposition(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def models(request: Request) -> Response:
        return Response(as_json({"models": [describe(model) for model in service.models]}), media_type=JSON)

    async def document(request: Request) -> Response:
        return Response(as_json(openapi(service.settings, service.models)), media_type=JSON)

    return [
        Route("/predict", make_predict(service), methods=["POST"]),
        Route("/metrics", metrics),
        Route("/models", models),
        Route("/openapi.json", document),
        *protocol_routes(service),
        *page_routes(),
    ]


def _lifespan(service: Service) -> Any:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service.start()
        yield
        await service.stop()

    return lifespan
