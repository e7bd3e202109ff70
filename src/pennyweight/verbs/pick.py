"""`pick`: the networks that keep a budget, counted, and timed on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Unpack

from pennyweight import data
from pennyweight.core.budget import LIMITS, Budget, option_of
from pennyweight.core.errors import InputError, nearest, received
from pennyweight.core.figures import number, share
from pennyweight.core.machine import cores, machine
from pennyweight.runtime.engine import USUAL, EngineChoice, require_batch
from pennyweight.search.engine_times import EngineTimes
from pennyweight.search.measure import conditions_of
from pennyweight.search.pick import REFINED_WITHIN_S, Search
from pennyweight.search.picks import Picks
from pennyweight.search.space import Candidate, candidates_of, read_space
from pennyweight.verbs.bench_engine import bench_engine
from pennyweight.verbs.fitting.arguments import refuse_unknown
from pennyweight.verbs.picking.on_source import pick_on_source
from pennyweight.verbs.picking.options import SourceOptions, SourcePick
from pennyweight.verbs.picking.view import SearchView

__all__ = ["pick"]

NAMES = {option_of(name).removeprefix("--"): name for name in LIMITS}
"""Limit as people name it -> field of the budget: size -> size_bytes."""
Note = Callable[[str], None]


def pick(
    budget: Budget | Mapping[str, Any] | None = None,
    *,
    classes: int | None = None,
    engine: str = USUAL,
    threads: int | None = None,
    batch: int = 1,
    int8: bool = False,
    space: str | os.PathLike[str] | None = None,
    device: str | os.PathLike[str] | None = None,
    seconds: float = REFINED_WITHIN_S,
    source: data.AnySource | None = None,
    minutes: float | None = None,
    note: Note = lambda line: None,
    **options: Unpack[SourceOptions],
) -> Picks:
    """Find the networks that keep a budget, the most accurate first, among about a thousand candidates.

    Parameters, MACs, memory and file size are counted. Milliseconds are predicted from bundles that are timed here
    once, in two minutes, and then measured for the best. The accuracy is ImageNet's, published or interpolated.

    With a source, candidates are tried on its pictures, and the most accurate one on held-out pictures is trained by
    `fit`, exported and timed. The same call resumes.

    Args:
        budget: Budget, or mapping of limits such as `{"ms": 8, "params": "4M", "size": "4MB"}`; None for no limit.
        classes: Classes of the head; by default the 1,000 of ImageNet.
        engine: Engine that executes the bundle: "onnxruntime" or "openvino".
        threads: Threads of one call; by default one for each core that the process may use.
        batch: Pictures in one call, at least 1.
        int8: Compare int8 bundles.
        space: TOML file with other candidates.
        device: Profile that `pennyweight bench --machine --out FILE` wrote on another machine: times are predicted.
        seconds: Seconds after which no further candidates are timed; 0 leaves every time predicted.
        source: Pictures, as `fit` takes them.
        minutes: Minutes for all that is done with the source, from 1.
        note: Callback that is given a line before long work, and about what was left out.
        **options: Rarer ones, with a source. `out`: folder of the search; by default one in runs/ that the same call
            finds again. `weights`: file or folder of first weights; "none" trains from scratch; by default those in the
            cache. `seed`: of every training. `storage`: journal file, or address of a database, that workers share.
            `group_by` and `read_as`: as `data.open` takes them. `progress`, also without a source: show a live table.

    Returns:
        Every candidate with its figures: `best`, `fitting`, `front` and `table`; where nothing fits, `nearest`.

    Raises:
        InputError: A limit, the space or a setting cannot be used.
        MissingPart: The engine is not installed.
        PennyweightError: The profile cannot be read, or the source cannot be used.
    """
    limits, on_source = _budget(budget), _on_source(source, minutes, classes, options)
    _require_numbers(classes, batch, seconds)
    candidates = _candidates(space)
    times = _times(engine, threads, batch, int8, on_source, note) if device is None else _of_device(Path(device), note)
    if on_source is not None:
        return pick_on_source(on_source, limits, times, space, note)
    with SearchView(note, total=len(candidates), shown=options.get("progress", True)) as view:
        search = Search.count(candidates, times, limits, classes=classes, note=view.note, advance=view.counted)
        _refine(search, seconds, view)
    return search.picks(_notes(search, classes))


def _refine(search: Search, seconds: float, view: SearchView) -> None:
    """Time the candidates near the limits on this machine, and keep what was learned of its engine."""
    if seconds and search.times.machine == machine():
        view.until(time.monotonic() + seconds)
        search.refine(within_s=seconds, note=view.note, watch=view.timed)
        if search.measured:
            search.times.save()


def _candidates(space: str | os.PathLike[str] | None) -> list[Candidate]:
    """Return the candidates of a space. Raises InputError, which names the file, for one that cannot be used."""
    tables = read_space(space)
    try:
        return candidates_of(tables)
    except InputError as error:
        raise InputError(f"--space {space}: {error}") from error


def _budget(given: Budget | Mapping[str, Any] | None) -> Budget:
    """Return a budget from what a caller gives. Raises InputError for an unknown limit."""
    if given is None or isinstance(given, Budget):
        return given or Budget()
    if not isinstance(given, Mapping):
        raise InputError(f"a budget is a mapping of limits such as {{'ms': 8}}, not {received(given)}")
    for name in given:
        if name not in NAMES and name not in LIMITS:
            hint = nearest(str(name), NAMES, otherwise=f"; there are {', '.join(NAMES)}")
            raise InputError(f"no limit is called '{name}'{hint}")
    return Budget.parse(**{NAMES.get(name, name): value for name, value in given.items()})


def _on_source(
    source: data.AnySource | None, minutes: float | None, classes: int | None, options: SourceOptions
) -> SourcePick | None:
    """Return the settings of a search on pictures; None without a source. Raises InputError for half of them."""
    refuse_unknown(options, pick, SourceOptions.__annotations__)
    if source is None:
        if given := ["minutes"] * (minutes is not None) + [name for name in options if name != "progress"]:
            raise InputError(f"{given[0]} needs a source: its pictures decide which candidate is trained")
        return None
    if minutes is None:
        raise InputError("pick with a source needs minutes, such as --minutes 15: candidates are trained in them")
    if classes is not None:
        raise InputError("classes are those of the source; leave --classes out")
    return SourcePick(source=source, minutes=minutes, **options)


def _require_numbers(classes: int | None, batch: int, seconds: float) -> None:
    if classes is not None and (isinstance(classes, bool) or not isinstance(classes, int) or classes < 1):
        raise InputError(f"classes must be a whole number from 1, not {received(classes)}")
    require_batch(batch)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
        raise InputError(f"seconds must be a number from 0, not {received(seconds)}")


def _times(
    engine: str, threads: int | None, batch: int, int8: bool, on_source: SourcePick | None, note: Note
) -> EngineTimes:
    """Return the engine's times on this machine, measured where none are kept."""
    choice = EngineChoice(engine, threads=threads)
    conditions = conditions_of(choice, threads=threads or cores(), batch=batch, int8=int8)
    known = EngineTimes.load(conditions)
    if known is None and on_source is not None:
        note(f"the {on_source.minutes:g} minutes begin after the first measurement of the engine, about two minutes")
    return known or bench_engine(choice.name, threads=threads, batch=batch, int8=int8, note=note)


def _of_device(path: Path, note: Note) -> EngineTimes:
    times = EngineTimes.read(path)
    note(f"predicting for {times.machine.get('processor')}, {times.conditions}, as {path} has them")
    return times


def _notes(search: Search, classes: int | None) -> list[str]:
    """Return what a reader must know of the figures."""
    notes = [
        f"milliseconds with ≈ are predicted: half of {number(len(search.times.rows))} networks within "
        f"{share(search.times.median_error)}, 95% within {share(search.times.error)}; measured ones repeat within a "
        "few percent on a quiet machine",
        f"accuracy: top-1 on ImageNet, published or interpolated (≈, 95% within {share(search.priors.error)}), not on "
        "your pictures",
    ]
    if classes is None:
        notes.append("parameters and sizes are those with 1,000 classes; a head for fewer classes is smaller")
    return notes
