"""`predict_parts`: predictions of many pictures in a folder of parts, by any number of processes, resumable."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack, get_args

from pennyweight import data
from pennyweight.core.errors import InputError
from pennyweight.core.figures import number, several
from pennyweight.core.files import sha256
from pennyweight.core.reasons import Reasons
from pennyweight.core.strangers import StrangerRule
from pennyweight.core.summary import Facts, Summary
from pennyweight.core.typicality import HeldOut
from pennyweight.core.usage import Usage
from pennyweight.report.prediction_files import Format
from pennyweight.runtime import Bundle
from pennyweight.verbs.execution import FLOAT32
from pennyweight.verbs.inputs import LIST, require_table
from pennyweight.verbs.load import Trained, open_trained
from pennyweight.verbs.parts.filling import Finished, Plan, fill
from pennyweight.verbs.parts.folder import PartsFolder
from pennyweight.verbs.parts.workers import fill_by_workers

__all__ = ["PART_SIZE", "Parts", "predict_parts"]

PART_SIZE = 1000
"""Pictures in a part, after which a kill loses nothing."""


@dataclass(repr=False)
class Parts(Summary):
    """Result of `predict_parts`: the counts of this process and its workers."""

    folder: Path
    parts: int = 0
    """Number of parts, all of them complete."""
    pictures: int = 0
    """Pictures that were looked at now, failures included."""
    kept: int = 0
    """Pictures of parts that were complete before, or that other processes answered."""
    failed: Reasons = field(default_factory=Reasons)
    """Reasons of the pictures that have no prediction now: they could not be read, or the rule refuses them."""
    refused: int = 0
    """Pictures of these that the rule refuses."""
    failed_before: Reasons = field(default_factory=Reasons)
    """Reasons of the kept pictures that have no prediction."""
    failed_parts: list[str] = field(default_factory=list)
    """Names of the parts that have such pictures."""
    strange: int = 0
    """Pictures that were read now and are unlike anything the network was taught."""
    least_typical: float | None = None
    """Largest `typical` of these; None for a network that does not know."""
    expected: float | None = None
    """Share of own pictures that are so as well; None for a network that does not know."""

    @property
    def measured(self) -> int:
        """Pictures that were compared with what the network was taught."""
        return self.pictures - self.failed.count + self.refused

    def add(self, part: Finished) -> None:
        """Count a complete part."""
        self.parts += 1
        if part.made:
            self.pictures += part.pictures
            self.kept += part.kept
            self.strange += part.strange
            self.refused += part.refused
        else:
            self.kept += part.pictures
            self.failed_parts += [f"part-{part.part:05}"] * bool(part.failures)
        for source, error in part.failures:
            (self.failed if part.made else self.failed_before).add(source, error)

    def _facts(self) -> Facts:
        yield "folder", str(self.folder)
        yield "", several(self.parts, "part")
        answered = several(self.pictures - self.failed.count, "picture")
        yield "", f"{answered} answered, {number(self.kept)} kept"
        if self.failed.count:
            yield "", self.failed.in_words
        if self.failed_before.count:
            yield "", f"of those kept {self.failed_before.in_words}"
        if self.strange:
            yield "", f"{number(self.strange)} unlike training"


def predict_parts(
    run_or_bundle_or_name: str | os.PathLike[str] | Trained,
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    parts: str | os.PathLike[str],
    *,
    format: Format = "jsonl",
    part_size: int = PART_SIZE,
    top: int = 5,
    weights: str | os.PathLike[str] | None = None,
    read_as: data.ReadAs | Mapping[str, Any] | None = None,
    max_pixels: int | None = None,
    strangers: str | StrangerRule = "flag",
    workers: int | None = None,
    note: Callable[[str], None] = lambda line: None,
    progress: Callable[[int], None] = lambda pictures: None,
    **usage: Unpack[Usage],
) -> Parts:
    """Classify the pictures at `paths`, and write a file with the predictions of each `part_size` pictures.

    Any number of processes may make the same call: each takes the next part that no other process works on. After a
    kill, the same call makes the missing parts, and asks again for pictures that changed or whose server had failed.

    Args:
        run_or_bundle_or_name: Anything that `pw.load` takes.
        paths: Paths or addresses as `pw.predict` takes them, without "-". A streamed shard is a part of its own.
        parts: Folder of the parts: new, or of the same call.
        format: "jsonl" or "parquet": source, label, probability, the `top` labels and probabilities, typical, error.
        part_size: Pictures in a part, but for shards.
        top: Labels of each prediction, at most.
        weights: Weights for a name, as `pw.load` takes them.
        read_as: Columns, folder and ending of a table, and `fetch` for addresses in it.
        max_pixels: Pixels of the largest picture to read; by default 80 million.
        strangers: Rule for strangers, "flag", "refuse" or "ignore", or a StrangerRule with its `least_typical`.
        workers: Processes to start, each with one core; by default this process works, with all its cores.
        note: Callback that is given a line about files that were skipped, or have changed.
        progress: Callback that is given the number of pictures of each part when it is complete.
        usage: Usage of the weights, as `pw.load` takes it.

    Returns:
        The counts of this process and its workers.

    Raises:
        InputError: A setting is out of range or cannot be followed, or the folder holds parts of another question.
        RunError: A complete part is damaged, or lists other pictures; or all workers were killed.
    """
    given = _checked(paths, format, part_size, top, workers)
    trained = open_trained(run_or_bundle_or_name, weights, **usage)
    how = data.ReadAs.of(read_as)
    require_table(given, how)
    rule = StrangerRule(strangers) if isinstance(strangers, str) else strangers
    done, folder = _empty(Path(parts), rule, trained), PartsFolder(Path(parts), format)
    plan = Plan(trained, folder, given, part_size, top, how, max_pixels, rule, folder.stamps())
    folder.open_job({"network": _identity(trained), **plan.settings()})

    def finished(part: Finished) -> None:
        done.add(part)
        progress(part.pictures + part.kept)

    fill(plan, note, finished) if workers is None else fill_by_workers(workers, plan, note, finished)
    return done


def _checked(paths: Any, format: str, part_size: int, top: int, workers: int | None) -> list[str]:
    """Return the paths as text. Raises InputError for settings that are out of range."""
    if format not in get_args(Format):
        raise InputError(f"format must be {' or '.join(get_args(Format))}, not {format!r}")
    if part_size < 1 or top < 1:
        raise InputError(f"part_size and top must be at least 1, not {part_size} and {top}")
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, not {workers}; leave it out for this process alone")
    given = [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    if LIST in given:
        raise InputError(
            "parts are resumed by listing the pictures again, and standard input is read once; give a table"
        )
    return given


def _empty(folder: Path, rule: StrangerRule, trained: Any) -> Parts:
    """Return the counts before any part, with the limit of the rule for a network that knows how typical a picture is.

    Raises InputError where the network cannot follow the rule.
    """
    held_out: HeldOut | None
    if isinstance(trained, Bundle):
        held_out = trained.manifest.held_out
    else:
        held_out = (getattr(trained, "typicality", None) or (None, None))[1]
    rule.require(held_out)
    if held_out is None:
        return Parts(folder)
    least = rule.limit(held_out)
    return Parts(folder, least_typical=least, expected=held_out.expected(least))


def _identity(trained: Any) -> str:
    """Return text that tells one network from another."""
    file = trained.path if isinstance(trained, Bundle) else getattr(trained, "weights_path", None)
    if file is None:
        return f"{trained.model['name']} with weights {trained.weights}"
    precision = trained.using.precision if isinstance(trained, Bundle) else FLOAT32
    return f"sha256:{sha256(Path(file))}{'' if precision == FLOAT32 else f' in {precision}'}"
