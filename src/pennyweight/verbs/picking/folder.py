"""Folder of a search on pictures: its record, the journal of its trials, its page, and the chosen run."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pennyweight import data, zoo
from pennyweight.core.budget import Budget
from pennyweight.core.errors import PennyweightError, RunError
from pennyweight.core.files import read_json, write_json, write_text
from pennyweight.core.reading import reason_of
from pennyweight.search.engine_times import Conditions
from pennyweight.search.picks import Picks
from pennyweight.search.report import report_of
from pennyweight.search.space import read_space
from pennyweight.verbs.fitting.first_weights import NONE
from pennyweight.verbs.picking.options import SourcePick

__all__ = ["JOURNAL", "SearchFolder"]

FOLDER_FILE, JOURNAL, REPORT = "pick.json", "trials.journal", "report.html"


class SearchFolder:
    """Folder of a search, and the key of what the search is about: commands with the same key share their trials."""

    def __init__(
        self, asked: SourcePick, source: data.Source, budget: Budget, conditions: Conditions,
        space: str | os.PathLike[str] | None,
    ) -> None:  # fmt: skip
        """Find the folder. Raises InputError for a space that cannot be read."""
        tables = (
            [read_space(space)] if space is not None else [read_space(None, small=small) for small in (False, True)]
        )
        about = {
            "source": source.fingerprint,
            "groups": asked.group_by,
            "budget": budget.limits(),
            "conditions": asdict(conditions),
            "space": tables,
            "weights": _weights(asked.weights),
            "minutes": float(asked.minutes),
            "seed": asked.seed,
        }
        self.key = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()
        self.path = Path(asked.out or Path("runs", f"{source.name}-pick-{self.key[:8]}"))

    def finished(self) -> Picks | None:
        """Return the result of this search; None where it has not ended here, or its record cannot be read."""
        try:
            values = dict(read_json(self.path / FOLDER_FILE))
            same = values.pop("key", None) == self.key
            found = Picks.from_dict(values) if same and "candidates" in values else None
        except (OSError, PennyweightError):
            return None
        if found is None or found.chosen is None:
            return None
        return found if Path(found.chosen.bundle).is_file() else None

    def require(self) -> bool:
        """Return whether the folder is that of this search already. Raises RunError for one of something else."""
        record = self.path / FOLDER_FILE
        try:
            if record.exists():
                if read_json(record).get("key") != self.key:
                    raise RunError(f"{self.path} has another search, with other settings; name another with --out")
                return True
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise RunError(f"{self.path} exists, and is no folder of a search; name another with --out")
        except OSError as error:
            raise RunError(f"cannot use {self.path}: {reason_of(error)}; name another with --out") from error
        nearest = next(path for path in self.path.absolute().parents if path.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK):
            raise RunError(
                f"cannot make {self.path}: {nearest} is no folder that can be written; name another with --out"
            )
        return False

    def claim(self) -> None:
        """Make the folder. Raises RunError for a folder of something else, or one that cannot be made."""
        if self.require():
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.path / FOLDER_FILE, {"key": self.key})
        except OSError as error:
            raise RunError(f"cannot make {self.path}: {reason_of(error)}; name another with --out") from error

    def keep(self, found: Picks) -> None:
        """Write the result and its page."""
        write_json(self.path / FOLDER_FILE, {"key": self.key, **found.to_dict()})
        write_text(self.path / REPORT, report_of(found))


def _weights(given: str | os.PathLike[str] | None) -> Any:
    """Return what names the first weights on every machine: networks of the cache, or names of files."""
    if given is None:
        return zoo.cached_weights()
    return given if given == NONE else [file.name for file in zoo.files_of(Path(given)) or [Path(given)]]
