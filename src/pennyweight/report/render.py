"""Pages of HTML from templates. A page holds all that it shows, and asks for nothing else."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from pennyweight.core import figures
from pennyweight.core.accuracy_line import as_groups, independent_pictures
from pennyweight.core.text import pieces, printable
from pennyweight.report.inline import is_small, thumbnail
from pennyweight.report.palette import PLOT_COLORS, ink_on

__all__ = ["render"]

FOLDER = Path(__file__).with_name("templates")


def render(template: str, **values: Any) -> str:
    """Return the page that `template`, a file of the folder of templates, makes of `values`; write it as UTF-8."""
    return _environment().get_template(template).render(style=_style(), **values)


def _style() -> str:
    """Return the style sheet of every page, with the colors of plots for light and dark screens as variables."""
    light = "".join(f" --plot-{color.name}: {color.light};" for color in PLOT_COLORS)
    dark = "".join(f" --plot-{color.name}: {color.dark};" for color in PLOT_COLORS)
    variables = f":root {{{light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{{dark} }} }}\n"
    return variables + (FOLDER / "page.css").read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in figures.__all__:
        if callable(show := getattr(figures, name)):
            environment.filters[name] = show
    environment.filters |= {
        "interval": _interval,
        "moment": _moment,
        "thumbnail": thumbnail,
        "ink": ink_on,
        "as_groups": as_groups,
        "independent_pictures": independent_pictures,
    }
    environment.filters["breakable"] = _breakable
    environment.tests["small"] = is_small
    return environment


def _shown(value: object) -> object:
    """Return a text without characters that could turn a line of the page around; markup of our own stays."""
    return printable(value) if type(value) is str else value


def _breakable(name: str) -> Markup:
    """Return a long name that a browser breaks after its separators rather than within a word."""
    return Markup("<wbr>").join(escape(piece) for piece in pieces(printable(name)))


def _interval(bounds: tuple[float, float]) -> str:
    """Return (0.957, 0.992) as "95.7–99.2%"."""
    low, high = (figures.share(bound) for bound in bounds)
    return f"{low.removesuffix('%')}–{high}"


def _moment(iso: str) -> str:
    """Return an ISO 8601 moment to the minute: "2026-11-22 21:50 UTC"; the zone only where it is known."""
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M %Z}".strip()
