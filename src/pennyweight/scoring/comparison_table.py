"""Table of a comparison, as a paper prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pennyweight.core.figures import number
from pennyweight.report.paper_table import Cell, significant

if TYPE_CHECKING:
    from pennyweight.scoring.comparison import Comparison, Difference

__all__ = ["comparison_cells", "comparison_notes", "p_value"]

DIGITS = 4


def comparison_cells(found: Comparison) -> tuple[list[str], list[list[Cell]]]:
    """Return the headings and a row for each network, the best figure of a column marked."""
    networks = found.networks
    least = {name: min(getattr(each, name) for each in networks) for name in ("params", "macs")}
    timed = [each.ms for each in networks if each.ms is not None]
    seeds = any(len(each.runs) > 1 for each in networks)
    headings = ["network", *["seeds"] * seeds, "accuracy, %", "95% interval", "params, M", "MACs, M"]
    headings += [*["ms"] * bool(timed), "p"]
    rows = []
    for each in networks:
        low, high = each.accuracy_interval
        spread = "" if each.deviation is None else f" ± {100 * each.deviation:.2f}"
        rows.append(
            [
                Cell(each.name),
                *[Cell(str(len(each.runs)))] * seeds,
                Cell(f"{100 * each.accuracy:.2f}{spread}", each.accuracy == networks[0].accuracy),
                Cell(f"{100 * low:.2f} to {100 * high:.2f}"),
                Cell(significant(each.params / 1e6, DIGITS), each.params == least["params"]),
                Cell(significant(each.macs / 1e6, DIGITS), each.macs == least["macs"]),
                *[Cell(significant(each.ms, 3), each.ms == min(timed, default=None))] * bool(timed),
                Cell("–" if (pair := found.against_best(each.name)) is None else p_value(_p(pair))),
            ]
        )
    return headings, rows


def comparison_notes(found: Comparison) -> list[str]:
    """Return sentences on what the figures mean, for the table's foot."""
    several = any(len(each.runs) > 1 for each in found.networks)
    single = any(len(each.runs) == 1 for each in found.networks)
    welch = any(each.seeds_p is not None for each in found.differences)
    alone = any(each.seeds_p is None for each in found.differences)
    lines = [f"{number(found.images)} pictures of {found.source}, split {found.split}, the same for every network."]
    if several:
        lines.append(
            "Over seeds: mean ± sample standard deviation; the interval is Student's, of the mean over seeds on these "
            "pictures."
        )
    if single:
        lines.append(
            "Each network has one run: the interval says what other test pictures might change, not other seeds."
        )
    tests = [*["Welch's t test over seeds"] * welch, *["McNemar's test of two runs"] * alone]
    if found.differences:
        lines.append(
            f"p is for the difference from the first row, by {' or '.join(tests)}, without a correction for many."
        )
    return [*lines, *(f"{note[0].upper()}{note[1:]}." for note in found.notes)]


def p_value(p: float) -> str:
    """Format a p-value: two significant digits, or a bound below 0.001."""
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _p(pair: Difference) -> float:
    return pair.mcnemar_p if pair.seeds_p is None else pair.seeds_p
