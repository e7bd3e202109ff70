"""`bench`: engines on networks, side by side; and with --machine, what this machine can do."""

# No `from __future__ import annotations`: Typer reads the annotations.

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pennyweight.cli import engine_options, options, show, show_machine, show_timings, trained_options
from pennyweight.cli.help import DATA, EXECUTION, MEASUREMENT, OUTPUT
from pennyweight.cli.options import option
from pennyweight.core.errors import InputError
from pennyweight.core.files import require_new, write_text

__all__ = ["bench"]

Networks = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUN_OR_BUNDLE_OR_NAME]...", help="Bundles, runs and names of networks to time."),
]
Engines = Annotated[
    str | None,
    option(
        EXECUTION,
        "Engines, joined by commas: onnxruntime, openvino, and for runs and names torch, torch-compiled. By default "
        "all that are installed, without torch-compiled.",
        "--engines",
        "--engine",
        metavar="NAMES",
    ),
]
Threads = Annotated[
    str | None,
    option(EXECUTION, "Threads of one call, such as 1,2; by default one for each core.", metavar="NUMBERS"),
]
Batch = Annotated[
    str | None, option(EXECUTION, "Pictures in one call, such as 1,8,32; by default 1.", metavar="NUMBERS")
]
Source = Annotated[
    str | None,
    option(
        DATA,
        "Pictures on which answers are compared; by default some under $PENNYWEIGHT_DATA, else seeded noise.",
        metavar="SOURCE",
    ),
]
Repeats = Annotated[int | None, option(MEASUREMENT, "Timed calls of each engine; by default 30.", metavar="N", min=2)]
Machine = Annotated[
    bool,
    option(
        MEASUREMENT, "Measure this machine: peak rates, bandwidths, overhead, operators of many sizes.", "--machine"
    ),
]
Share = Annotated[
    float | None,
    option(
        MEASUREMENT,
        "Share of the sizes that --machine times; a smaller share takes less time and is less exact.",
        metavar="X",
        min=0.01,
        max=1.0,
    ),
]
Anyway = Annotated[
    bool, option(MEASUREMENT, "Keep the profile of a busy --machine too; `weigh` then warns of it.", "--anyway")
]
Out = Annotated[
    Path | None,
    option(
        MEASUREMENT,
        "Time bundles on an engine of this --machine instead, and write the profile that `pick --device` reads.",
        metavar="FILE",
    ),
]
Csv = Annotated[bool, option(OUTPUT, "Print the rows as comma-separated values.", "--csv")]
Html = Annotated[Path | None, option(OUTPUT, "Page to write.", metavar="FILE")]


def bench(
    networks: Networks = None,
    engines: Engines = None,
    threads: Threads = None,
    batch: Batch = None,
    precision: engine_options.Precision = None,
    weights: trained_options.Weights = None,
    source: Source = None,
    repeats: Repeats = None,
    machine: Machine = False,
    share: Share = None,
    anyway: Anyway = False,
    out: Out = None,
    json: options.Json = False,
    csv: Csv = False,
    html: Html = None,
) -> None:
    """Time engines on networks side by side: latency, throughput, time to ready, memory, and equality of answers.

    With --machine, measure this machine once, in a few minutes, so that `weigh` can predict milliseconds.
    """
    for_networks = {"engines": engines, "batch": batch, "precision": precision, "weights": weights, "source": source,
        "repeats": repeats, "csv": csv, "html": html}  # fmt: skip
    of_machine = {"share": share, "anyway": anyway, "out": out}
    if machine:
        _bench_machine(networks, _numbers(threads, "--threads"), for_networks, of_machine, json=json)
        return
    _refuse(of_machine, "belongs to --machine")
    if not networks:
        raise InputError(
            "say what to time: a bundle, a run or a network's name; `pennyweight bench --machine` measures this machine"
        )
    if json and csv:
        raise InputError("--json and --csv were both given; keep one")
    if html is not None:
        require_new(html)
    from pennyweight.verbs.bench import REPEATS
    from pennyweight.verbs.bench import bench as verb

    timings = verb(
        networks,
        engines=None if engines is None else engines.split(","),
        threads=_numbers(threads, "--threads"),
        batch=_numbers(batch, "--batch"),
        precision=precision,
        weights=weights,
        source=source,
        repeats=repeats or REPEATS,
        note=show.note,
    )
    if html is not None:
        from pennyweight.report.timings_page import timings_page

        write_text(html, timings_page([asdict(row) for row in timings.rows], timings.conditions))
        show.written(html)
    show_timings.timings(timings, json=json, csv=csv)


def _refuse(given: Mapping[str, object], why: str) -> None:
    """Raise InputError for an option that the other measurement has."""
    for name, value in given.items():
        if value not in (None, False):
            raise InputError(f"--{name} {why}")


def _numbers(text: str | None, name: str) -> list[int] | None:
    """Parse "1,2". Raises InputError."""
    try:
        return None if text is None else [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"{name} '{text}' is not whole numbers joined by commas, such as 1,2") from error


def _bench_machine(
    networks: list[str] | None, threads: list[int] | None, for_networks: Mapping[str, Any],
    of_machine: Mapping[str, Any], *, json: bool,
) -> None:  # fmt: skip
    """Measure the machine, or with --out an engine on it. Raises InputError for options of the other measurements."""
    if networks:
        raise InputError(f"--machine measures this machine alone; leave {networks[0]} out, or --machine")
    out = of_machine["out"]
    if out is None:
        _refuse(for_networks, "belongs to networks; leave it out with --machine")
        _measure_machine(threads, of_machine["share"] or 1.0, anyway=of_machine["anyway"], json=json)
        return
    others = {name: value for name, value in for_networks.items() if name not in ("engines", "batch")}
    _refuse({**others, "share": of_machine["share"], "anyway": of_machine["anyway"]}, "does not go with --out")
    batch = _numbers(for_networks["batch"], "--batch")
    _measure_engine(out, for_networks["engines"], threads, batch, json=json)


def _measure_engine(
    out: Path, engines: str | None, threads: list[int] | None, batch: list[int] | None, *, json: bool
) -> None:
    """Time bundles on an engine, write the profile, and print it."""
    from pennyweight.runtime.engine import USUAL
    from pennyweight.verbs.bench_engine import bench_engine

    for name, several in (("--threads", threads), ("--batch", batch)):
        if several is not None and len(several) > 1:
            raise InputError(f"--out takes one number of {name}, not {len(several)}")
    times = bench_engine(
        engines or USUAL, threads=threads[0] if threads else None, batch=batch[0] if batch else 1, out=out,
        note=show.note,
    )  # fmt: skip
    if json:
        show.as_json(times.to_dict())
        return
    show.facts(tuple(times.facts()))
    show.written(out)


def _measure_machine(threads: list[int] | None, share: float, *, anyway: bool, json: bool) -> None:
    """Measure the machine, and print its profile."""
    if threads is not None and len(threads) > 1:
        raise InputError(f"--machine takes one number of --threads, not {len(threads)}")
    from pennyweight.cost.timing.machine_profile import profile_path
    from pennyweight.verbs.bench_machine import bench_machine

    profile = bench_machine(threads=threads[0] if threads else None, share=share, anyway=anyway)
    path = profile_path(profile.threads)
    if not json:
        show_machine.machine_profile(profile, str(path))
        return
    found: dict[str, Any] = {
        "left_out_error": {kind: learned.error for kind, learned in profile.times.items()},
        "over_limits": dict(profile.factors),
        "agreement": profile.agreement and {**asdict(profile.agreement), "holds": profile.agreement.holds},
    }
    show.as_json({**profile.about(), "limits": profile.limits.to_dict(), **found, "path": str(path)})
