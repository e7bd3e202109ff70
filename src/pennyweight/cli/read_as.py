"""Options that say how a source is read whose files do not say it; `fit`, `doctor` and `evaluate` share them."""

# No `from __future__ import annotations`: Typer reads the annotations.

from pathlib import Path
from typing import Annotated, Any

import typer

from pennyweight.core.errors import InputError

__all__ = ["Columns", "Ending", "LabelFrom", "Pictures", "read_as"]

PANEL = "A source whose files do not say it"
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="MEANING=NAME,…",
        help="Columns of a table: path, label, split and picture, such as path=image_id,label=breed.",
        rich_help_panel=PANEL,
    ),
]
Pictures = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Folder that the paths of a table start from.", rich_help_panel=PANEL),
]
Ending = Annotated[
    str | None,
    typer.Option(metavar=".EXT", help="Ending to add to the paths of a table, such as .jpg.", rich_help_panel=PANEL),
]
LabelFrom = Annotated[
    str | None,
    typer.Option(
        "--label-from",
        metavar="REGEX",
        help=r"Take labels from file names: a regular expression with one group, such as '^(\[a-z]+)'.",
        rich_help_panel=PANEL,
    ),
]


def read_as(
    columns: list[str] | None, pictures: Path | None, ending: str | None, label_from: str | None
) -> dict[str, Any] | None:
    """Return what `data.open` takes as `read_as`, None where nothing was said. Raises InputError for wrong columns."""
    named: dict[str, str] = {}
    for pair in ",".join(columns or []).split(",") if columns else []:
        meaning, equals, name = pair.partition("=")
        if not equals or not meaning.strip() or not name.strip():
            raise InputError(f"--columns '{pair}' is no MEANING=NAME, such as path=image_id,label=breed")
        if meaning.strip() in named:
            raise InputError(f"--columns names the {meaning.strip()} twice; keep one")
        named[meaning.strip()] = name.strip()
    values = {"columns": named, "pictures": pictures, "ending": ending, "label_from": label_from}
    return {name: value for name, value in values.items() if value} or None
