"""`serve`: answer over HTTP."""

# No `from __future__ import annotations`: Typer reads the annotations.

from typing import Annotated

import typer

from pennyweight.cli import options, prediction_options, serve_options
from pennyweight.cli.serving import ServeRequest, serve_and_print
from pennyweight.core.settings import parse_share

__all__ = ["serve"]


def serve(
    bundles: Annotated[
        list[str],
        typer.Argument(
            metavar="BUNDLE...",
            help="Files that `export` made, or runs that have one; NAME=PATH names a model.",
        ),
    ],
    max_bytes: serve_options.MaxBytes = "32MB",
    max_pixels: options.MaxPixels = None,
    max_pictures: serve_options.MaxPictures = 64,
    host: serve_options.Host = "127.0.0.1",
    port: serve_options.Port = 8000,
    token_file: serve_options.TokenFile = None,
    workers: serve_options.Workers = None,
    queue: serve_options.Queue = None,
    timeout: serve_options.Timeout = 30.0,
    strangers: prediction_options.Strangers = "flag",
    least_typical: prediction_options.LeastTypical = None,
    log: serve_options.Log = "text",
) -> None:
    """Serve bundles over HTTP: a page in the browser, POST /predict, the Open Inference Protocol v2, metrics.

    SIGTERM or Ctrl-C ends the server after it has answered every accepted request; the exit status is then 0.
    """
    share = None if least_typical is None else parse_share(least_typical, "--least-typical", example="1%")
    request = ServeRequest(
        bundles, max_bytes, max_pixels, max_pictures, host, port, token_file, workers, queue, timeout, strangers, share,
        log,
    )  # fmt: skip
    serve_and_print(request)
