"""Predictions in a folder of parts, as `predict --parts` writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennyweight.cli import engine_options, show
from pennyweight.cli.opening import open_trained
from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.errors import InputError
from pennyweight.core.figures import duration, number, several
from pennyweight.core.reasons import few

if TYPE_CHECKING:
    from pennyweight.verbs.execution import Execution

__all__ = ["predict_in_parts", "require_parts"]


LISTED = ", for each of which the parts have a row"


def require_parts(parts: Path | None, settings: Mapping[str, object], others: Mapping[str, object]) -> None:
    """Raise InputError for settings of parts without --parts, and for another output in addition to it."""
    spelled = {name: f"--{name.replace('_', '-')}" for name in (*settings, *others)}
    if parts is None:
        for name, value in settings.items():
            if value is not None:
                raise InputError(f"{spelled[name]} belongs to --parts; name its folder, or leave {spelled[name]} out")
    elif given := next((name for name, value in others.items() if value), None):
        raise InputError(f"--parts and {spelled[given]} are two outputs; keep one")


def predict_in_parts(
    named: str,
    paths: Sequence[str],
    parts: Path,
    settings: Mapping[str, Any],
    execution: Execution,
    *,
    weights: str | None,
    usage: Mapping[str, Any],
) -> int:
    """Write the parts, count them on standard error, and return status 1 if a picture has no prediction."""
    from pennyweight.report.progress_bar import CountProgress
    from pennyweight.verbs.inputs import count_pictures
    from pennyweight.verbs.predict_parts import predict_parts

    trained = open_trained(named, weights, execution, **usage)
    if engine_options.settings_for(trained, execution) and execution.engine is not None:
        raise InputError(
            f"--parts with --engine {execution.engine} takes a bundle; export {named}, or leave --engine out"
        )
    settings = {name: value for name, value in settings.items() if value is not None}
    with sharing_cores(), CountProgress("predict", lambda: count_pictures(paths)) as progress:

        def advance(pictures: int) -> None:
            for _ in range(pictures):
                progress.advance()

        done = predict_parts(trained, paths, parts, note=show.note, progress=advance, **settings)
    for line in done.failed.lines("cannot read ", one=""):
        show.failure(line)
    if done.failed_before.count:
        again = f"remove {few(done.failed_parts, 3)} to have them answered again"
        show.failure(f"of the pictures answered before, {done.failed_before.in_words}; {again}")
    if done.least_typical is not None and done.expected is not None:
        show.strangers(done.strange, done.measured, done.least_typical, done.expected)
    rate = f", {done.pictures / progress.seconds:,.0f} a second" if done.pictures and progress.seconds > 0 else ""
    kept = f"; {number(done.kept)} were answered before, or by other processes" if done.kept else ""
    all_of_them, failed = several(done.pictures, "picture"), done.failed
    answered = f"{number(done.pictures - failed.count)} of {all_of_them}" if failed.count else all_of_them
    without = f"; {failed.in_words}{'' if failed.shown else LISTED}" if failed.count else ""
    show.note(
        f"{answered} answered in {duration(progress.seconds)}{rate}{without}{kept}; "
        f"{several(done.parts, 'part')} in {parts}"
    )
    return int(done.failed.count + done.failed_before.count > 0)
