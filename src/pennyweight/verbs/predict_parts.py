"""`predict_parts`: predictions of many pictures in a folder of parts, by any number of processes, resumable."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Unpack, get_args

from pennyweight import data
from pennyweight.core.errors import InputError, RunError
from pennyweight.core.figures import number, several
from pennyweight.core.files import atomic, clear_left_overs, read_json, sha256, write_json
from pennyweight.core.locks import locked
from pennyweight.core.prediction import Failure, Prediction
from pennyweight.core.reasons import Reasons
from pennyweight.core.summary import Facts, Summary
from pennyweight.core.usage import Usage
from pennyweight.report.prediction_files import Format, as_utf8, sources_of, write_answers
from pennyweight.runtime import Bundle, Classifier, NamedPicture
from pennyweight.verbs.execution import FLOAT32
from pennyweight.verbs.inputs import LIST, pictures_given
from pennyweight.verbs.load import Trained, load, open_trained

Picture = NamedPicture | Failure

__all__ = ["PART_SIZE", "Parts", "predict_parts"]

PART_SIZE = 1000
"""Pictures in a part, after which a kill loses nothing."""
JOB = "job.json"
JOB_LOCK = ".job.lock"
CHANGED = (
    "has the predictions of other pictures: files were added, removed or renamed since; name another folder for the "
    "pictures that are there now"
)
POLL_SECONDS = 0.5
"""Seconds between two looks at the parts that other processes work on."""


@dataclass(repr=False)
class Parts(Summary):
    """Result of `predict_parts`, as this process saw it."""

    folder: Path
    parts: int = 0
    """Number of parts, all of them complete."""
    pictures: int = 0
    """Pictures that this process answered, failures included."""
    kept: int = 0
    """Pictures of parts that were complete before, or that other processes answered."""
    failed: Reasons = field(default_factory=Reasons)
    """Reasons of the pictures that this process could not read."""

    def _facts(self) -> Facts:
        yield "folder", str(self.folder)
        yield "", several(self.parts, "part")
        yield "", f"{several(self.pictures, 'picture')} answered, {number(self.kept)} kept"
        if self.failed.count:
            yield "", f"{number(self.failed.count)} could not be read"


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
    note: Callable[[str], None] = lambda line: None,
    progress: Callable[[int], None] = lambda pictures: None,
    **usage: Unpack[Usage],
) -> Parts:
    """Classify the pictures that paths stand for, and write a file for each `part_size` of them.

    Any number of processes may make the same call: each takes the next part that no other works on. After a kill, the
    same call makes the missing parts. The folder's job.json holds network, paths and settings; a call with others is
    refused. So is a folder whose parts list other names than the paths do now; contents are not compared.

    Args:
        run_or_bundle_or_name: Anything that `pw.load` takes.
        paths: Picture files, folders, archives or tables, one or many, as `pw.predict` takes them; no list on standard
            input.
        parts: Folder of the parts: new, or of the same call.
        format: "jsonl" or "parquet": source, label, probability, the `top` labels and probabilities, error.
        part_size: Pictures in a part.
        top: Labels of each prediction, at most.
        weights: Weights for a name, as `pw.load` takes them.
        read_as: Columns, folder and ending of a table.
        max_pixels: Pixels of the largest picture to read; by default 80 million.
        note: Callback that is given a line for files that were passed over.
        progress: Callback that is given the number of pictures of each part when it is complete.
        usage: Usage of the weights, as `pw.load` takes it.

    Returns:
        The counts of this process.

    Raises:
        InputError: A setting is out of range, or the folder holds another job.
        RunError: A complete part is damaged, or lists other pictures.
    """
    given = _checked(paths, format, part_size, top)
    trained = open_trained(run_or_bundle_or_name, weights, **usage)
    folder = Path(parts)
    asked = {
        "paths": [as_utf8(str(Path(path).absolute())) for path in given],
        "read_as": data.ReadAs.of(read_as).to_dict(),
        "top": top,
        "max_pixels": max_pixels,
    }
    _open_job(folder, {"network": _identity(trained), **asked, "format": format, "part_size": part_size})
    work = _Work(load(trained, max_pixels=max_pixels), folder, format, top, Parts(folder), progress)
    while waiting := work.go_through(_groups(pictures_given(given, note, read_as=read_as), part_size)):
        note = _silent
        while all(work.is_taken(part) for part in waiting):
            time.sleep(POLL_SECONDS)
    work.close()
    return work.done


def _checked(paths: Any, format: str, part_size: int, top: int) -> list[str]:
    """Return the paths as text. Raises InputError for settings that are out of range."""
    if format not in get_args(Format):
        raise InputError(f"format must be {' or '.join(get_args(Format))}, not {format!r}")
    if part_size < 1 or top < 1:
        raise InputError(f"part_size and top must be at least 1, not {part_size} and {top}")
    given = [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    if LIST in given:
        raise InputError("parts are resumed by listing the pictures again, and standard input is read once; give paths")
    return given


def _silent(line: str) -> None:
    """Ignore a line: the first listing has said it."""


class _Work:
    """Parts of one folder, and the classifier that fills them."""

    def __init__(
        self, classifier: Classifier, folder: Path, form: Format, top: int, done: Parts, progress: Callable[[int], None]
    ) -> None:
        self.classifier, self.folder, self.form, self.top, self.done = classifier, folder, form, top, done
        self.progress = progress
        self.checked: set[int] = set()

    def go_through(self, groups: Iterable[Iterator[Picture]]) -> list[int]:
        """Finish the parts in turn; return those that other processes work on."""
        return [part for part, pictures in enumerate(groups) if not self.finish(part, pictures)]

    def finish(self, part: int, pictures: Iterator[Picture]) -> bool:
        """Write a part unless it is complete; return False if another process works on it."""
        if part in self.checked:
            return True
        path = self._path(part)
        if path.exists():
            self._keep(path, pictures)
        else:
            with locked(self._lock(part), wait=False) as held:
                if not held:
                    return False
                if path.exists():  # another process has finished it meanwhile
                    self._keep(path, pictures)
                else:
                    self._write(path, pictures)
        self.checked.add(part)
        self.done.parts = len(self.checked)
        return True

    def is_taken(self, part: int) -> bool:
        """Return True while another process works on a part that is not complete."""
        if self._path(part).exists():
            return False
        with locked(self._lock(part), wait=False) as held:
            return not held

    def close(self) -> None:
        """Remove the locks, also of killed processes. Raises RunError for parts beyond the last one."""
        parts = {self._path(part) for part in self.checked}
        if more := sorted({*self.folder.glob(f"part-*.{self.form}")} - parts):
            raise RunError(f"{more[0]} {CHANGED}")
        for lock in (self.folder / JOB_LOCK, *self.folder.glob(".part-*.lock")):
            lock.unlink(missing_ok=True)

    def _keep(self, path: Path, pictures: Iterator[Picture]) -> None:
        kept = _require_same(path, self.form, pictures)
        self.done.kept += kept
        self.progress(kept)

    def _write(self, path: Path, pictures: Iterator[Picture]) -> None:
        clear_left_overs(self.folder, of=path.name)
        answers: list[Prediction | Failure] = list(self.classifier.stream_named(pictures, self.top))
        with atomic(path) as temporary:
            write_answers(temporary, answers, self.form)
        for answer in answers:
            if isinstance(answer, Failure):
                self.done.failed.add(answer.source, answer.error)
        self.done.pictures += len(answers)
        self.progress(len(answers))

    def _path(self, part: int) -> Path:
        return self.folder / f"part-{part:05}.{self.form}"

    def _lock(self, part: int) -> Path:
        return self.folder / f".part-{part:05}.lock"


def _groups(listed: Iterable[Picture], size: int) -> Iterator[Iterator[Picture]]:
    """Yield an iterator for each part, so that no part's files are in memory together; pass over what is left of it."""
    waiting = iter(listed)
    for first in waiting:
        group = chain([first], islice(waiting, size - 1))
        yield group
        for _ in group:
            pass


def _require_same(path: Path, form: Format, pictures: Iterable[Picture]) -> int:
    """Return the number of pictures of a complete part. Raises RunError if it is of other pictures."""
    found = sources_of(path, form)
    if found != [as_utf8(each.source) for each in pictures]:
        raise RunError(f"{path} {CHANGED}")
    return len(found)


def _open_job(folder: Path, job: Mapping[str, Any]) -> None:
    """Make the folder with its job, or check that it has the same one."""
    file = folder / JOB
    if not file.exists() and (folder.is_file() or (folder.is_dir() and not _is_own(folder))):
        what = "has other files" if folder.is_dir() else "is a file"
        raise InputError(f"{folder} {what}; name a new folder, or that of the same predictions")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / JOB_LOCK):
        if not file.exists():
            write_json(file, job)
            return
    kept = read_json(file)
    if changed := [name for name in job if kept.get(name) != job[name]]:
        name = changed[0]
        raise InputError(
            f"{folder} holds predictions with another {name} ({kept.get(name)!r}, now {job[name]!r}); name a new folder"
        )


def _is_own(folder: Path) -> bool:
    """Return True for an empty folder, or one that has hidden files alone: another process is about to fill it."""
    return all(each.name.startswith(".") for each in folder.iterdir())


def _identity(trained: Any) -> str:
    """Return text that tells one network from another."""
    file = trained.path if isinstance(trained, Bundle) else getattr(trained, "weights_path", None)
    if file is None:
        return f"{trained.model['name']} with weights {trained.weights}"
    precision = trained.using.precision if isinstance(trained, Bundle) else FLOAT32
    return f"sha256:{sha256(Path(file))}{'' if precision == FLOAT32 else f' in {precision}'}"
