"""Run: the folder that `fit` makes, its files by name, and the content of run.json."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pennyweight.core.accuracy_line import in_folds
from pennyweight.core.errors import RunError
from pennyweight.core.figures import duration, fine_share, number, share
from pennyweight.core.files import digest_of, read_json, sha256, write_json
from pennyweight.core.locks import holding
from pennyweight.core.older_runs import require_agreement, with_current_names
from pennyweight.core.run_folder import RunFolder
from pennyweight.core.run_record import RunRecord
from pennyweight.core.summary import Facts, Summary
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.core.typicality import HeldOut, Training, read_typicality

__all__ = ["Run", "latest_run_folder", "making_folder", "next_run_folder", "write_record"]

DIGESTS = "sha256"
"""Key in run.json: the SHA-256 of each file that predictions depend on, and of run.json itself."""
FORMAT = 2
"""Number of the format of run.json. The first one had no number and no digests."""


@dataclass(frozen=True, repr=False)
class Run(Summary, RunFolder):
    """Run folder that `fit` made. Raises RunError when the folder is not one.

    Every property is a path or the content of a file there; memory holds nothing that the folder does not hold.
    """

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if not self.folder.is_dir():
            raise RunError(f"no run at {self.folder}: there is no such folder")
        if not self.record_path.exists():
            raise RunError(f"{self.folder} is not a run: it has no {self.record_path.name}")

    def __fspath__(self) -> str:
        """Return the folder, so that a Run can be passed wherever a path is expected."""
        return str(self.folder)

    @property
    def training_digests(self) -> TrainingDigests | None:
        """The pictures that seen.npy lists; None for a run without that file."""
        path = self.whole(self.seen_path)
        return TrainingDigests.read(path) if path.exists() else None

    @cached_property
    def typicality(self) -> tuple[Training, HeldOut] | None:
        """Directions of the training features and their calibration; None for a run that `fit` kept none of."""
        path = self.whole(self.typicality_path)
        return read_typicality(path) if path.exists() else None

    @cached_property
    def record(self) -> dict[str, Any]:
        """The content of run.json: what was asked, the resolved recipe, versions, seed, machine, data.

        Raises RunError when it is not as `fit` wrote it. run.json of earlier versions has no digest to tell: it is
        compared with what the other files of the run say.
        """
        record = read_json(self.record_path)
        digests = record.get(DIGESTS)
        if "format" not in record and digests is None:
            require_agreement(record, self)
        elif not isinstance(digests, dict) or digests.get(self.record_path.name) != _digest(record):
            raise RunError(
                f"{self.record_path} is not as `fit` wrote it: its SHA-256 is another; restore it from a copy, or use "
                f"the weights alone, by the network's name and --weights {self.weights_path}"
            )
        return record

    @cached_property
    def info(self) -> RunRecord:
        """The content of run.json as typed values. Raises RunError for a field that is missing or of another type."""
        return RunRecord.read(self.record, self.record_path)

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines that tell a person why the weights cannot be checked; empty if they can."""
        if DIGESTS not in self.record:
            return (f"{self.folder} was made before runs kept checksums: its files are not checked",)
        if self.weights_path.name not in self.record[DIGESTS]:
            return (f"the training of {self.folder} did not finish: its weights have not been scored, nor checked",)
        return ()

    def whole(self, path: Path) -> Path:
        """Check a file of this run against its SHA-256 in run.json, and return its path.

        Raises RunError for a file that was changed, damaged or removed. A file without a SHA-256 there is not checked.
        """
        said = self.record.get(DIGESTS, {}).get(path.name)
        if said is None:
            return path
        found = sha256(path) if path.is_file() else None
        if found != said:
            state = "is missing" if found is None else f"has another SHA-256 ({found[:12]}…)"
            alone = f", or name the file: --weights {path}" if found and path == self.weights_path else ""
            raise RunError(
                f"{path} {state} than when this run was scored ({said[:12]}…); restore it from a copy{alone}"
            )
        return path

    @property
    def labels(self) -> list[str]:
        """The class names, in the order of the network's outputs."""
        return list(self.record["data"]["labels"])

    @property
    def evaluation(self) -> dict[str, Any]:
        """Scores on the test split, of evaluation.json. Raises RunError when the training did not finish."""
        if not self.evaluation_path.exists():
            raise RunError(f"{self.folder} has no evaluation.json: its training did not finish")
        return with_current_names(read_json(self.whole(self.evaluation_path)))

    def _facts(self) -> Facts:
        yield "folder", str(self.folder)
        model, data, best = (self.record.get(name) or {} for name in ("model", "data", "best"))
        yield "network", str(model["name"])
        yield "data", str(data["source"])
        yield "classes", number(len(data["labels"]))
        if data.get("unreadable"):
            yield "unreadable", number(len(data["unreadable"]))
        if not self.evaluation_path.exists():
            yield "", "training has not finished"
            return
        scored = self.evaluation
        if "accuracy" in scored:
            once = f" ({in_folds(scored['folds'])})" if scored.get("folds") else ""
            images = f"{share(scored['accuracy'])} of {number(scored['images'])} images"
            yield f"{scored['split']} accuracy", images + once
        else:
            accuracy, pixels = fine_share(scored["overall_accuracy"]), number(scored["pixels"])
            yield "overall accuracy", f"{accuracy} of {pixels} test pixels ({scored['split']} split)"
        if best.get("epoch") is not None:
            yield "best epoch", str(best["epoch"])
        yield "training time", duration(self.record.get("seconds"))


def write_record(path: Path, record: dict[str, Any], *files: Path) -> None:
    """Write `record` to run.json at `path`, with its own SHA-256 and that of each of `files` in the same folder.

    `record` keeps the digests, so that it can be written again.
    """
    digests = {**record.get(DIGESTS, {}), **{file.name: sha256(file) for file in files}}
    record |= {"format": FORMAT, DIGESTS: digests}
    digests[path.name] = _digest(record)
    write_json(path, record)


def _digest(record: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what run.json says, that digest itself left out."""
    others = {name: digest for name, digest in record[DIGESTS].items() if name != "run.json"}
    return digest_of({**record, DIGESTS: others})


@contextmanager
def making_folder(folder: Path) -> Iterator[None]:
    """Make `folder`, which nobody else gets, and the folders above it; hold it, and take it away if nothing came of it.

    Raises FileExistsError where something is there already, RunError where its parent takes no folder.
    """
    parent = next(path for path in folder.absolute().parents if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise RunError(f"cannot make a run at {folder}: {parent} is not a folder that can be written to")
    made: list[Path] = []
    with ExitStack() as stack:
        stack.callback(_remove_empty, made)  # after the lock in it is gone
        for path in (*reversed(folder.parents), folder):
            if path.exists() and path != folder:
                continue
            try:
                path.mkdir()
                made.insert(0, path)
            except FileExistsError:
                if path == folder:
                    raise
        stack.enter_context(holding(folder))
        yield


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # it holds a run, or another one by now
            folder.rmdir()


def next_run_folder(name: str) -> Path:
    """Return runs/NAME-N with a number above all that are taken; NAME has `-` for `:`, which not all systems allow."""
    name = name.replace(":", "-")
    taken = [_number(path, name) for path in Path("runs").glob(f"{glob.escape(name)}-*")]
    return Path("runs", f"{name}-{max(taken, default=0) + 1}")


def latest_run_folder(name: str) -> Path | None:
    """Return the runs/NAME-N with the highest number, or None."""
    name = name.replace(":", "-")
    found = [path for path in Path("runs").glob(f"{glob.escape(name)}-*") if _number(path, name)]
    return max(found, key=lambda path: _number(path, name), default=None)


def _number(path: Path, name: str) -> int:
    """Return N of NAME-N, or 0 for another name."""
    number = path.name[len(name) + 1 :]
    return int(number) if number.isascii() and number.isdecimal() else 0
