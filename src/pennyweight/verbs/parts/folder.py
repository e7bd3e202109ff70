"""Folder of parts: its job, its files, and the locks by which processes share them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pennyweight.core.errors import InputError, RunError
from pennyweight.core.files import atomic, clear_left_overs, read_json, write_json
from pennyweight.core.locks import locked
from pennyweight.core.prediction import Failure, Prediction
from pennyweight.core.text import as_utf8
from pennyweight.core.travel import Stamp
from pennyweight.report.prediction_files import Format, Row, answers_in, pictures_in, write_answers
from pennyweight.runtime import NamedPicture
from pennyweight.verbs.addresses import Unfetched

__all__ = ["UNFETCHED", "PartsFolder", "Picture", "stamp_of"]

Picture = NamedPicture | Failure
UNFETCHED = "not fetched"
"""Stamp of a picture or a shard whose server failed, or was not reached: the next call asks it again."""
JOB = "job.json"
JOB_LOCK = ".job.lock"
CHANGED = (
    "has the predictions of other pictures: files were added, removed or renamed since; name another folder for the "
    "pictures that are there now"
)


def stamp_of(picture: Picture) -> str:
    """Return text that changes with a picture's file: size and date. It is empty for a picture without a file."""
    if isinstance(picture, Failure):
        return ""
    if isinstance(picture.picture, (str, Path)):
        return Stamp.of(picture.picture).text
    return picture.stamp


@dataclass(frozen=True)
class PartsFolder:
    """Folder with a file for each part of the pictures."""

    folder: Path
    form: Format

    def open_job(self, job: Mapping[str, Any]) -> None:
        """Make the folder with its job. Raises InputError if it holds another job, or other files."""
        file = self.folder / JOB
        if not file.exists() and (self.folder.is_file() or (self.folder.is_dir() and not self._is_own())):
            what = "has other files" if self.folder.is_dir() else "is a file"
            raise InputError(f"{self.folder} {what}; name a new folder, or that of the same predictions")
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / JOB_LOCK):
            if not file.exists():
                write_json(file, job)
                return
        kept = read_json(file)
        if changed := [name for name in job if kept.get(name) != job[name]]:
            name = changed[0]
            raise InputError(
                f"{self.folder} holds predictions with another {name} ({kept.get(name)!r}, now {job[name]!r}); name a "
                "new folder"
            )

    def _is_own(self) -> bool:
        """Return True for an empty folder, or one that has hidden files alone: another process is about to fill it."""
        return all(each.name.startswith(".") for each in self.folder.iterdir())

    def path(self, part: int) -> Path:
        """Return the file of a part."""
        return self.folder / f"part-{part:05}.{self.form}"

    def lock(self, part: int) -> Path:
        """Return the file that a process locks while it works on a part."""
        return self.folder / f".part-{part:05}.lock"

    def is_taken(self, part: int) -> bool:
        """Return True while another process works on a part."""
        with locked(self.lock(part), wait=False) as held:
            return not held

    def changes(self, part: int, listed: Sequence[tuple[str, str]]) -> tuple[list[Row], list[str] | None]:
        """Return a part's rows, and the names of pictures whose files changed since; None if it has no stamps.

        Args:
            part: Number of the part.
            listed: Name and present stamp of each picture.

        Raises:
            RunError: The part is damaged, or lists other pictures.
        """
        path = self.path(part)
        found = pictures_in(path, self.form)
        if [row.source for row in found] != [as_utf8(source) for source, _ in listed]:
            raise RunError(f"{path} {CHANGED}")
        if any(row.stamp is None for row in found):
            return found, None
        then = [row.stamp for row in found]
        return found, [name for (name, now), old in zip(listed, then, strict=True) if old not in (now, UNFETCHED)]

    def shard_changes(self, part: int, shard: str, stamp: str) -> tuple[list[Row], list[str]]:
        """Return the rows of a part that is a streamed shard, and the names of pictures that changed since.

        Args:
            part: Number of the part.
            shard: Address of the shard, with which the names of its pictures begin.
            stamp: Present stamp of the shard; an empty one, of a server that does not answer, says of no change.

        Raises:
            RunError: The part is damaged, or lists pictures of another shard.
        """
        path = self.path(part)
        found = pictures_in(path, self.form)
        if not all(row.source.startswith(as_utf8(shard)) for row in found):
            raise RunError(f"{path} {CHANGED}")
        return found, [row.source for row in found if stamp and row.stamp not in (stamp, UNFETCHED)]

    def fetched(self, part: int) -> dict[int, tuple[Prediction | Failure, str]]:
        """Return the answers of a part with their stamps, by place; pictures that were not fetched have none."""
        rows = enumerate(answers_in(self.path(part), self.form))
        return {place: (answer, stamp) for place, (answer, stamp) in rows if stamp != UNFETCHED}

    def stamps(self) -> dict[int, Stamp]:
        """Return the stamp of the file of each part that is there."""
        found = self.folder.glob(f"part-*.{self.form}")
        return {int(each.stem.removeprefix("part-")): Stamp.of(each) for each in found if each.stem[5:].isdecimal()}

    def write(
        self,
        part: int,
        answers: Sequence[Prediction | Failure],
        stamps: Sequence[str],
        before: Mapping[int, tuple[Prediction | Failure, str]] = MappingProxyType({}),
    ) -> None:
        """Write a part at once, or nothing.

        Args:
            part: Number of the part.
            answers: Answers to the pictures.
            stamps: Stamp of each of these pictures.
            before: Answers to the other pictures, each with its stamp, by place in the part.
        """
        fresh = iter(zip(answers, stamps, strict=True))
        places = range(len(answers) + len(before))
        rows = [before[place] if place in before else _stamped(*next(fresh)) for place in places]
        path = self.path(part)
        clear_left_overs(self.folder, of=path.name)
        with atomic(path) as temporary:
            write_answers(temporary, [answer for answer, _ in rows], [stamp for _, stamp in rows], self.form)

    def close(self, parts: Collection[int]) -> None:
        """Remove the locks, also of killed processes. Raises RunError for parts beyond these, which are complete."""
        if more := sorted({*self.folder.glob(f"part-*.{self.form}")} - {self.path(part) for part in parts}):
            raise RunError(f"{more[0]} {CHANGED}")
        for lock in (self.folder / JOB_LOCK, *self.folder.glob(".part-*.lock")):
            lock.unlink(missing_ok=True)


def _stamped(answer: Prediction | Failure, stamp: str) -> tuple[Prediction | Failure, str]:
    return answer, UNFETCHED if isinstance(answer, Unfetched) else stamp
