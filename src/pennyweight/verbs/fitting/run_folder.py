"""Claim the folder of a run: make it, hold its lock while it is written, and remove it if nothing came of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pennyweight.core.errors import RunError
from pennyweight.core.files import clear_left_overs, left_over_of
from pennyweight.core.locks import LOCK, HeldError, holding
from pennyweight.core.machine import versions
from pennyweight.core.run import Run, latest_run_folder, making_folder, next_run_folder
from pennyweight.core.run_folder import RunFolder
from pennyweight.core.run_record import RunRecord
from pennyweight.train import Ranks
from pennyweight.verbs.fitting.resume import anything_saved

__all__ = ["claiming_run_folder", "claiming_run_folders", "refuse_taken"]

MOST = 3
"""Differences that one line names."""
TRIES = 100
"""Each is lost only to another run that took the name meanwhile."""


@contextmanager
def claiming_run_folder(
    out: str | os.PathLike[str] | None, name: str, *, resume: bool, asked: Mapping[str, Any], ranks: Ranks
) -> Iterator[tuple[Path, RunRecord | None]]:
    """Give (the run's folder, its record), None for a run that begins. The folder's lock is held meanwhile.

    The folder is `out`, or the next of runs/NAME-N; with `resume` one that is there, or the latest of runs/NAME-N. What
    fails inside before the first weights or checkpoint takes a folder that was made here away again. The first rank
    takes it, and tells the others. Raises RunError where another process holds the folder, where something else is
    there, or where another command made the run.
    """
    with ExitStack() as stack:
        told: tuple[Path, RunRecord | None] | Exception | None = None
        if not ranks.number:
            try:
                told = _take(stack, out, name, resume=resume, asked=asked)
            except (OSError, RunError) as error:
                told = error
        told = ranks.gather(told)[0]
        if not isinstance(told, tuple):
            assert told is not None
            raise told
        yield told


@contextmanager
def claiming_run_folders(out: str | os.PathLike[str] | None, name: str, *, resume: bool) -> Iterator[Path]:
    """Give the folder that holds a run for each seed, held meanwhile; with `resume` it may be there."""
    there = _there(out, name) if resume else None
    with ExitStack() as stack:
        if there is not None and there.is_dir():
            stack.enter_context(holding(there))
            clear_left_overs(there)
            yield there
        else:
            yield _make(stack, out, name)


def refuse_taken(folder: Path) -> None:
    """Raise RunError for the folder of a new run where something is there already."""
    if os.path.lexists(folder) and not _left_empty(folder):
        raise RunError(
            f"--out {folder} exists already; nothing is overwritten: name a new folder, or --resume"
        ) from None


def _there(out: str | os.PathLike[str] | None, name: str) -> Path | None:
    """Return the folder that `--resume` would continue, if there is one."""
    folder = latest_run_folder(name) if out is None else Path(out)
    return folder if folder is not None and folder.exists() else None


def _take(
    stack: ExitStack, out: str | os.PathLike[str] | None, name: str, *, resume: bool, asked: Mapping[str, Any]
) -> tuple[Path, RunRecord | None]:
    """Take the folder, which `stack` gives back."""
    folder = _there(out, name) if resume else None
    if folder is None:
        return _make(stack, out, name), None
    if not _never_began(folder):
        record = _record(folder, asked)
        if record.is_complete:  # nothing will be written
            return folder, record
    stack.enter_context(holding(folder))
    clear_left_overs(folder)
    # Whoever held it a moment ago may have written more.
    return folder, None if _never_began(folder) else _record(folder, asked)


def _make(stack: ExitStack, out: str | os.PathLike[str] | None, name: str) -> Path:
    """Make the folder of a new run: `out`, or the next of runs/NAME-N that nobody else took."""
    for _ in range(TRIES):
        folder = next_run_folder(name) if out is None else Path(out)
        try:
            stack.enter_context(making_folder(folder))
        except FileNotFoundError:
            continue  # another run took the folder above it away, because nothing came of it
        except (FileExistsError, HeldError):
            if out is None:
                continue
            if not os.path.lexists(folder):
                continue
            refuse_taken(folder)
            stack.enter_context(holding(folder))
        stack.enter_context(_cleared_on_failure(folder))
        return folder
    raise RunError(f"cannot make a run at {folder}: other processes took every name that was tried")


def _left_empty(folder: Path) -> bool:
    """Tell a folder that a killed `fit` made and had not begun to write a run to."""
    return folder.is_dir() and not folder.is_symlink() and (folder / LOCK).exists() and _never_began(folder)


def _never_began(folder: Path) -> bool:
    """Tell a folder without run.json that holds only files that `fit` writes before it, and dot files of others."""
    if not folder.is_dir():
        return False
    usual = RunFolder(folder).written_before_record
    paths = [path for path in folder.iterdir() if left_over_of(path) is None]
    return all(path in usual or path.name.startswith(".") for path in paths)


@contextmanager
def _cleared_on_failure(folder: Path) -> Iterator[None]:
    """Remove what `fit` wrote to `folder`, which it had made, if that fails before anything worth keeping."""
    try:
        yield
    except BaseException:
        files = RunFolder(folder)
        if not files.weights_path.exists() and not anything_saved(files):
            with suppress(OSError):
                clear_left_overs(folder)
            for path in files.written_before_weights - {folder / LOCK}:
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        raise


def _record(folder: Path, asked: Mapping[str, Any]) -> RunRecord:
    """Return the content of run.json. Raises RunError when the run was made by another command."""
    record = Run(folder).info
    if changed := list(_changed(record.asked, asked)):
        more = f" (and {len(changed) - MOST} more)" if len(changed) > MOST else ""
        version = (record.versions or {}).get("pennyweight")  # the defaults of another may be others
        by = f"Pennyweight {version}" if version not in (None, versions().get("pennyweight")) else "another command"
        raise RunError(
            f"{folder} was made by {by}: {', '.join(changed[:MOST])}{more}; resume it as it was, or name another --out"
        )
    return record


def _changed(was: Mapping[str, Any], now: Mapping[str, Any], of: str = "") -> Iterator[str]:
    """Yield each difference: "recipe lr was 0.1 and is 0.2 now"."""
    for key, value in now.items():
        before = was.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            yield from _changed(before, {**dict.fromkeys(before), **value}, f"{of}{key} ")
        elif before != value:
            yield f"{of}{key} was {before} and is {value} now"
