"""Networks that keep a budget as they read on a terminal, in a pipe, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pennyweight.cli import show
from pennyweight.core.budget import LIMITS, option_of
from pennyweight.core.figures import MISSING, number, several, share
from pennyweight.core.text import say

if TYPE_CHECKING:
    from pennyweight.search.picks import Pick, Picks

__all__ = ["picks"]

WIDE = 110
"""Characters of a line from which on MACs and memory are shown without a limit of theirs."""
SHOWN = 12
"""Rows of the front that are printed; --json has all."""


def picks(found: Picks, *, as_json: bool) -> None:
    """Print the front of the networks that fit, or the nearest ones where none fits."""
    if as_json:
        show.as_json(found.to_dict())
        return
    from pennyweight.search.picks import FITS, exceeds

    front = found.front or found.fitting  # without any accuracy there is no front
    ruled_out = ", ".join(f"{number(count)} by {option_of(name)}" for name, count in found.ruled_out.items())
    if found.best is None:
        for row in found.nearest:
            say(f"nearest: {row.name}: {exceeds(row, found.budget)}")
        counted = several(len(found.candidates), "candidate")
        why = f", {ruled_out} are ruled out" if ruled_out else " none surely keeps --ms"
        for line in found.notes:
            say(f"note: {line}", error=True)
        alone = "; each limit alone can be kept, and all together cannot" if _contradict(found) else ""
        say(f"error: nothing fits: of {counted}{why}{alone}; the nearest are listed above", error=True)
        return
    from pennyweight.report.tables import Column, print_table  # with rich: 0.03 s

    say(f"on {found.conditions}")
    rows = [_row(row) for row in front[:SHOWN]]
    print_table([Column(title) for title in rows[0] if _is_shown(title, found)],
                [[value for title, value in row.items() if _is_shown(title, found)] for row in rows])  # fmt: skip
    tried = f"; {number(len(found.tried))} were tried" if found.tried else ""
    fit = sum(row.verdict == FITS for row in found.candidates)
    say(
        f"{number(fit)} of {several(len(found.candidates), 'candidate')} fit{tried}"
        + (f"; ruled out {ruled_out}" if ruled_out else "")
        + (f"; {number(len(front) - SHOWN)} more of the front with --json" if len(front) > SHOWN else "")
    )
    for limit in _idle(found):
        say(f"note: {option_of(limit)} rules nothing out", error=True)
    for line in found.notes:
        say(f"note: {line}", error=True)
    if found.chosen is not None:
        for title, text in found.chosen.facts():
            say(f"{title:<15}{text}")
        return
    best = found.best
    accuracy = (
        _accuracy(best) if best.accuracy is not None else "no accuracy is published, so that the fastest is first"
    )
    say(f"best    {best.name}: {number(best.ms)} ms {best.ms_is}, {accuracy}")


def _contradict(found: Picks) -> bool:
    """Return whether every one of several limits is kept by some candidate, and no candidate keeps them all."""
    ruled_out, rows = found.ruled_out, found.candidates
    several_limits = len(ruled_out) > 1 and max(ruled_out.values()) < len(rows)
    return several_limits and all(row.excesses for row in rows)


def _idle(found: Picks) -> list[str]:
    return [name for name in found.budget.limits() if name in LIMITS and name not in found.ruled_out]


def _is_shown(title: str, found: Picks) -> bool:
    from rich.console import Console

    limits = found.budget.limits()
    limited = {"MACs": "macs" in limits, "memory, MB": "memory_bytes" in limits}
    return limited.get(title, True) or Console().width >= WIDE


def _row(row: Pick) -> dict[str, object]:
    """Return the values of a row by the titles of their columns."""
    within = f" ± {100 * row.accuracy_error:.1f}" if row.accuracy_error else ""
    accuracy = None if row.accuracy is None else f"{'≈ ' if within else ''}{share(row.accuracy)}{within}"
    known: dict[str, object] = {"accuracy": accuracy}
    if row.accuracy_interval is not None:
        low, high = row.accuracy_interval
        known = {"held-out": share(row.accuracy or 0.0), "95% interval": f"{share(low)} to {share(high)}"}
    return {
        "network": row.name.removesuffix(f" at {row.size}"),
        "input": row.size,
        "params": row.params,
        "MACs": row.macs,
        "file, MB": row.size_bytes / 1e6,
        "memory, MB": row.memory_bytes / 1e6,
        "ms": f"{'≈ ' if row.ms_is == 'predicted' else ''}{number(row.ms)}",
        **known,
    }


def _accuracy(row: Pick) -> str:
    if row.accuracy is None:
        return MISSING
    within = f" ± {100 * row.accuracy_error:.1f}" if row.accuracy_error else ""
    return f"{share(row.accuracy)}{within} {row.accuracy_is}"
