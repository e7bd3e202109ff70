"""Costs as they read on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.cells import cell_len
from rich.console import Console

from pennyweight.cli.cost_rows import COUNTED, SORTS, SUMMED, Depth, bounded, rows_of
from pennyweight.cli.cost_tree import ITSELF, tree_rows
from pennyweight.cli.network_table import OPTIONAL, Style, headings_and_rows
from pennyweight.core.figures import number, several, shape, share
from pennyweight.core.text import say
from pennyweight.report.paper_table import Cell
from pennyweight.report.tables import Column, Grid, table, text_table

if TYPE_CHECKING:
    from pennyweight.cost import Timing
    from pennyweight.cost.guidelines import Finding
    from pennyweight.verbs.weigh import Weighed

__all__ = ["compared", "comparison", "facts", "measured_how", "no_prediction", "one"]

MOST_FINDINGS = 12
MB = 1e6
TIMES_LETTERS = 25


class Shown(NamedTuple):
    """Column of the table, with the conditions under which it is shown."""

    heading: Column
    value: Callable[[Mapping[str, Any]], Any]
    timed: bool = False
    least: int = 0
    """Least width of the terminal in letters; with columns of times 25 more."""


COLUMNS = (
    Shown(Column("layer"), lambda row: row["name"] or ITSELF),
    Shown(Column("type"), itemgetter("type"), least=110),
    Shown(Column("in", shape), itemgetter("input_shape"), least=90),
    Shown(Column("out", shape), itemgetter("output_shape")),
    Shown(Column("params"), itemgetter("params")),
    Shown(Column("frozen"), lambda row: row["params"] - row["trainable_params"]),
    Shown(Column("weights MB"), lambda row: row["weight_bytes"] / MB, least=120),
    Shown(Column("activations MB"), lambda row: row["bytes_written"] / MB, least=120),
    Shown(Column("MACs"), itemgetter("macs")),
    Shown(Column("MB"), lambda row: (row["bytes_read"] + row["bytes_written"]) / MB),
    Shown(Column("predicted ms"), itemgetter("predicted_ms"), timed=True),
    Shown(Column("bound by"), itemgetter("bound"), timed=True),
)


def _fits(column: Shown, weighed: Weighed, by: Depth, width: int) -> bool:
    cost, timed = weighed.cost, bool(weighed.times)
    if column.heading.title in ("type", "bound by") and by != "layer":
        return False
    if column.heading.title == "frozen":
        return cost.params > cost.trainable_params
    return timed if column.timed else width >= column.least + (TIMES_LETTERS if timed else 0) * (column.least > 0)


def one(weighed: Weighed, by: Depth, sort: str | None, *, lint: bool) -> None:
    """Print one network: its rows (layers as a tree), totals and facts; with `lint` the guidelines' findings."""
    console = Console()
    console.print(_rows(weighed, by, sort, console.width))
    for label, value in facts(weighed):
        say(f"{label}: {value}")
    say(*_conventions())
    if lint:
        _print_findings(console, weighed)


def _rows(weighed: Weighed, by: Depth, sort: str | None, width: int) -> Grid:
    """Lay out the rows above their totals, in as many columns as fit the width."""
    cost = weighed.cost
    shown = [column for column in COLUMNS if _fits(column, weighed, by, width)]
    totals = {
        **{name: getattr(cost, name) for name in COUNTED},
        "uncounted_calls": sum(cost.uncounted.values()),
        "name": "total",
        "type": "",
        "input_shape": cost.input_shape,
        "output_shape": cost.shapes.get("", (None, None))[1],
        "bound": "",
        "predicted_ms": weighed.predicted_ms,
    }
    rows: Sequence[Mapping[str, Any]] = [] if by == "total" else rows_of(weighed, by, sort)
    if by == "layer" and sort is None:
        rows = tree_rows(rows, (*SUMMED, "predicted_ms"), cost.shapes)
    cells = [[column.value(bounded(row)) for column in shown] for row in (*rows, totals)]
    headings = [column.heading for column in shown]
    return table(f"{weighed.name}, batch {cost.batch}", headings, cells[:-1], totals=cells[-1])


def _conventions() -> tuple[str, ...]:
    from pennyweight.cost.counting.conventions import CONVENTIONS  # whose room loads torch

    macs, ops, read, written = CONVENTIONS.values()
    return (
        f"MACs are {macs}.",
        f"Operations are {ops}.",
        f"MB are {read}, plus {written}; activations MB are the latter alone.",
    )


def facts(weighed: Weighed) -> list[tuple[str, str]]:
    """Return headings and facts of a network: weights, memory, intensity, times, notes, uncounted operators."""
    cost = weighed.cost
    frozen = cost.params - cost.trainable_params
    live = f"{number(cost.peak_activation_bytes / MB)} MB while {cost.peak_layer or 'the network'} runs"
    if cost.workspace_bytes:
        live += f" (and {number(cost.workspace_bytes / MB)} MB for reordering where channels are not last)"
    lines = [
        ("input", f"{shape(cost.input_shape)}, batch {cost.batch}"),
        ("parameters", f"{cost.params:,}" + (f", of which {frozen:,} frozen" if frozen else "")),
        ("weights", f"{number(cost.weight_bytes / MB)} MB, and {number(cost.buffer_bytes / MB)} MB of buffers"),
        ("peak of activations", live),
    ]
    if cost.peak_training_bytes is not None:
        step = f"{number(cost.peak_training_bytes / MB)} MB, gradients included"
        if cost.training_workspace_bytes:
            step += f" (and {number(cost.training_workspace_bytes / MB)} MB for reordering where channels are last)"
        lines.append(("peak of a training step", step))
        lines.append(("MACs of a training step", f"{'≥ ' if cost.uncounted else ''}{cost.training_macs:,}"))
    least = "≥ " if cost.uncounted else ""
    lines.append(("MACs", f"{least}{cost.macs:,}"))
    lines.append(("operations", f"{least}{cost.ops:,}"))
    lines.append(("arithmetic intensity", f"{least}{cost.arithmetic_intensity:.1f} operations per byte"))
    if weighed.predicted_ms is not None:
        line = f"{least}{weighed.predicted_ms:.2f} ms on this machine as torch runs it"
        if weighed.guessed_share >= GUESSED:
            estimated = share(weighed.guessed_share)
            line += f"; {estimated} of it is an estimate: these operators lie outside the measured range"
        lines.append(("predicted", line))
    elif cost.layers:
        lines.append(("prediction", no_prediction()))
    timing = weighed.timing
    if timing:
        low, high = timing.quartiles_ms
        line = f"{timing.median_ms:.2f} ms (quartiles {low:.2f} and {high:.2f}) on {timing.engine}, {_how(timing)}"
        lines.append(("measured", line))
    lines += [("note", note) for note in cost.notes]
    uncounted = ", ".join(f"{operator} ({times}×)" for operator, times in cost.uncounted.items())
    return [*lines, ("uncounted operators", uncounted or "none")]


def _how(timing: Timing) -> str:
    """Return the conditions of a measurement."""
    threads = several(timing.threads, "thread")
    line = f"{several(timing.repeats, 'time')} after {timing.warm_up} to warm up, {threads}, batch {timing.batch}"
    return line + (f"; the machine's drift {timing.drift:.2f}" if timing.drift else "")


def no_prediction() -> str:
    """Return the reason for no prediction, and the command that makes a profile."""
    import torch  # loaded already, by weighing

    threads = torch.get_num_threads()
    make = f"pennyweight bench --machine --threads {threads}"
    return f"none, because this machine has no profile of {several(threads, 'thread')}; make one with: {make}"


EXTRA_MS = "extra ms"
LINTED: tuple[tuple[str, Callable[[Finding], Any]], ...] = (
    ("guideline", lambda finding: finding.guideline),
    ("layer or block", lambda finding: finding.name or ITSELF),
    ("found", lambda finding: finding.found),
    ("extra MB", lambda finding: finding.extra_bytes / MB),
    (EXTRA_MS, lambda finding: finding.extra_ms),
    ("what to change", lambda finding: finding.advice),
)
"""Columns of the findings; milliseconds only where this machine has a profile."""


def _print_findings(console: Console, weighed: Weighed) -> None:
    from pennyweight.cost.guidelines import FOUND  # whose room loads torch

    title = f"{weighed.name}, guidelines of ShuffleNetV2"
    if not weighed.findings:
        say(f"{title}: all are followed")
        return
    found = weighed.findings[:MOST_FINDINGS]
    columns = [(title, value) for title, value in LINTED if weighed.times or title != EXTRA_MS]
    rows = [[value(finding) for _, value in columns] for finding in found]
    more = len(weighed.findings) - len(found)
    title += f", the first {len(rows)} of {len(weighed.findings)}" if more else ""
    console.print(table(title, [Column(name) for name, _ in columns], rows))
    met = {finding.guideline for finding in weighed.findings}
    meanings = "; ".join(f"{name} {words}" for name, words in FOUND.items() if name in met)
    say(f"found: {meanings}")


MOST_WITH_NOTES = 12
"""Networks up to which each has its notes below the table."""
MOST_OF_A_NAME = 24
"""Letters of a name that a narrow table keeps in one line."""
GUESSED = 0.05
"""Least share of estimates in the predicted time that is reported."""


def comparison(networks: Sequence[Weighed]) -> list[list[str]]:
    """Return the headings, then a row of text for each network; an arrow marks the best figure of a column."""
    headings, rows = headings_and_rows(networks, Style())
    return [headings, *([_marked(cell) for cell in row] for row in rows)]


def _marked(cell: Cell) -> str:
    return f"{cell.text} ←" if cell.is_best else cell.text


def measured_how(networks: Sequence[Weighed]) -> str:
    """Return the conditions of a comparison's measurement; an empty text without one."""
    timing = networks[0].timing
    return f"measured: in turns, {_how(timing)}; medians" if timing else ""


def compared(networks: Sequence[Weighed], by: Depth | None, sort: str | None, style: Style, *, lint: bool) -> None:
    """Print a row for each network, the best of each column marked; with --by or --depth, then the rows of each."""
    console = Console()
    headings, rows = headings_and_rows(networks, style)
    has_best = [any(row[place].is_best for row in rows) for place in range(len(headings))]
    texts = [
        [_marked(cell) + "  " * (arrows and not cell.is_best) for cell, arrows in zip(row, has_best, strict=True)]
        for row in rows
    ]
    title = f"batch {networks[0].cost.batch}; ← is best"
    fitting, hidden = _without_optional([headings, *texts], console.width)
    for columns in _side_by_side(fitting, console.width):
        (heads, *cells) = zip(*columns, strict=True)
        numeric = [head not in ("network", "measured on") for head in heads]
        console.print(text_table(title, heads, cells, numeric=numeric))
    if hidden:
        say(f"a wider terminal, --csv, --markdown and --html also show: {', '.join(reversed(hidden))}")
    if how := next((measured_how([network]) for network in networks if network.timing), ""):
        say(how)
    if not any(network.times for network in networks):
        say(f"prediction: {no_prediction()}")
    say(*_conventions())
    for network in networks if len(networks) <= MOST_WITH_NOTES else ():
        for heading, words in facts(network):
            guessed = heading == "predicted" and network.guessed_share >= GUESSED
            if guessed or heading == "note" or (heading == "uncounted operators" and words != "none"):
                say(f"{network.name}: {heading}: {words}")
    if len(networks) > MOST_WITH_NOTES:
        _say_notes_in_sum(networks)
    layers = sort if sort in SORTS else None
    for network in networks:
        if by is not None and by != "total":
            console.print()
            console.print(_rows(network, by, layers, console.width))
        if lint:
            console.print()
            _print_findings(console, network)


def _say_notes_in_sum(networks: Sequence[Weighed]) -> None:
    """Print how many networks have what each would say for itself; --json has every note."""
    guessed = sum(network.guessed_share >= GUESSED for network in networks)
    uncounted = [network.name for network in networks if network.cost.uncounted]
    if guessed:
        say(f"predicted: at least {share(GUESSED)} of the time of {several(guessed, 'network')} is an estimate")
    if uncounted:
        say(f"uncounted operators, so that figures are lower bounds (≥): {', '.join(uncounted)}")
    say("notes on each network: --json")


def _without_optional(rows: Sequence[Sequence[str]], width: int) -> tuple[list[tuple[str, ...]], list[str]]:
    """Leave out optional columns until one table fits the width; return the rows and the headings left out."""
    columns, hidden = list(zip(*rows, strict=True)), []
    for heading in OPTIONAL:
        if len(_side_by_side(list(zip(*columns, strict=True)), width)) == 1:
            break
        mine = [column for column in columns if column[0].startswith(heading)]
        columns = [column for column in columns if column not in mine]
        hidden += [column[0] for column in mine]
    return list(zip(*columns, strict=True)), hidden


def _side_by_side(rows: Sequence[Sequence[str]], width: int) -> list[list[tuple[str, ...]]]:
    """Divide the columns of `rows` into tables that fit the width, each beginning with the first column."""
    first, *others = zip(*rows, strict=True)
    widths = {column: 2 + max(_longest_word(column[0]), *map(cell_len, column[1:])) for column in (first, *others)}
    widths[first] = min(widths[first], 2 + MOST_OF_A_NAME)
    tables: list[list[tuple[str, ...]]] = []
    for column in others:
        if not tables or sum(widths[one] for one in (*tables[-1], column)) > width:
            tables.append([first])
        tables[-1].append(column)
    return tables


def _longest_word(heading: str) -> int:
    """Return the width of a heading that is folded between its words."""
    return max(map(cell_len, heading.split()))
