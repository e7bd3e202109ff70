"""Fill a folder of parts in this process: each part that no other process works on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pennyweight.core.figures import number, several
from pennyweight.core.locks import locked
from pennyweight.core.prediction import Failure
from pennyweight.core.reasons import such_as
from pennyweight.core.strangers import StrangerRule
from pennyweight.core.text import as_utf8
from pennyweight.core.travel import Stamp
from pennyweight.data import ReadAs
from pennyweight.data.readers.addresses import file_part, shown_address
from pennyweight.runtime import Classifier
from pennyweight.verbs.addresses import fetched, is_address
from pennyweight.verbs.load import Trained, load
from pennyweight.verbs.parts.folder import UNFETCHED, PartsFolder, Picture, stamp_of
from pennyweight.verbs.parts.groups import Group, groups_of

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
    rule: StrangerRule
    """Rule for strangers."""
    before: Mapping[int, Stamp] = field(default_factory=dict)
    """Parts that were there before the call; their pictures that could not be fetched are asked for again."""

    def settings(self) -> dict[str, Any]:
        """Return the settings that decide the answers and their files, as job.json keeps them."""
        rule = self.rule
        return {
            "paths": [as_utf8(_kept(path)) for path in self.paths],
            "read_as": self.read_as.to_dict(),
            "top": self.top,
            "max_pixels": self.max_pixels,
            "format": self.folder.form,
            "part_size": self.part_size,
            # None in the folders of earlier versions, and where strangers are flagged
            "strangers": None if rule.strangers == "flag" else rule.strangers,
            "least_typical": rule.least_typical if rule.strangers == "refuse" else None,
        }

    def open_classifier(self) -> Classifier:
        """Return the classifier with the rule for strangers."""
        found = load(self.trained, max_pixels=self.max_pixels)
        return found.with_strangers(self.rule.strangers, self.rule.least_typical)

    def groups(self, note: Callable[[str], None]) -> Iterator[Group]:
        """Yield the pictures of each part, and give `note` a line for skipped files."""
        return groups_of(self.paths, self.part_size, self.read_as, note)


def _kept(path: str) -> str:
    """Return a path in full, or an address without what gives access, which may be renewed between two calls."""
    return shown_address(path) if is_address(path) else os.path.abspath(path)  # noqa: PTH100 - links stay


class Finished(NamedTuple):
    """Part that is complete."""

    part: int
    pictures: int
    """Pictures that were looked at now; all of a part that was complete."""
    made: bool
    """True if it was written now; False for a part that was complete."""
    failures: Sequence[tuple[str, str]]
    """Source and error of these pictures that have no prediction."""
    strange: int = 0
    """Pictures that were read now, and are unlike anything the network was taught."""
    refused: int = 0
    """Pictures of these that the rule refuses."""
    kept: int = 0
    """Further pictures of a part that was written now, which were answered before."""


def fill(plan: Plan, note: Callable[[str], None], finished: Callable[[Finished], None]) -> None:
    """Go through the parts until all are complete, made in this process or in others.

    Args:
        plan: Network, pictures and settings.
        note: Callback that is given a line for files that were skipped, or have changed.
        finished: Callback that is given each part once.

    Raises:
        RunError: A complete part is damaged, or lists other pictures.
    """
    work, said = _Filling(plan, plan.open_classifier(), note, finished), note
    while waiting := work.go_through(plan.groups(said)):
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
    repeated: set[int] = field(default_factory=set)
    """Outdated parts of which those pictures alone are read again that could not be fetched."""
    is_older: bool = False
    """True after the line about parts that have no dates."""

    def go_through(self, groups: Iterable[Group]) -> list[int]:
        """Finish the parts in turn; return those that are to be looked at again, in another listing."""
        return [part for part, group in enumerate(groups) if not self._finish(part, group)]

    def _finish(self, part: int, group: Group) -> bool:
        """Write a part unless it is complete; return False if another process works on it, or it is outdated."""
        if part in self.done:
            return True
        if self._is_there(part):
            return self._keep(part, group)
        with locked(self.plan.folder.lock(part), wait=False) as held:
            if not held:
                return False
            if self._is_there(part):  # another process has finished it meanwhile
                return self._keep(part, group)
            self._write(part, group)
            return True

    def _is_there(self, part: int) -> bool:
        """Return True for a part with a file, other than the one that is outdated."""
        path = self.plan.folder.path(part)
        return path.exists() and self.outdated.get(part) != Stamp.of(path)

    def _keep(self, part: int, group: Group) -> bool:
        """Count a complete part; return False if its pictures have changed, so that it is to be written again."""
        folder, path = self.plan.folder, self.plan.folder.path(part)
        stamp = Stamp.of(path)
        if group.shard is None:
            rows, changed = folder.changes(part, group.listed())
        else:
            rows, changed = folder.shard_changes(part, file_part(group.shard.shown), group.shard_stamp())
        if changed:
            again = f"all {number(len(rows))} of {path.name} are answered again"
            self.note(f"{several(len(changed), 'picture')} changed since, such as {such_as(changed)}; {again}")
            self.outdated[part] = stamp
            self.repeated.discard(part)
            return False
        unfetched = [row.source for row in rows if row.stamp == UNFETCHED]
        if unfetched and self.plan.before.get(part) == stamp and (group.shard is None or group.shard_stamp()):
            what = f"{several(len(unfetched), 'picture')} of {path.name} could not be fetched before"
            self.note(f"{what}, such as {such_as(unfetched)}; asked for again")
            self.outdated[part] = stamp
            self.repeated |= {part} if group.shard is None else set()
            return False
        if changed is None and not self.is_older:
            self.note(f"{path.name} has no dates of files, so its pictures are compared by name alone")
            self.is_older = True
        failures = [(row.source, row.error) for row in rows if row.error is not None]
        self._end(Finished(part, len(rows), made=False, failures=failures))
        return True

    def _write(self, part: int, group: Group) -> None:
        before = self.plan.folder.fetched(part) if part in self.repeated else {}
        stamps: list[str] = []
        shard = group.shard_stamp()  # before it is read
        asked = (each for place, each in enumerate(group.pictures) if place not in before)
        answers = list(self.classifier.stream_named(fetched(_recording(asked, stamps)), self.plan.top))
        stamps = stamps if group.shard is None else [shard] * len(answers)
        self.plan.folder.write(part, answers, stamps, before)
        failed = [each for each in answers if isinstance(each, Failure)]
        failures = [(each.source, each.error) for each in failed]
        strange, refused = (sum(map(self.classifier.is_strange, each)) for each in (answers, failed))
        counts = {"strange": strange, "refused": refused, "kept": len(before)}
        self._end(Finished(part, len(answers), made=True, failures=failures, **counts))

    def _end(self, finished: Finished) -> None:
        self.done.add(finished.part)
        self.finished(finished)


def _recording(pictures: Iterable[Picture], stamps: list[str]) -> Iterator[Picture]:
    """Yield the pictures, and keep the stamp that each has before it is read."""
    for picture in pictures:
        stamps.append(stamp_of(picture))
        yield picture
