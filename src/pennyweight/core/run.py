"""A run: the folder that `fit` makes. Its files by name, and what run.json says."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pennyweight.core.errors import RunError
from pennyweight.core.files import read_json

__all__ = ["Run", "latest_run_folder", "new_run_folder"]


@dataclass(frozen=True)
class Run:
    """A run folder that `fit` made. Raises RunError when the folder is not one.

    Every property is a path or what a file there says; nothing is kept in memory that the folder does not hold.
    """

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if not self.folder.is_dir():
            raise RunError(f"no run at {self.folder}: there is no such folder")
        if not self.record_path.exists():
            raise RunError(f"{self.folder} is not a run: it has no {self.record_path.name}")

    def __fspath__(self) -> str:
        """Return the folder: a run stands wherever its folder's name does."""
        return str(self.folder)

    @property
    def record_path(self) -> Path:
        return self.folder / "run.json"

    @property
    def metrics_path(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def weights_path(self) -> Path:
        return self.folder / "weights.safetensors"

    @property
    def evaluation_path(self) -> Path:
        return self.folder / "evaluation.json"

    @property
    def report_path(self) -> Path:
        return self.folder / "report.html"

    @property
    def seen_path(self) -> Path:
        """Which pictures it trained and selected on."""
        return self.folder / "seen.npy"

    @property
    def bundle_path(self) -> Path:
        return self.folder / "model.onnx"

    @cached_property
    def record(self) -> dict[str, Any]:
        """What run.json says: what was asked, the resolved recipe, versions, seed, machine, data."""
        return read_json(self.record_path)

    @property
    def labels(self) -> list[str]:
        """The class names, in the order of the network's outputs."""
        return list(self.record["data"]["labels"])

    @property
    def evaluation(self) -> dict[str, Any]:
        """What evaluation.json says. Raises RunError when the run has not come that far."""
        if not self.evaluation_path.exists():
            raise RunError(f"{self.folder} has no evaluation.json: its training did not finish")
        return read_json(self.evaluation_path)


def new_run_folder(out: str | os.PathLike[str] | None, name: str) -> Path:
    """Where a new run goes: `out`, or the first free runs/NAME-N. The folder is not made yet.

    Raises RunError when `out` exists already, or its parent cannot take a folder.
    """
    folder = _free(Path("runs"), name) if out is None else Path(out)
    if folder.exists() or folder.is_symlink():
        raise RunError(
            f"--out {folder} exists already; nothing is overwritten: name a folder that is not there yet, or --resume"
        )
    parent = next(path for path in folder.absolute().parents if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise RunError(f"cannot make a run at {folder}: {parent} is not a folder that can be written to")
    return folder


def latest_run_folder(name: str) -> Path | None:
    """The runs/NAME-N with the highest number, or None."""
    found = [path for path in Path("runs").glob(f"{glob.escape(name)}-*") if path.name[len(name) + 1 :].isdecimal()]
    return max(found, key=lambda path: int(path.name[len(name) + 1 :]), default=None)


def _free(runs: Path, name: str) -> Path:
    taken = {path.name for path in runs.iterdir()} if runs.is_dir() else set()
    number = next(n for n in range(1, len(taken) + 2) if f"{name}-{n}" not in taken)
    return runs / f"{name}-{number}"
