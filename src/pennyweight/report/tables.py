"""The one place that lays out tables for a terminal. Light: rich alone, so that any command can print."""

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

NARROWEST_NAME = 12  # characters that a column of words keeps while numbers beside it take the width


@dataclass(frozen=True)
class Column:
    """A heading and how its values read, such as `Column("accuracy", share)`; numbers stand to the right."""

    title: str
    show: Callable[[Any], str] = plain


def table(
    title: str | None,
    columns: Sequence[Column],
    rows: Iterable[Sequence[object]],
    *,
    totals: Sequence[object] | None = None,
) -> Table:
    """Rows of values under their headings, ready for `console.print`, with `totals` below a rule.

    Where the width is short, words fold over several lines and numbers stay whole. Text is taken literally: brackets in
    a name are no markup, and what could steer a terminal is replaced. A `None` shows as a dash, a `""` as nothing.
    Raises ValueError for a row whose length is not the number of columns.
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
