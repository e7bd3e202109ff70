"""The page: static files, with headers that let it load nothing from elsewhere."""

from __future__ import annotations

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pennyweight.serve.failures import RequestError

__all__ = ["page_routes"]

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
ASSETS = {
    "house.css": ("pennyweight.report", "templates/page.css", "text/css"),
    "page.css": ("pennyweight.serve", "static/page.css", "text/css"),
    "page.js": ("pennyweight.serve", "static/page.js", "text/javascript"),
    "icon.svg": ("pennyweight.serve", "static/icon.svg", "image/svg+xml"),
}
"""Name of a file of the page -> package, place in it, and media type."""


def page_routes() -> list[BaseRoute]:
    """Return the routes of the page and its files, which are read once."""
    html = _read("pennyweight.serve", "static/page.html")
    assets = {name: (_read(package, place), kind) for name, (package, place, kind) in ASSETS.items()}

    async def page(request: Request) -> Response:
        return Response(html, media_type="text/html", headers=HEADERS)

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in assets:
            raise RequestError(404, f"the page has no file '{name[:100]}'")
        content, kind = assets[name]
        return Response(content, media_type=kind, headers=HEADERS)

    async def favicon(request: Request) -> Response:
        content, kind = assets["icon.svg"]
        return Response(content, media_type=kind, headers=HEADERS)

    return [Route("/", page), Route("/assets/{name}", asset), Route("/favicon.ico", favicon)]


def _read(package: str, place: str) -> bytes:
    return files(package).joinpath(place).read_bytes()
