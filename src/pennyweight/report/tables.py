"""Tables for a terminal, laid out by rich alone, so that any command can print them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from pennyweight.core.figures import plain
from pennyweight.core.text import printable

__all__ = ["Column", "table"]

NARROWEST_NAME = 12
"""Fewest characters of a column of words, however much width the columns of numbers take."""


@dataclass(frozen=True)
class Column:
    """Heading of a column and the function that writes its values, such as `Column("accuracy", share)`."""

    title: str
    show: Callable[[Any], str] = plain


def table(
    title: str | None,
    columns: Sequence[Column],
    rows: Iterable[Sequence[object]],
    *,
    totals: Sequence[object] | None = None,
) -> Table:
    """Lay out rows of values under their headings, ready for `console.print`.

    Numbers are aligned right and stay whole; words fold over several lines where the terminal is narrow. Brackets in a
    name are no markup, and characters that could steer a terminal are replaced.

    Args:
        title: Line above the table; None for none.
        columns: Headings, and the functions that write the values below them.
        rows: One value for each column; None becomes a dash, "" an empty cell.
        totals: Last row, below a rule; None for none.

    Raises:
        ValueError: A row has not one value for each column.
    """
    values = [tuple(row) for row in rows]
    cells = [_cells(columns, row) for row in values]
    last = None if totals is None else _cells(columns, totals)

    grid = Table(
        title=None if title is None else Text(printable(title), style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 0, 0, 1),  # with the divider, two blanks between columns: eighty characters go further
    )
    for index, column in enumerate(columns):
        texts = [row[index] for row in (*cells, *([last] if last else []))]
        if _numeric([row[index] for row in values]):
            grid.add_column(Text(printable(column.title)), justify="right", no_wrap=True)
        else:
            longest = max((text.cell_len for text in texts), default=0)
            grid.add_column(Text(printable(column.title)), overflow="fold", min_width=min(longest, NARROWEST_NAME))
    for row in cells:
        grid.add_row(*row)
    if last is not None:
        grid.add_section()
        grid.add_row(*last, style="bold")
    return grid


def _cells(columns: Sequence[Column], row: Sequence[object]) -> list[Text]:
    if len(row) != len(columns):
        raise ValueError(f"a row of {len(row)} values {tuple(row)!r} does not fill {len(columns)} columns")
    return [
        Text(printable(plain(value) if value is None or value == "" else column.show(value)))
        for column, value in zip(columns, row, strict=True)
    ]


def _numeric(values: Sequence[object]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
