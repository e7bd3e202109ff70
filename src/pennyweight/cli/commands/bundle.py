"""`bundle`: the manifest of a bundle."""

# No `from __future__ import annotations`: Typer reads the annotations.

from json import loads
from pathlib import Path
from typing import Annotated

import typer

from pennyweight.cli import options, show
from pennyweight.cli.help import OUTPUT
from pennyweight.cli.options import option
from pennyweight.core.errors import InputError

__all__ = ["bundle"]


def bundle(
    path: Annotated[Path, typer.Argument(metavar="BUNDLE", help="File that `export` or `scene export` made.")],
    markdown: Annotated[bool, option(OUTPUT, "Print a model card in Markdown.", "--markdown")] = False,
    json: options.Json = False,
) -> None:
    """Show the manifest of a bundle: its network, classes, preprocessing, accuracy and proof."""
    if markdown and json:
        raise InputError("--markdown and --json both print on standard output; keep one")
    from pennyweight.report.model_card import bundle_facts, model_card
    from pennyweight.runtime.open_bundle import open_bundle

    opened = open_bundle(path)
    if json:
        show.as_json(loads(opened.manifest.to_json()))
    elif markdown:
        show.markdown(model_card(opened.manifest, path.name, path.stat().st_size))
    else:
        show.facts(bundle_facts(opened.manifest, path.name, path.stat().st_size))
