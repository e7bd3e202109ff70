"""Resume a run: find the record and the checkpoint to continue from, and note what is resumed."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pennyweight.core.errors import ImageError, PennyweightError, SourceError
from pennyweight.core.files import sha256, split_part
from pennyweight.core.machine import versions
from pennyweight.core.run import Run, latest_run_folder
from pennyweight.core.run_folder import RunFolder
from pennyweight.core.run_record import RunRecord
from pennyweight.train import Ranks

__all__ = [
    "anything_saved",
    "features_saved",
    "find_record",
    "find_tried",
    "folds_saved",
    "hash_files",
    "note_changed_machine",
    "noting_how_to_resume",
    "resume_note",
]

DECIDING_BITS = (
    "processor", "accelerator", "ranks", "threads", "onednn", "pennyweight", "torch", "numpy", "pillow",
)  # fmt: skip
"""Parts of the machine and the versions that can change the last bits of weights."""


def find_record(out: str | os.PathLike[str] | None, source: str, among: Sequence[str]) -> RunRecord | None:
    """Return the record of the run, of one of the networks `among`, that a command resumes; None without one.

    The automatic choice of that run is kept, though a busier machine, or one offline, would choose otherwise now.
    """
    found = []
    for network in among:
        folder = latest_run_folder(f"{source}-{network}") if out is None else Path(out)
        with suppress(PennyweightError):
            if folder is not None and (record := Run(folder).info).network == network:
                found.append(record)
    return max(found, key=lambda record: record.created, default=None)


def find_tried(out: str | os.PathLike[str] | None, source: str) -> RunRecord | None:
    """Return the record of the run to resume, if `fit` chose its network among several; None otherwise."""
    folders = Path("runs").glob(f"{glob.escape(source)}-*") if out is None else [Path(out)]
    found = []
    for folder in folders:
        with suppress(PennyweightError):
            record = Run(folder).info
            if record.networks and (out is not None or record.data.source == source):
                found.append(record)
    return max(found, key=lambda record: record.created, default=None)


def hash_files(**named: str | os.PathLike[str] | None) -> dict[str, str]:
    """Return the SHA-256 of each file, or of a run's weights. A published name is left out: its file never changes."""
    paths = {name: split_part(what)[0] for name, what in named.items() if what is not None}
    files = {name: RunFolder(path).weights_path if path.is_dir() else path for name, path in paths.items()}
    return {name: sha256(file) for name, file in files.items() if file.is_file()}


def anything_saved(files: RunFolder) -> bool:
    """Return true where a training can resume from a checkpoint, or from features."""
    return any(files.checkpoints_path.glob("*.sha256")) or features_saved(files) or folds_saved(files)


def features_saved(files: RunFolder) -> bool:
    """Return true where some features need not be computed again."""
    return any(files.features_path.glob("*/*.npz"))


def folds_saved(files: RunFolder) -> bool:
    """Return true where a training without a fold is finished, or can resume."""
    parts = map(RunFolder, files.folds_path.glob("*"))
    return any(part.answers_path.exists() or anything_saved(part) for part in parts)


def resume_note(resume: bool, *, begins: bool) -> str:
    """Return the words behind a run's name that tell what `--resume` found."""
    if not resume:
        return ""
    return ": nothing to resume; training starts at the first epoch" if begins else ": resumes"


def note_changed_machine(record: RunRecord, ranks: Ranks, note: Callable[[str], None]) -> None:
    """Note what differs from the machine and the versions that began the run, and can change the weights' bits."""
    now = {**versions(), **ranks.machine}
    before: Mapping[str, Any] = {**(record.versions or {}), **(record.machine or {})}
    for key in DECIDING_BITS:
        if before.get(key) != now.get(key):
            note(f"{key} was {before.get(key)} and is {now.get(key)} now: the weights may differ in their last bits")


@contextmanager
def noting_how_to_resume(files: RunFolder, note: Callable[[str], None]) -> Iterator[None]:
    """Add a line about the checkpoint or the weights that are kept, when a signal, a disk or an error ends a run."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, OSError, SourceError, ImageError):
        if anything_saved(files):
            note(f"saved in {files.folder}; the same command with --resume (or resume=True) continues it")
        raise
    except PennyweightError:
        if files.weights_path.exists():
            note(f"the best weights until then are kept in {files.folder}")
        raise
