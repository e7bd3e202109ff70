"""A run that is resumed: what is there to go on from, and the lines that say so."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pennyweight.core.errors import PennyweightError
from pennyweight.core.files import sha256, split_part
from pennyweight.core.machine import versions
from pennyweight.core.run import Run, latest_run_folder
from pennyweight.train import Ranks, Recipe

__all__ = [
    "FEATURES",
    "anything_saved",
    "digests",
    "features_saved",
    "finished_run",
    "noting_how_to_resume",
    "record_before",
    "recorded_recipe",
    "resume_note",
    "with_replanned_epochs",
]

FEATURES = "features"
"""The folder in a run that holds features until it is complete."""


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


def resume_note(resume: bool, *, begins: bool) -> str:
    """What is said behind the name of a run that was asked to go on."""
    if not resume:
        return ""
    return ": there is nothing to resume, so it begins" if begins else ": goes on"


def finished_run(folder: Path, note: Callable[[str], None]) -> Run:
    """The run, of which nothing is left to do, which is said."""
    note(f"run {folder} is complete, and stays as it is")
    return Run(folder)


def recorded_recipe(record: Mapping[str, Any], ranks: Ranks, note: Callable[[str], None]) -> Recipe:
    """The recipe of a run that goes on. Says what differs now and can change its bits."""
    now = {**versions(), **ranks.machine}
    before = {**record["versions"], **record["machine"]}
    for key in ("processor", "accelerator", "ranks", "threads", "onednn", "pennyweight", "torch", "numpy", "pillow"):
        if before.get(key) != now.get(key):
            note(f"{key} was {before.get(key)} and is {now.get(key)} now: the weights may differ in their last bits")
    return Recipe.from_dict(record["recipe"])


def with_replanned_epochs(recipe: Recipe, kept: Mapping[str, Any] | None) -> Recipe:
    """The recipe with the epochs that the newest state was trained by: --minutes may have changed them meanwhile."""
    if kept is None or kept["phase"] != "network" or "stretches" not in kept:
        return recipe
    return replace(recipe, epochs=kept["epochs"], stretches=kept["stretches"])


@contextmanager
def noting_how_to_resume(folder: Path, note: Callable[[str], None]) -> Iterator[None]:
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
