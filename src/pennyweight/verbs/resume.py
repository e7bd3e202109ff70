"""Where a run goes, and whether one that is there already can go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from pennyweight.core.errors import RunError
from pennyweight.core.files import is_left_over
from pennyweight.core.machine import machine, versions
from pennyweight.core.run import Run, latest_run_folder, new_run_folder
from pennyweight.train import Recipe

__all__ = ["place", "recorded"]


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
    if all(map(is_left_over, folder.iterdir())):  # killed before its first file was whole
        for path in folder.iterdir():
            path.unlink(missing_ok=True)
        return folder, None
    record = Run(folder).record
    was = record.get("asked", {})
    for key, value in asked.items():
        if was.get(key) != value:
            raise RunError(
                f"{folder} was made by another command: its {key} was {was.get(key)}, and now it is {value}; "
                "resume it as it was, or name another --out"
            )
    return folder, record


def recorded(record: Mapping[str, Any], note: Callable[[str], None]) -> Recipe:
    """The recipe of a run that goes on. Says what differs now and can change its bits."""
    now = {**versions(), **machine(), "threads": torch.get_num_threads()}
    before = {**record["versions"], **record["machine"]}
    for key in ("processor", "threads", "torch", "numpy", "pillow"):
        if before.get(key) != now.get(key):
            note(f"{key} was {before.get(key)} and is {now.get(key)} now: the weights may differ in their last bits")
    return Recipe.from_dict(record["recipe"])
