"""Checkpoints: states from which a training resumes with the same bits. Each is whole or absent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from pennyweight.core.errors import RunError
from pennyweight.core.files import atomic, clear_left_overs, sha256, write_text
from pennyweight.core.reading import reason_of

__all__ = ["Checkpoints"]

KEPT = 2
_NAME = re.compile(r"\d{10}\.pt")


class Checkpoints:
    """Last two states of a training, in `folder`: N.pt, with a checksum N.sha256 that `sha256sum -c` reads.

    One without its checksum does not count. They hold tensors, numbers and text, and are read by torch's restricted
    unpickler, which runs nothing.
    """

    def __init__(self, folder: Path, note: Callable[[str], None] = lambda line: None) -> None:
        self.folder = folder
        self.note = note
        """Callback that gets a line about damaged checkpoints, once."""
        self._told: set[str] = set()

    def save(self, state: dict[str, Any]) -> None:
        """Write `state` as the newest checkpoint. Raises RunError when that fails; older ones are then intact."""
        try:
            self.folder.mkdir(exist_ok=True)
            self._clear_torn()
            # A number of its own, never that of an older one: that must serve until this one is whole.
            newest = next(self._whole(), None)
            path = self.folder / f"{0 if newest is None else int(newest.stem) + 1:010d}.pt"
            with atomic(path) as temporary:
                with temporary.open("wb") as file:
                    torch.save(state, file)
                digest = sha256(temporary)
            write_text(_checksum(path), f"{digest}  {path.name}\n")
        except (OSError, RuntimeError) as error:
            told = error.__context__ if isinstance(error.__context__, OSError) else error  # torch hides a full disk
            reason = reason_of(told) if isinstance(told, OSError) else str(error).splitlines()[0]
            before = "what was saved before is intact, and the same command with --resume continues from there"
            raise RunError(
                f"cannot save a checkpoint in {self.folder}: {reason}; {before if self else 'none was saved before'}"
            ) from error
        for old in list(self._whole())[KEPT:]:
            _checksum(old).unlink(missing_ok=True)
            old.unlink(missing_ok=True)

    def __bool__(self) -> bool:
        """Return True if there is a checkpoint; none is read."""
        return next(self._whole(), None) is not None

    def latest(self) -> dict[str, Any] | None:
        """Return the newest state whose checksum holds, or None."""
        damaged: list[str] = []
        for path in self._whole():
            said = _checksum(path).read_text(encoding="ascii", errors="replace").partition(" ")[0]
            if sha256(path) == said:
                self._tell(damaged, "the one before serves")
                state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
                return state
            damaged.append(path.name)
        self._tell(damaged, "none is whole, and training begins again")
        return None

    def _tell(self, damaged: Sequence[str], outcome: str) -> None:
        if not self._told.issuperset(damaged):
            self._told.update(damaged)
            names = f"checkpoint{'s' * (len(damaged) > 1)} {' and '.join(damaged)}"
            self.note(f"{names} damaged (checksum mismatch): {outcome}")

    def _whole(self) -> Iterator[Path]:
        """Yield the checkpoints that have a checksum, the newest first."""
        names = sorted(self.folder.iterdir(), reverse=True) if self.folder.is_dir() else []
        return (path for path in names if _is_state(path) and _checksum(path).is_file())

    def _clear_torn(self) -> None:
        """Remove what a kill in the middle of saving left behind; what we cannot have written stays."""
        clear_left_overs(self.folder)
        for path in self.folder.iterdir():
            if _is_state(path) and not _checksum(path).exists():
                with suppress(FileNotFoundError):
                    path.unlink()


def _is_state(path: Path) -> bool:
    """Tell a file that is named as a state is: no folder, and no link to something else."""
    return _NAME.fullmatch(path.name) is not None and path.is_file() and not path.is_symlink()


def _checksum(path: Path) -> Path:
    return path.with_suffix(".sha256")
