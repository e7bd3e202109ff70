"""Options that say how to read a source whose files do not say it; `fit`, `doctor` and `evaluate` share them."""

# No `from __future__ import annotations`: Typer reads the annotations.

from pathlib import Path
from typing import Annotated, Any, Literal

from pennyweight.cli.help import DATA
from pennyweight.cli.options import option
from pennyweight.core.errors import InputError

__all__ = ["Columns", "Corrections", "Ending", "Fetch", "GroupBy", "LabelFrom", "Pictures", "Twins", "read_as"]

GroupBy = Annotated[
    str | None,
    option(
        DATA,
        "Keep groups of pictures in one split: a manifest's column, folder, a regular expression for file names, "
        "exif:Model, or exif:DateTimeOriginal@10min.",
        metavar="GROUPS",
    ),
]
Twins = Annotated[
    Literal["group", "keep", "drop"],
    option(
        DATA,
        "Pictures that show the same moment: keep them in one split (group), split them (keep), or leave all but one "
        "out (drop).",
        metavar="RULE",
    ),
]
Columns = Annotated[
    list[str] | None,
    option(
        DATA,
        "Columns of a table: path, label, split and picture, such as path=image_id,label=breed.",
        "--columns",
        metavar="MEANING=NAME,…",
    ),
]
Pictures = Annotated[Path | None, option(DATA, "Folder that the paths of a table start from.", metavar="FOLDER")]
Ending = Annotated[str | None, option(DATA, "File extension to add to a table's paths, such as .jpg.", metavar=".EXT")]
Fetch = Annotated[
    bool,
    option(DATA, "Download the pictures at addresses that a table or the list on standard input names.", "--fetch"),
]
LabelFrom = Annotated[
    str | None,
    option(
        DATA,
        "Take labels from file names: a regular expression with one group, such as '^([a-z]+)'.",
        "--label-from",
        metavar="REGEX",
    ),
]

Corrections = Annotated[
    Path | None,
    option(
        DATA,
        "Table of corrected labels and of pictures to leave out, as the page of `review` saves it.",
        "--corrections",
        metavar="FILE",
    ),
]


def read_as(
    columns: list[str] | None,
    pictures: Path | None,
    ending: str | None,
    label_from: str | None,
    corrections: Path | None = None,
    fetch: bool = False,
) -> dict[str, Any] | None:
    """Return the value of `read_as` for `data.open`; None without an option. Raises InputError for wrong columns."""
    named: dict[str, str] = {}
    for pair in ",".join(columns or []).split(",") if columns else []:
        meaning, equals, name = pair.partition("=")
        if not equals or not meaning.strip() or not name.strip():
            raise InputError(f"--columns '{pair}' is no MEANING=NAME, such as path=image_id,label=breed")
        if meaning.strip() in named:
            raise InputError(f"--columns names the {meaning.strip()} twice; keep one")
        named[meaning.strip()] = name.strip()
    values: dict[str, Any] = {"columns": named, "pictures": pictures, "ending": ending, "label_from": label_from}
    values |= {"corrections": corrections, "fetch": fetch}
    return {name: value for name, value in values.items() if value} or None
