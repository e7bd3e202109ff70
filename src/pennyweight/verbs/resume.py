"""Where a run goes, whether one that is there already can go on, and what is left and said when it ends early."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pennyweight.core.errors import PennyweightError, RunError
from pennyweight.core.files import is_left_over, sha256, split_part
from pennyweight.core.machine import versions
from pennyweight.core.run import Run, latest_run_folder, new_run_folder
from pennyweight.train import Ranks, Recipe

__all__ = [
    "FEATURES",
    "complete",
    "digests",
    "features_saved",
    "how",
    "nothing_empty_left",
    "place",
    "place_several",
    "planned",
    "record_before",
    "recorded",
    "saying_how_to_go_on",
]

BEFORE_RECORD = ("seen.npy", "projection.json")
"""What a run's folder may hold before its run.json."""
FEATURES = "features"
"""The folder in a run that holds features until it is complete."""
MOST = 3
"""Differences that one line names."""


def place(
    out: str | os.PathLike[str] | None, name: str, *, resume: bool, asked: Mapping[str, Any]
) -> tuple[Path, dict[str, Any] | None]:
    """(the run's folder, what run.json says of it); None for a run that is to begin.

    With `resume` it is `out`, or the latest of runs/NAME-N. Raises RunError when that run was made by another command.
    """
    if not resume:
        return new_run_folder(out, name), None
    folder = latest_run_folder(name) if out is None else Path(out)
    if folder is None or not folder.exists():
        return new_run_folder(out, name), None
    there = list(folder.iterdir())
    if all(is_left_over(path) or path.name in BEFORE_RECORD for path in there):  # killed before run.json was whole
        for path in there:
            path.unlink(missing_ok=True)
        return folder, None
    record = Run(folder).record
    if changed := list(_changed(record.get("asked", {}), asked)):
        more = f" (and {len(changed) - MOST} more)" if len(changed) > MOST else ""
        version = record.get("versions", {}).get("pennyweight")  # the defaults of another may be others
        by = f"Pennyweight {version}" if version not in (None, versions().get("pennyweight")) else "another command"
        raise RunError(
            f"{folder} was made by {by}: {', '.join(changed[:MOST])}{more}; resume it as it was, or name another --out"
        )
    for path in filter(is_left_over, there):
        path.unlink(missing_ok=True)
    return folder, record


def record_before(out: str | os.PathLike[str] | None, source: str, among: Sequence[str]) -> Mapping[str, Any] | None:
    """Return the record of the run, of one of some networks, that a command is to go on with: what auto chose then is
    kept, though a busier machine, or one without a network, would get something else now."""
    found = []
    for network in among:
        folder = latest_run_folder(f"{source}-{network}") if out is None else Path(out)
        with suppress(PennyweightError):
            if folder is not None and (record := Run(folder).record)["model"]["name"] == network:
                found.append(record)
    return max(found, key=lambda record: str(record["created"]), default=None)


def place_several(out: str | os.PathLike[str] | None, name: str, *, resume: bool) -> Path:
    """The folder that holds a run for each seed; with `resume` it may be there."""
    there = (Path(out) if out is not None else latest_run_folder(name)) if resume else None
    return there if there is not None and there.is_dir() else new_run_folder(out, name)


def digests(**named: str | os.PathLike[str] | None) -> dict[str, str]:
    """SHA-256 of what is named: of a file, or of a run's weights. What a published name stands for does not change."""
    paths = {name: split_part(what)[0] for name, what in named.items() if what is not None}
    files = {name: path / "weights.safetensors" if path.is_dir() else path for name, path in paths.items()}
    return {name: sha256(file) for name, file in files.items() if file.is_file()}


def anything_saved(folder: Path) -> bool:
    """Whether a training can go on from what is in its folder."""
    return any(folder.glob("checkpoints/*.sha256")) or features_saved(folder)


def features_saved(folder: Path) -> bool:
    """Whether some features need not be computed again."""
    return any(folder.glob(f"{FEATURES}/*/*.npz"))


def how(resume: bool, *, begins: bool) -> str:
    """What is said behind the name of a run that was asked to go on."""
    if not resume:
        return ""
    return ": there is nothing to resume, so it begins" if begins else ": goes on"


def complete(folder: Path, note: Callable[[str], None]) -> Run:
    """The run, of which nothing is left to do, which is said."""
    note(f"run {folder} is complete, and stays as it is")
    return Run(folder)


def _changed(was: Mapping[str, Any], now: Mapping[str, Any], of: str = "") -> Iterator[str]:
    """What differs, a part each: "recipe lr was 0.1 and is 0.2 now"."""
    for key, value in now.items():
        before = was.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            yield from _changed(before, {**dict.fromkeys(before), **value}, f"{of}{key} ")
        elif before != value:
            yield f"{of}{key} was {before} and is {value} now"


def recorded(record: Mapping[str, Any], ranks: Ranks, note: Callable[[str], None]) -> Recipe:
    """The recipe of a run that goes on. Says what differs now and can change its bits."""
    now = {**versions(), **ranks.machine}
    before = {**record["versions"], **record["machine"]}
    for key in ("processor", "accelerator", "ranks", "threads", "onednn", "pennyweight", "torch", "numpy", "pillow"):
        if before.get(key) != now.get(key):
            note(f"{key} was {before.get(key)} and is {now.get(key)} now: the weights may differ in their last bits")
    return Recipe.from_dict(record["recipe"])


def planned(recipe: Recipe, kept: Mapping[str, Any] | None) -> Recipe:
    """The recipe with the epochs that the newest state was trained by: --minutes may have changed them meanwhile."""
    if kept is None or kept["phase"] != "network" or "stretches" not in kept:
        return recipe
    return replace(recipe, epochs=kept["epochs"], stretches=kept["stretches"])


@contextmanager
def nothing_empty_left(folder: Path, *, writes: bool = True) -> Iterator[None]:
    """Make the run's folder. What fails inside before its first weights or checkpoint takes it away again: it holds
    nothing that anyone could miss."""
    made = [parent for parent in folder.parents if not parent.exists()]
    if writes:
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if writes and not (folder / "weights.safetensors").exists() and not anything_saved(folder):
            shutil.rmtree(folder, ignore_errors=True)
            for parent in made:
                with suppress(OSError):  # another run is in it by now
                    parent.rmdir()
        raise


@contextmanager
def saying_how_to_go_on(folder: Path, note: Callable[[str], None]) -> Iterator[None]:
    """A signal, or a disk, that ends what is inside is followed by a line about the state that was saved, if any."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, OSError):
        if anything_saved(folder):
            note(f"saved in {folder}; the same command with --resume goes on from there")
        raise
    except PennyweightError:
        if (folder / "weights.safetensors").exists():
            note(f"the best weights until then are kept in {folder}")
        raise
