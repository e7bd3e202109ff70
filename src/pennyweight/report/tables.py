"""Tables for a terminal, laid out by rich alone, so that any command can print them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich import box
from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from pennyweight.core.figures import plain
from pennyweight.core.text import pieces, printable

__all__ = ["Column", "Grid", "print_table", "table", "text_table"]

GAP = 2
"""Characters between two columns."""
SHORT_NAME = 24
"""Characters of a name that a table of texts keeps in one line."""
NARROWEST_NAME = 12
"""Fewest characters of a column of words, however much width the columns of numbers take."""


@dataclass(frozen=True)
class Column:
    """Heading of a column and the function that writes its values, such as `Column("accuracy", share)`."""

    title: str
    show: Callable[[Any], str] = plain


@dataclass(frozen=True)
class Filled:
    """Column with its texts; numbers stay whole and are aligned right."""

    heading: str
    texts: Sequence[str]
    numeric: bool
    is_whole: bool = False
    """True for words that stay in one line, as numbers do."""

    def widths(self) -> tuple[int, int, int]:
        """Return the characters of the column in one line, folded between words and pieces, and at the least."""
        longest = _longest(self.texts)
        whole = max(longest, cell_len(self.heading))
        if self.numeric or self.is_whole:
            folded = max(longest, _longest(self.heading.split()))
            return whole, folded, folded
        folded = max(_indent(text) + _longest(_pieces(text)) for text in (self.heading, *self.texts))
        return whole, folded, min(folded, NARROWEST_NAME)

    def encoded(self, encoding: str) -> Filled:
        """Return the column with an escape for each letter that the terminal's encoding does not have."""
        texts = [printable(text, encoding) for text in self.texts]
        return replace(self, heading=printable(self.heading, encoding), texts=texts)

    def folded(self, width: int) -> list[Text]:
        """Return the cells in at most `width` characters."""
        return [Text(text if self.numeric else fold(text, width)) for text in self.texts]


@dataclass(frozen=True)
class Grid:
    """Columns of texts under a title, laid out for the width of the console that prints them."""

    title: str | None
    columns: Sequence[Filled]
    has_totals: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = [column.encoded(options.encoding) for column in self.columns]
        widths = _shared([column.widths() for column in columns], options.max_width)
        grid = Table(
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, 0, 0, GAP - 1),  # the divider is the other blank: eighty characters go further
        )
        for column, width in zip(columns, widths, strict=True):
            heading = Text(fold(column.heading, width))
            grid.add_column(heading, width=width, justify="right" if column.numeric else "left", no_wrap=True)
        cells = [column.folded(width) for column, width in zip(columns, widths, strict=True)]
        rows = list(zip(*cells, strict=True))
        totals = rows.pop() if self.has_totals else None
        for row in rows:
            grid.add_row(*row)
        if totals is not None:
            grid.add_section()
            grid.add_row(*totals, style="bold")
        if self.title is not None:
            yield Text(fold(printable(self.title, options.encoding), options.max_width), style="bold")
        yield grid


def table(
    title: str | None,
    columns: Sequence[Column],
    rows: Iterable[Sequence[object]],
    *,
    totals: Sequence[object] | None = None,
) -> Grid:
    """Lay out rows of values under their headings, ready for `console.print`.

    Numbers are aligned right and stay whole. Where the terminal is narrow, words fold over several lines, and long
    names after their separators. Brackets are no markup. Characters that could steer a terminal, or that its encoding
    does not have, are escaped.

    Args:
        title: Line above the table; None for none.
        columns: Headings, and the functions that write the values below them.
        rows: One value for each column; None becomes a dash, "" an empty cell.
        totals: Last row, below a rule; None for none.

    Raises:
        ValueError: A row has not one value for each column.
    """
    values = [tuple(row) for row in rows]
    cells = [_cells(columns, row) for row in (*values, *([] if totals is None else [totals]))]
    filled = [
        Filled(printable(column.title), [row[index] for row in cells], _numeric([row[index] for row in values]))
        for index, column in enumerate(columns)
    ]
    return Grid(None if title is None else printable(title), filled, totals is not None)


def text_table(
    title: str | None, headings: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: Sequence[bool]
) -> Grid:
    """Lay out rows of texts under their headings; the columns of `numeric` are aligned right and stay whole.

    A column of short names stays whole too, so that a row is a line.
    """
    columns = []
    for index, heading in enumerate(headings):
        texts = [printable(row[index]) for row in rows]
        columns.append(Filled(printable(heading), texts, numeric[index], _longest(texts) <= SHORT_NAME))
    return Grid(None if title is None else printable(title), columns, has_totals=False)


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[object]], *, error: bool = False) -> None:
    """Print a table without title on standard output, or on standard error."""
    Console(stderr=error).print(table(None, columns, rows))


def fold(text: str, width: int) -> str:
    """Break a text into lines of at most `width` characters: between words, within a long word after a separator.

    A longer piece without separators breaks anywhere, so that nothing is lost. Every line keeps the indent.
    """
    indent = " " * min(_indent(text), width // 2)
    room = max(width - len(indent), 1)
    lines = [""]
    for number, word in enumerate(text.lstrip(" ").split(" ")):
        longer = f"{lines[-1]} {word}" if number else word
        if cell_len(longer) <= room:
            lines[-1] = longer
            continue
        if number:
            lines.append("")
        for piece in _pieces(word):
            for part in chop_cells(piece, room):
                if cell_len(lines[-1] + part) > room:
                    lines.append("")
                lines[-1] += part
    return "\n".join(indent + line for line in lines)


def _shared(widths: Sequence[tuple[int, int, int]], available: int) -> list[int]:
    """Share the characters of a line among columns: the widest fold between words first, then within them."""
    room = available - GAP * (len(widths) - 1)
    shared = [min(whole, max(room, least)) for whole, _, least in widths]
    for floors in ([folded for _, folded, _ in widths], [least for *_, least in widths]):
        while sum(shared) > room and any(now > floor for now, floor in zip(shared, floors, strict=True)):
            widest = max(range(len(shared)), key=lambda index: (shared[index] > floors[index], shared[index]))
            shared[widest] -= 1
    return shared


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def _pieces(text: str) -> list[str]:
    """Return the parts of a text between its blanks and after its separators."""
    return [piece for word in text.split() for piece in pieces(word)]


def _longest(texts: Iterable[str]) -> int:
    return max(map(cell_len, texts), default=0)


def _cells(columns: Sequence[Column], row: Sequence[object]) -> list[str]:
    if len(row) != len(columns):
        raise ValueError(f"a row of {len(row)} values {tuple(row)!r} does not fill {len(columns)} columns")
    return [
        printable(plain(value) if value is None or value == "" else column.show(value))
        for column, value in zip(columns, row, strict=True)
    ]


def _numeric(values: Sequence[object]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
