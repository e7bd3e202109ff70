"""Chosen network of a search: trained by `fit`, exported, and timed as a bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pennyweight.runtime import Bundle
from pennyweight.search.engine_times import Conditions
from pennyweight.search.measure import INT8
from pennyweight.search.picks import Chosen
from pennyweight.verbs.bench import bench
from pennyweight.verbs.export import export
from pennyweight.verbs.fitting.pictures import fit_pictures
from pennyweight.verbs.fitting.request import FitRequest

__all__ = ["finish", "time_bundle"]

REPEATS = 40


def finish(
    name: str,
    request: FitRequest,
    folder: Path,
    conditions: Conditions | None,
    *,
    int8: bool,
    note: Callable[[str], None],
) -> Chosen:
    """Train a candidate, score it on the test split, export it, and time the bundle.

    Args:
        name: Name of the candidate.
        request: Arguments of `fit`.
        folder: Folder of the run; a run that was begun there resumes.
        conditions: Engine and settings to time the bundle with; None for another machine's.
        int8: Export an int8 bundle.
        note: Callback that is given a line about each step.
    """
    run = fit_pictures(replace(request, out=folder, resume=folder.exists()))
    note("exporting the chosen network")
    bundle = export(run, int8=int8, note=note)
    evaluation = run.evaluation
    low, high = evaluation["accuracy_interval"]
    return Chosen(
        name=name,
        run=str(folder),
        bundle=str(bundle.path),
        ms=None if conditions is None else time_bundle(bundle, conditions),
        accuracy=evaluation["accuracy"],
        accuracy_interval=(low, high),
    )


def time_bundle(bundle: Bundle, conditions: Conditions) -> float:
    """Return the median milliseconds of a call of a bundle."""
    precision = "float32" if conditions.precision == INT8 else conditions.precision
    timings = bench(
        bundle.path, engines=[conditions.engine], threads=conditions.threads, batch=conditions.batch,
        precision=precision, repeats=REPEATS, fresh=False,
    )  # fmt: skip
    return timings.rows[0].median_ms
