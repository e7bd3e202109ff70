"""`pick`: the networks that keep a budget on this machine."""

# No `from __future__ import annotations`: Typer reads the annotations.

from pathlib import Path
from typing import Annotated, Any

import typer

from pennyweight.cli import engine_options, options, show, show_picks, source_options
from pennyweight.cli.help import EXECUTION, NETWORK, OUTPUT, TIME, TRAINING
from pennyweight.cli.options import option
from pennyweight.core.errors import InputError
from pennyweight.core.files import require_new, write_text

__all__ = ["pick"]

Source = Annotated[
    str | None,
    typer.Argument(
        metavar="[SOURCE]",
        help="Pictures on which candidates are tried, as `fit` takes them; without them costs and published accuracy "
        "are compared.",
    ),
]
Weights = Annotated[
    str | None,
    option(
        TRAINING,
        "First weights of candidates: a file, a folder of files, or none; by default the published ones in the cache.",
        metavar="WEIGHTS",
    ),
]
Minutes = Annotated[
    float | None,
    option(TIME, "Try candidates, and train and export the chosen one, within M minutes.", metavar="M"),
]
Out = Annotated[
    Path | None,
    option(
        OUTPUT, "Folder of the search; by default one in runs/ that the same command finds again.", metavar="FOLDER"
    ),
]
Storage = Annotated[
    str | None,
    option(
        EXECUTION,
        "Journal file, or address of a database, that several workers of the same command share.",
        metavar="PLACE",
    ),
]
Ms = Annotated[str | None, option(NETWORK, "Most milliseconds of one call, such as 8 or 8ms.", metavar="MS")]
Params = Annotated[str | None, option(NETWORK, "Most parameters, such as 4M.", metavar="COUNT")]
Size = Annotated[str | None, option(NETWORK, "Largest bundle, such as 4MB.", metavar="SIZE")]
Memory = Annotated[str | None, option(NETWORK, "Most memory of weights and activations, such as 20MB.", metavar="SIZE")]
Macs = Annotated[str | None, option(NETWORK, "Most multiply-accumulates, such as 300M.", metavar="COUNT")]
Accuracy = Annotated[
    str | None, option(NETWORK, "Least accuracy on ImageNet, such as 70%, published or interpolated.", metavar="SHARE")
]
Classes = Annotated[
    int | None, option(NETWORK, "Classes of the head; by default the 1,000 of ImageNet.", metavar="N", min=1)
]
Space = Annotated[Path | None, option(NETWORK, "TOML file with other candidates.", metavar="FILE")]
Engine = Annotated[
    str | None, option(EXECUTION, "Engine of the bundle: onnxruntime (the default) or openvino.", metavar="ENGINE")
]
Batch = Annotated[int, option(EXECUTION, "Pictures in one call.", metavar="N", min=1)]
Int8 = Annotated[bool, option(EXECUTION, "Compare int8 bundles.", "--int8")]
Device = Annotated[
    Path | None,
    option(EXECUTION, "Profile of another machine, which `bench --machine --out FILE` wrote there.", metavar="FILE"),
]
Html = Annotated[Path | None, option(OUTPUT, "Page of the search to write.", metavar="FILE")]
Seconds = Annotated[
    float, option(TIME, "Seconds after which no further candidates are timed; 0 predicts all.", metavar="S", min=0)
]


def pick(
    source: Source = None,
    group_by: source_options.GroupBy = None,
    ms: Ms = None,
    params: Params = None,
    size: Size = None,
    memory: Memory = None,
    macs: Macs = None,
    accuracy: Accuracy = None,
    classes: Classes = None,
    space: Space = None,
    engine: Engine = None,
    threads: engine_options.Threads = None,
    batch: Batch = 1,
    int8: Int8 = False,
    device: Device = None,
    storage: Storage = None,
    weights: Weights = None,
    seed: options.Seed = 0,
    seconds: Seconds = 25.0,
    minutes: Minutes = None,
    out: Out = None,
    html: Html = None,
    json: options.Json = False,
) -> None:
    """Find the networks that keep a budget on this machine, the most accurate first, among a thousand candidates.

    Costs are counted; milliseconds are predicted from bundles that are timed here once, and measured for the best. With
    pictures, the best candidates are tried on them within --minutes, and the chosen one is trained, exported and timed.
    """
    limits = {"ms": ms, "params": params, "size": size, "memory": memory, "macs": macs, "accuracy": accuracy}
    if device is not None and (engine, threads) != (None, None):
        raise InputError("--device has an engine and its threads; leave --engine and --threads out")
    if html is not None:
        require_new(html)
    given: dict[str, Any] = {"out": out, "weights": weights, "seed": seed or None, "storage": storage,
                             "group_by": group_by}  # fmt: skip
    from pennyweight.verbs.pick import pick as verb

    found = verb(
        {name: limit for name, limit in limits.items() if limit is not None},
        classes=classes,
        engine=engine or "onnxruntime",
        threads=threads,
        batch=batch,
        int8=int8,
        space=space,
        device=device,
        seconds=seconds,
        source=source,
        minutes=minutes,
        **{name: value for name, value in given.items() if value is not None},
        note=show.note,
    )
    if html is not None:
        _write(found, html)
    show_picks.picks(found, as_json=json)
    if found.best is None:
        raise typer.Exit(1)


def _write(found: Any, html: Path) -> None:
    """Write the page of a search."""
    from pennyweight.search.report import report_of

    write_text(html, report_of(found))
    show.written(html)
