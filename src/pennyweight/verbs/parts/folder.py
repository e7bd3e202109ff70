"""Folder of parts: its job, its files, and the locks by which processes share them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pennyweight.core.errors import InputError, RunError
from pennyweight.core.files import atomic, clear_left_overs, read_json, write_json
from pennyweight.core.locks import locked
from pennyweight.core.prediction import Failure, Prediction
from pennyweight.core.text import as_utf8
from pennyweight.core.travel import Stamp
from pennyweight.report.prediction_files import Format, pictures_in, write_answers
from pennyweight.runtime import NamedPicture

__all__ = ["PartsFolder", "Picture", "stamp_of"]

Picture = NamedPicture | Failure
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

    def changes(self, part: int, listed: Sequence[tuple[str, str]]) -> list[str] | None:
        """Return the names of pictures whose files changed since a part was written; None if it has no stamps.

        Args:
            part: Number of the part.
            listed: Name and present stamp of each picture.

        Raises:
            RunError: The part is damaged, or lists other pictures.
        """
        path = self.path(part)
        found = pictures_in(path, self.form)
        if [source for source, _ in found] != [as_utf8(source) for source, _ in listed]:
            raise RunError(f"{path} {CHANGED}")
        if any(stamp is None for _, stamp in found):
            return None
        return [source for (source, now), (_, then) in zip(listed, found, strict=True) if now != then]

    def write(self, part: int, answers: Sequence[Prediction | Failure], stamps: Sequence[str]) -> None:
        """Write a part at once, or nothing."""
        path = self.path(part)
        clear_left_overs(self.folder, of=path.name)
        with atomic(path) as temporary:
            write_answers(temporary, answers, stamps, self.form)

    def close(self, parts: Collection[int]) -> None:
        """Remove the locks, also of killed processes. Raises RunError for parts beyond these, which are complete."""
        if more := sorted({*self.folder.glob(f"part-*.{self.form}")} - {self.path(part) for part in parts}):
            raise RunError(f"{more[0]} {CHANGED}")
        for lock in (self.folder / JOB_LOCK, *self.folder.glob(".part-*.lock")):
            lock.unlink(missing_ok=True)
