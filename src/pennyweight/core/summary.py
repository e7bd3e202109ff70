"""Short descriptions of results: one line at a Python prompt, a small table in a notebook's cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from pennyweight.core.figures import number
from pennyweight.core.text import printable

__all__ = ["Facts", "Rows", "Summary", "classes"]

Row = TypeVar("Row")

Facts = Iterable[tuple[str, str]]
"""Pairs of a name and its text, such as ("MACs", "300,774,272"); the name may be empty."""
LONGEST_TEXT = 80
"""Characters of one fact; a longer text loses its middle, so that both ends of a path stay."""
NAMED_CLASSES = 5
"""Classes that a description names."""
LISTED_ROWS = 10
"""Rows that the description of a table names."""


class Summary:
    """Base of results that describe themselves by a few facts, never by all that they hold.

    A subclass yields its facts in `_facts`, the most important first. A fact that cannot be read, such as one of a
    damaged file, ends the description with the reason: showing a value raises nothing.
    """

    def _facts(self) -> Facts:
        raise NotImplementedError

    def __repr__(self) -> str:
        """Return one line: `Name(first: text; second: text)`."""
        facts = (f"{name}: {text}" if name else text for name, text in self._shown())
        return f"{type(self).__name__}({'; '.join(facts)})"

    def _repr_html_(self) -> str:
        """Return a table of the facts for a notebook; every text in it is escaped."""
        import html

        rows = "".join(
            f'<tr><th scope="row" style="text-align: left">{html.escape(name)}</th>'
            f'<td style="text-align: left">{html.escape(text)}</td></tr>'
            for name, text in self._shown()
        )
        return f"<table><caption>{type(self).__name__}</caption><tbody>{rows}</tbody></table>"

    def _shown(self) -> Iterable[tuple[str, str]]:
        try:
            for name, text in self._facts():
                yield _short(name), _short(text)
        except Exception as error:
            yield "cannot be read", _short(str(error) or type(error).__name__)


class Rows(tuple[Row, ...]):
    """Tuple of rows that describes itself by its first ten and the number of the rest."""

    __slots__ = ()

    def __repr__(self) -> str:
        rows = [repr(row) for row in self[:LISTED_ROWS]]
        if (more := len(self) - LISTED_ROWS) > 0:
            rows.append(f"… and {more:,} more")
        return "({})".format(",\n ".join(rows))

    def _repr_html_(self) -> str | None:
        """Return a table of the first ten for a notebook; None for rows that do not describe themselves alike."""
        import html

        shown = [list(row._shown()) for row in self[:LISTED_ROWS] if isinstance(row, Summary)]
        names = [name for name, _ in shown[0]] if shown else []
        if not names or any([name for name, _ in facts] != names for facts in shown):
            return None
        head = "".join(f'<th scope="col" style="text-align: left">{html.escape(name)}</th>' for name in names)
        cells = (
            "".join(f'<td style="text-align: left">{html.escape(text)}</td>' for _, text in facts) for facts in shown
        )
        rows = "".join(f"<tr>{row}</tr>" for row in cells)
        more = f"<caption>the first {LISTED_ROWS} of {len(self):,}</caption>" if len(self) > LISTED_ROWS else ""
        return f"<table>{more}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def classes(labels: Sequence[str]) -> tuple[str, str]:
    """Return the fact of a network's classes: their number and the first five names."""
    names = ", ".join(labels[:NAMED_CLASSES])
    return f"{number(len(labels))} classes", f"{names}{', …' * (len(labels) > NAMED_CLASSES)}"


def _short(text: str) -> str:
    """Return at most 80 characters of a text, with what could steer a terminal replaced."""
    text = printable(text)
    if len(text) <= LONGEST_TEXT:
        return text
    tail = LONGEST_TEXT // 2
    return f"{text[: LONGEST_TEXT - tail - 1]}…{text[-tail:]}"
