"""Settings of `pick` on pictures, beside the limits and the engine."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from pennyweight import data
from pennyweight.core.errors import InputError, received
from pennyweight.core.run_folder import is_run_folder
from pennyweight.verbs.fitting.first_weights import NONE
from pennyweight.verbs.fitting.plan import require_seed

__all__ = ["LEAST_MINUTES", "SourceOptions", "SourcePick"]

LEAST_MINUTES = 1.0
"""Fewest minutes in which candidates are tried, and the chosen one is trained and exported."""
Place = str | os.PathLike[str]


class SourceOptions(TypedDict, total=False):
    """Rarer options of `pick` with a source; the defaults are those of `SourcePick`."""

    out: Place | None
    weights: Place | None
    seed: int
    storage: str | None
    group_by: str | None
    progress: bool
    read_as: data.ReadAs | Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class SourcePick:
    """Settings of a search on pictures. Raises InputError for a value that cannot be used."""

    source: data.AnySource
    minutes: float
    out: Place | None = None
    weights: Place | None = None
    seed: int = 0
    storage: str | None = None
    group_by: str | None = None
    progress: bool = True
    """Show the progress of the chosen network's training on standard error."""
    read_as: data.ReadAs | Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        minutes = self.minutes
        if isinstance(minutes, bool) or not isinstance(minutes, (int, float)):
            raise InputError(f"minutes must be a number from {LEAST_MINUTES:g}, not {received(minutes)}")
        if not LEAST_MINUTES <= minutes < math.inf:
            raise InputError(
                f"minutes must be at least {LEAST_MINUTES:g}, not {minutes:g}: candidates are tried, and the chosen "
                "one is trained, exported and timed"
            )
        require_seed(self.seed)
        if self.storage is not None and (not isinstance(self.storage, str) or not self.storage.strip()):
            raise InputError(f"storage is the path of a journal file or an address, not {received(self.storage)}")
        if self.weights is not None and self.weights != NONE and is_run_folder(Path(self.weights)):
            raise InputError(f"weights for pick are a file, a folder of files, or {NONE}, not the run {self.weights}")
