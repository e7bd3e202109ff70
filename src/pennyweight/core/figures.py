"""Format values as text, for terminals and pages alike, with the standard library alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "MISSING",
    "AtLeast",
    "about",
    "duration",
    "fine_share",
    "megabytes",
    "number",
    "plain",
    "several",
    "shape",
    "share",
    "spread",
]

MISSING = "–"


class AtLeast(float):
    """Lower bound of an unknown number, shown as "≥ 1,234"."""


def number(value: float | None) -> str:
    """Format a count in full with thousands separators, other numbers to four figures: 3504872 -> "3,504,872"."""
    if value is None:
        return MISSING
    if isinstance(value, AtLeast):
        return f"≥ {number(float(value))}"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if math.isfinite(value) and abs(value) >= 1000 else f"{value:.4g}"


def several(count: int, thing: str) -> str:
    """Format a count with its noun: "1 thread", "2 threads"."""
    return f"{number(count)} {thing}{'s' * (count != 1)}"


def spread(quartiles: Sequence[float]) -> str:
    """Format the first and third quartile: (4.6415, 4.7) -> "4.641–4.7"."""
    low, high = quartiles
    return f"{number(low)}–{number(high)}"


def share(value: float | None) -> str:
    """Format a fraction as a percentage: 0.981 -> "98.1%"; only exact values give 0.0% and 100.0%."""
    if value is None or math.isnan(value):
        return MISSING
    if 0.9995 <= value < 1:
        return ">99.9%"
    if 0 < value < 0.0005:
        return "<0.1%"
    return f"{value:.1%}"


def fine_share(value: float | None) -> str:
    """Format a percentage to two decimals, as papers on scenes do: 0.99979 -> "99.98%"; only 1 gives 100.00%."""
    if value is None or math.isnan(value):
        return MISSING
    return ">99.99%" if 0.99995 <= value < 1 else f"{value:.2%}"


def megabytes(count: int) -> str:
    """Return bytes as megabytes of 10^6 bytes, to four figures: 14019488 -> "14.02 MB"."""
    return f"{number(count / 1e6)} MB"


def shape(sizes: Sequence[int] | None) -> str:
    """Format sizes with multiplication signs: (3, 224, 224) -> "3×224×224", () -> "scalar", None -> "–"."""
    if sizes is None:
        return MISSING
    return "×".join(str(size) for size in sizes) or "scalar"


def duration(seconds: float | None) -> str:
    """Format seconds in one or two units: "4.2 s", "41 s", "3 min 20 s", "1 h 02 min"."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def about(seconds: float) -> str:
    """Round an estimate of a time: "a few seconds", "about 40 s", "about 3 min", "about 2.5 h"."""
    if seconds < 7.5:
        return "a few seconds"
    if seconds < 87.5:
        return f"about {5 * round(seconds / 5)} s"
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 89.5:
        return f"about {round(minutes)} min"
    return f"about {hours:.1f} h" if hours < 9.95 else f"about {hours:,.0f} h"


def plain(value: Any) -> str:
    """Format any JSON value for a reader: None is a dash, true and false are yes and no."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {plain(item)}" for key, item in value.items()) or MISSING
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(plain(item) for item in value) or MISSING
    return str(value)
