"""Figures of matplotlib as inline SVG that follows the color scheme of its page.

A figure is drawn in the light colors of the palette on no background. `as_svg` then writes each color as a CSS variable
of the page with the light color as its fallback, and black as the color of the text around the figure.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.figure import Figure

from pennyweight.report.palette import BLUE, PLOT_COLORS

__all__ = ["POINT", "as_svg", "own_settings"]

POINT = 1 / 72
"""Inches; one point of the figure becomes one CSS pixel of the page."""
VARIABLES = {color.light: f"var(--plot-{color.name}, {color.light})" for color in PLOT_COLORS}
VARIABLES["#000000"] = "currentColor"
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "pennyweight",  # the same ids in every process
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "axes.prop_cycle": cycler(color=[BLUE.light]),  # no color that is not of the palette
}


@contextmanager
def own_settings() -> Iterator[None]:
    """Draw with matplotlib's defaults and our settings inside the context, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield


def as_svg(figure: Figure, name: str, description: str) -> str:
    """Return the figure as an `<svg>` element for an HTML page; `name` begins its ids, which are unique on the page."""
    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with warnings.catch_warnings():
        # The reader's browser has the letters that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure.savefig(stream, format="svg", metadata=nothing)
    text = stream.getvalue()
    text = re.sub(r"<[^>]*>", lambda tag: _themed(tag[0], name), text[text.index("<svg") :])
    text = re.sub(r"<style type=\"text/css\">\*", f'<style type="text/css">#{name}-figure_1 *', text)
    width, height = figure.get_size_inches() / POINT
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'aria-label="{html.escape(description)}" viewBox="0 0 {width:g} {height:g}" '
        # matplotlib leaves black out of the style of text and areas: they take the color around them.
        f'fill="currentColor" '
        # On a narrow page a matrix may shrink to four fifths; below that the page scrolls it in its box.
        f'width="{width:.0f}" style="--legible: {0.8 * width:.0f}px">'
    )
    return opening + text[text.index(">") + 1 :].strip()


def _themed(tag: str, name: str) -> str:
    """Return a tag with ids of its own, the fonts of the page, and colors that follow its scheme."""
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", tag)
    tag = re.sub(r"'DejaVu Sans'[^;\"]*sans-serif", "system-ui, sans-serif", tag)
    return re.sub(
        r"(fill|stroke): (#[0-9a-f]{6})", lambda found: f"{found[1]}: {VARIABLES.get(found[2], found[2])}", tag
    )
