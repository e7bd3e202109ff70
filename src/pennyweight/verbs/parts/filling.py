"""Fill a folder of parts in this process: each part that no other process works on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple

from pennyweight.core.figures import number, several
from pennyweight.core.locks import locked
from pennyweight.core.prediction import Failure
from pennyweight.core.reasons import such_as
from pennyweight.core.text import as_utf8
from pennyweight.core.travel import Stamp
from pennyweight.data import ReadAs
from pennyweight.runtime import Classifier
from pennyweight.verbs.inputs import pictures_given
from pennyweight.verbs.load import Trained, load
from pennyweight.verbs.parts.folder import PartsFolder, Picture, stamp_of

__all__ = ["Finished", "Plan", "fill"]

POLL_SECONDS = 0.5
"""Seconds between two looks at the parts that other processes work on."""


@dataclass(frozen=True)
class Plan:
    """Network, pictures and settings of a folder of parts; it can be pickled."""

    trained: Trained
    folder: PartsFolder
    paths: Sequence[str]
    part_size: int
    top: int
    read_as: ReadAs
    max_pixels: int | None

    def settings(self) -> dict[str, Any]:
        """Return the settings that decide the answers and their files, as job.json keeps them."""
        return {
            "paths": [as_utf8(os.path.abspath(path)) for path in self.paths],  # noqa: PTH100 - links stay
            "read_as": self.read_as.to_dict(),
            "top": self.top,
            "max_pixels": self.max_pixels,
            "format": self.folder.form,
            "part_size": self.part_size,
        }

    def pictures(self, note: Callable[[str], None]) -> Iterator[Iterator[Picture]]:
        """Yield the pictures of each part, and give `note` a line for skipped files."""
        return _groups(pictures_given(self.paths, note, read_as=self.read_as), self.part_size)


class Finished(NamedTuple):
    """Part that is complete."""

    part: int
    pictures: int
    made: bool
    """True if its pictures were answered now; False for a part that was complete."""
    failures: Sequence[tuple[str, str]]
    """Source and error of the pictures that could not be read now."""


def fill(plan: Plan, note: Callable[[str], None], finished: Callable[[Finished], None]) -> None:
    """Go through the parts until all are complete, made in this process or in others.

    Args:
        plan: Network, pictures and settings.
        note: Callback that is given a line for files that were skipped, or have changed.
        finished: Callback that is given each part once.

    Raises:
        RunError: A complete part is damaged, or lists other pictures.
    """
    work, said = _Filling(plan, load(plan.trained, max_pixels=plan.max_pixels), note, finished), note
    while waiting := work.go_through(plan.pictures(said)):
        said = _silent  # the first listing has told of skipped files
        while all(plan.folder.is_taken(part) for part in waiting):
            time.sleep(POLL_SECONDS)
    plan.folder.close(work.done)


def _silent(line: str) -> None:
    """Ignore a line."""


@dataclass
class _Filling:
    """Parts of a plan, and the classifier that fills them."""

    plan: Plan
    classifier: Classifier
    note: Callable[[str], None]
    finished: Callable[[Finished], None]
    done: set[int] = field(default_factory=set)
    outdated: dict[int, Stamp] = field(default_factory=dict)
    """Parts with pictures that have changed since, each with the stamp of its file."""
    is_older: bool = False
    """True after the line about parts that have no dates."""

    def go_through(self, groups: Iterable[Iterator[Picture]]) -> list[int]:
        """Finish the parts in turn; return those that are to be looked at again, in another listing."""
        return [part for part, pictures in enumerate(groups) if not self._finish(part, pictures)]

    def _finish(self, part: int, pictures: Iterator[Picture]) -> bool:
        """Write a part unless it is complete; return False if another process works on it, or it is outdated."""
        if part in self.done:
            return True
        if self._is_there(part):
            return self._keep(part, pictures)
        with locked(self.plan.folder.lock(part), wait=False) as held:
            if not held:
                return False
            if self._is_there(part):  # another process has finished it meanwhile
                return self._keep(part, pictures)
            self._write(part, pictures)
            return True

    def _is_there(self, part: int) -> bool:
        """Return True for a part with a file, other than the one that is outdated."""
        path = self.plan.folder.path(part)
        return path.exists() and self.outdated.get(part) != Stamp.of(path)

    def _keep(self, part: int, pictures: Iterator[Picture]) -> bool:
        """Count a complete part; return False if its pictures have changed, so that it is to be written again."""
        path = self.plan.folder.path(part)
        stamp = Stamp.of(path)
        listed = [(each.source, stamp_of(each)) for each in pictures]
        changed = self.plan.folder.changes(part, listed)
        if changed:
            again = f"all {number(len(listed))} of {path.name} are answered again"
            self.note(f"{several(len(changed), 'picture')} changed since, such as {such_as(changed)}; {again}")
            self.outdated[part] = stamp
            return False
        if changed is None and not self.is_older:
            self.note(f"{path.name} has no dates of files, so its pictures are compared by name alone")
            self.is_older = True
        self._end(Finished(part, len(listed), made=False, failures=[]))
        return True

    def _write(self, part: int, pictures: Iterator[Picture]) -> None:
        stamps: list[str] = []
        answers = list(self.classifier.stream_named(_recording(pictures, stamps), self.plan.top))
        self.plan.folder.write(part, answers, stamps)
        failures = [(each.source, each.error) for each in answers if isinstance(each, Failure)]
        self._end(Finished(part, len(answers), made=True, failures=failures))

    def _end(self, finished: Finished) -> None:
        self.done.add(finished.part)
        self.finished(finished)


def _recording(pictures: Iterable[Picture], stamps: list[str]) -> Iterator[Picture]:
    """Yield the pictures, and keep the stamp that each has before it is read."""
    for picture in pictures:
        stamps.append(stamp_of(picture))
        yield picture


def _groups(listed: Iterable[Picture], size: int) -> Iterator[Iterator[Picture]]:
    """Yield an iterator for each part, so that no part's files are in memory together; pass over what is left of it."""
    waiting = iter(listed)
    for first in waiting:
        group = chain([first], islice(waiting, size - 1))
        yield group
        for _ in group:
            pass
