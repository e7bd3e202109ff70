"""Tables for a paper: Markdown, and LaTeX with booktabs."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from pennyweight.core.text import printable

__all__ = ["Cell", "as_latex", "as_markdown", "latex_text", "markdown_text", "significant"]

MARKUP = re.compile(r"([\\`*_\[\]|~#$])")
LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "×": r"$\times$",
    "≈": r"$\approx$",
    "–": "--",
    "−": "$-$",
    "…": r"\dots{}",
    **{mark: f"\\{mark}" for mark in "&%$#_"},
}
"""Characters that LaTeX would read as commands, or that pdfLaTeX's fonts lack, and what prints them."""


class Cell(NamedTuple):
    """Text of a cell; the best of its column is printed bold."""

    text: str
    is_best: bool = False


def significant(value: float | None, digits: int) -> str:
    """Format a number with `digits` significant digits, but never round its whole part: 3.5 with 4 is "3.500"."""
    if value is None or not math.isfinite(value):
        return "–"
    decimals = digits - 1 - math.floor(math.log10(abs(value))) if value else digits - 1
    decimals = max(decimals, 0)
    rounded = round(value, decimals)
    if rounded and math.floor(math.log10(abs(rounded))) > math.floor(math.log10(abs(value))):
        decimals -= 1  # 9.9996 became 10.00
    return f"{rounded:,.{max(decimals, 0)}f}"


def as_markdown(headings: Sequence[str], rows: Sequence[Sequence[Cell]], notes: Sequence[str] = ()) -> str:
    """Return a table as Markdown, the first column aligned left and the others right, then a paragraph for each note.

    Every name is escaped, so that it shows letter by letter.
    """
    lines = [
        _line([markdown_text(heading) for heading in headings]),
        _line([":---", *["---:"] * (len(headings) - 1)]),
        *(
            _line([f"**{markdown_text(cell.text)}**" if cell.is_best else markdown_text(cell.text) for cell in row])
            for row in rows
        ),
    ]
    return "\n".join([*lines, *(f"\n{markdown_text(note)}" for note in notes)]) + "\n"


def as_latex(headings: Sequence[str], rows: Sequence[Sequence[Cell]], notes: Sequence[str] = ()) -> str:
    r"""Return a table as LaTeX with booktabs, for `\usepackage{booktabs}`; notes are comments above it.

    Every name is escaped. The table is a `tabular`, to which a paper adds its own caption and label.
    """
    lines = [
        *(f"% {' '.join(printable(note).split())}" for note in (*notes, r"needs \usepackage{booktabs}")),
        f"\\begin{{tabular}}{{l{'r' * (len(headings) - 1)}}}",
        r"\toprule",
        " & ".join(map(latex_text, headings)) + r" \\",
        r"\midrule",
        *(" & ".join(_bold(cell) for cell in row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _bold(cell: Cell) -> str:
    return f"\\textbf{{{latex_text(cell.text)}}}" if cell.is_best else latex_text(cell.text)


def latex_text(text: str) -> str:
    """Return text that LaTeX prints letter by letter, on one line."""
    return "".join(LATEX.get(letter, letter) for letter in printable(text))


def markdown_text(text: str) -> str:
    """Return text that Markdown shows letter by letter, on one line."""
    return MARKUP.sub(r"\\\1", html.escape(printable(text), quote=False))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
