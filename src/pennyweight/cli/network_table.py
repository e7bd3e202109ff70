"""Table of networks: a row for each, with its counts, times and published accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from pennyweight.cli.cost_rows import SORTS
from pennyweight.core.figures import AtLeast, number, shape, spread
from pennyweight.report.paper_table import Cell, significant

if TYPE_CHECKING:
    from pennyweight.verbs.weigh import Weighed

__all__ = ["DIGITS", "NETWORK_SORTS", "OPTIONAL", "Style", "Unit", "headings_and_rows", "ordered"]

Unit = Literal["1", "K", "M", "G"]
UNITS: dict[Unit, float] = {"1": 1, "K": 1e3, "M": 1e6, "G": 1e9}
DIGITS = 4
MB = 1e6
MEASURED, TOP1 = "measured ms", "top-1, %"
OPTIONAL = ("operations", "MB of weights", "MB moved")
"""Columns that a narrow terminal leaves out, the first one first; the other forms have every column."""


class Style(NamedTuple):
    """Unit of parameters, MACs and operations, and significant digits of every figure that is not a whole count."""

    unit: Unit = "1"
    digits: int = DIGITS


@dataclass(frozen=True)
class Figure:
    """Column of a figure."""

    heading: str
    value: Callable[[Weighed], float | None]
    counts: bool = False
    """True for a count, which is shown in the unit that was chosen."""
    is_bounded: bool = True
    """True if uncounted operators make the figure a lower bound."""
    higher_is_better: bool = False


FIGURES = (
    Figure("params", lambda w: w.cost.params, counts=True),
    Figure("MACs", lambda w: w.cost.macs, counts=True),
    Figure("MACs of a training step", lambda w: w.cost.training_macs, counts=True),
    Figure("operations", lambda w: w.cost.ops, counts=True),
    Figure("MB moved", lambda w: (w.cost.bytes_read + w.cost.bytes_written) / MB),
    Figure("MB of weights", lambda w: w.cost.weight_bytes / MB),
    Figure("peak MB", lambda w: w.cost.peak_activation_bytes / MB),
    Figure("peak MB of a training step", lambda w: _mb(w.cost.peak_training_bytes)),
    Figure("predicted ms", lambda w: w.predicted_ms),
    Figure(MEASURED, lambda w: w.measured_ms, is_bounded=False),
    Figure(TOP1, lambda w: w.published_top1, is_bounded=False, higher_is_better=True),
)
"""Columns of figures; less is better unless a column says otherwise."""

NETWORK_SORTS: dict[str, Callable[[Weighed], float | None]] = {
    **{name: lambda w, name=name: getattr(w.cost, name) for name in SORTS if name != "predicted_ms"},  # type: ignore[misc]
    "peak_activation_bytes": lambda w: w.cost.peak_activation_bytes,
    "predicted_ms": lambda w: w.predicted_ms,
    "measured_ms": lambda w: w.measured_ms,
    "published_top1": lambda w: w.published_top1,
}


def ordered(networks: Sequence[Weighed], sort: str | None) -> list[Weighed]:
    """Return networks with the largest figure first, those without one last; `name` sorts by the alphabet."""
    if sort is None:
        return list(networks)
    if sort == "name":
        return sorted(networks, key=lambda network: network.name)
    figure = NETWORK_SORTS[sort]
    return sorted(networks, key=lambda network: -value if (value := figure(network)) is not None else float("inf"))


def headings_and_rows(networks: Sequence[Weighed], style: Style) -> tuple[list[str], list[list[Cell]]]:
    """Return the headings and a row for each network; figures that no network has get no column.

    Args:
        networks: Networks in their order.
        style: Unit and digits.
    """
    columns = [[Cell(network.name) for network in networks]]
    headings = ["network"]
    inputs = _inputs(networks)
    if len(set(inputs)) > 1:  # larger inputs are more work
        headings.append("input")
        columns.append([Cell(text) for text in inputs])
    for figure in FIGURES:
        values = [_bounded(network, figure, figure.value(network)) for network in networks]
        if all(value is None for value in values):
            continue
        best = _best(values, figure) if len(networks) > 1 else None
        scaled = style.unit if figure.counts and style.unit != "1" else ""
        headings.append(f"{figure.heading}, {scaled}" if scaled else figure.heading)
        columns.append([Cell(_text(v, figure, style), best is not None and v == best and _whole(v)) for v in values])
    if any(network.timing for network in networks):
        timings = [network.timing for network in networks]
        headings += ["quartiles, ms", "measured on"]
        columns.append([Cell(spread(timing.quartiles_ms) if timing else "–") for timing in timings])
        columns.append([Cell(timing.engine if timing else "–") for timing in timings])
    return headings, [list(row) for row in zip(*columns, strict=True)]


def _text(value: float | None, figure: Figure, style: Style) -> str:
    if value is None:
        return "–"
    least = "≥ " if isinstance(value, AtLeast) else ""
    if figure.counts:
        unit = UNITS[style.unit]
        return least + (number(int(value)) if unit == 1 else significant(value / unit, style.digits))
    if figure.heading == TOP1:
        return f"{value:.1f}"
    return least + significant(value, style.digits)


def _inputs(networks: Sequence[Weighed]) -> list[str]:
    """Return the inputs' sides where all are square color pictures, else their whole shapes."""
    sizes = [network.cost.input_shape for network in networks]
    square = all(len(each) == 3 and each[0] == 3 and each[1] == each[2] for each in sizes)
    return [str(each[1]) if square else shape(each) for each in sizes]


def _bounded(network: Weighed, figure: Figure, value: float | None) -> float | None:
    """Mark a value as a lower bound where the network has uncounted operators; measured values are exact."""
    return AtLeast(value) if value is not None and figure.is_bounded and network.cost.uncounted else value


def _best(values: Sequence[float | None], figure: Figure) -> float | None:
    """Return the best value; None where a lower bound is smaller still, so that the best is unknown."""
    known = [value for value in values if value is not None]
    if figure.higher_is_better:
        return max(known)
    return min(known) if any(_whole(value) and value == min(known) for value in values) else None


def _whole(value: float | None) -> bool:
    return value is not None and not isinstance(value, AtLeast)


def _mb(size: int | None) -> float | None:
    return None if size is None else size / MB
