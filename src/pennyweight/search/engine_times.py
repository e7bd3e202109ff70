"""Milliseconds of bundles on one engine, learned from bundles that were timed on this machine.

The time is a sum over kinds of operators of calls, multiply-accumulates and bytes. Each has a cost of at least 0,
fitted to the least relative error. Lawson and Hanson 1974, "Solving Least Squares Problems", chapter 23.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.cache import cache_folder, cached_file, make_cache_folder
from pennyweight.core.errors import PennyweightError
from pennyweight.core.figures import several, share
from pennyweight.core.files import read_json, write_json
from pennyweight.core.machine import machine, versions
from pennyweight.core.summary import Facts, Summary
from pennyweight.search.work import COLUMNS

__all__ = ["Conditions", "EngineTimes", "Timed"]

FORMAT = 1
KIND = "machine"
FOLDS = 8
RIDGE = 1e-3
"""Penalty on a cost, as a share of the time of the network that has most of its quantity."""
SURE = 0.95
"""Share of networks whose measured time is within the error."""
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Engine and settings that times belong to."""

    engine: str
    version: str
    """Version of the engine's package."""
    threads: int
    batch: int
    precision: str
    """float32, bfloat16 or int8."""

    def __str__(self) -> str:
        return f"{self.engine} {self.version}, {several(self.threads, 'thread')}, batch {self.batch}, {self.precision}"


@dataclass(frozen=True)
class Timed:
    """Network that was timed."""

    name: str
    work: Mapping[str, float]
    ms: float


@dataclass(frozen=True, kw_only=True, repr=False)
class EngineTimes(Summary):
    """Costs of an engine's work on one machine, and how well they predict networks that they were not fitted to."""

    conditions: Conditions
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    created: str
    """Time of the measurement, ISO 8601, UTC."""
    rows: tuple[Timed, ...]
    """Networks that the costs were fitted to."""
    costs: Mapping[str, float]
    """Quantity -> milliseconds for each unit of it."""
    median_error: float
    """Median relative error of networks that were left out."""
    error: float
    """Relative error that 95% of the networks that were left out do not exceed."""

    @classmethod
    def learn(cls, conditions: Conditions, rows: Sequence[Timed], *, created: str) -> EngineTimes:
        """Fit the costs, and judge them on networks left out in turn.

        Raises:
            PennyweightError: There are fewer than 16 networks.
        """
        if len(rows) < 2 * FOLDS:
            raise PennyweightError(
                f"times of an engine are learned from at least {2 * FOLDS} networks, not {len(rows)}"
            )
        work, ms = _matrix(rows), np.array([row.ms for row in rows])
        errors = np.zeros(len(rows))
        for fold in range(FOLDS):
            own = np.arange(len(rows)) % FOLDS == fold
            errors[own] = np.abs(work[own] @ _fit(work[~own], ms[~own]) / ms[own] - 1)
        return cls(
            conditions=conditions,
            machine=machine(),
            versions=versions(),
            created=created,
            rows=tuple(rows),
            costs=dict(zip(COLUMNS, _fit(work, ms).tolist(), strict=True)),
            median_error=float(np.median(errors)),
            error=float(np.quantile(errors, SURE)),
        )

    def with_rows(self, rows: Sequence[Timed]) -> EngineTimes:
        """Return the times with more networks; of a network that is there, the newer time counts."""
        every = {row.name: row for row in (*self.rows, *rows)}
        return EngineTimes.learn(self.conditions, tuple(every.values()), created=self.created)

    def predict(self, work: Mapping[str, float]) -> float:
        """Return the predicted milliseconds of a network's work."""
        return max(math.fsum(self.costs.get(name, 0.0) * value for name, value in work.items()), 1e-6)

    def to_dict(self) -> dict[str, Any]:
        """Return the times as JSON keeps them."""
        return {"format": FORMAT, **{name: _plain(value) for name, value in vars(self).items()}}

    def save(self, path: Path | None = None) -> Path:
        """Write the times to a file, by default in the user's cache folder; return its path."""
        path = cache_folder(KIND) / _file_name(self.conditions) if path is None else path
        make_cache_folder(path.parent)
        write_json(path, self.to_dict())
        return path

    @classmethod
    def load(cls, conditions: Conditions) -> EngineTimes | None:
        """Return the times that were kept on this machine; None if there are none for it and the engine's version."""
        path = cached_file(KIND, _file_name(conditions))
        if not path.is_file():
            return None
        found = cls.read(path)
        return found if found.machine == machine() and found.conditions == conditions else None

    @classmethod
    def read(cls, path: Path) -> EngineTimes:
        """Read times from a file, of this machine or of another.

        Raises:
            PennyweightError: The file is no such profile, or of a newer version.
        """
        values = read_json(path)
        kind = values.pop("format", None)
        if isinstance(kind, int) and kind > FORMAT:
            raise PennyweightError(f"{path} is a profile of a newer version of Pennyweight (format {kind}); update it")
        try:
            conditions = Conditions(**values.pop("conditions"))
            rows = tuple(Timed(**row) for row in values.pop("rows"))
            found = cls(conditions=conditions, rows=rows, **values)
            if kind != FORMAT or min(found.costs.values()) < 0 or not found.predict(rows[0].work) > 0:
                raise ValueError("costs below 0, or no format")
            list(found.facts())
        except (TypeError, KeyError, AttributeError, IndexError, ValueError) as error:
            raise PennyweightError(f"{path} is not a profile of an engine's times; measure it again") from error
        return found

    def facts(self) -> Facts:
        """Return names and texts of what was measured."""
        yield "bundles on", str(self.conditions)
        yield "processor", str(self.machine.get("processor"))
        yield "learned from", several(len(self.rows), "network")
        yield "median error", share(self.median_error)
        yield "95% of errors below", share(self.error)
        yield "measured", self.created

    def _facts(self) -> Facts:
        return self.facts()


def _plain(value: Any) -> Any:
    if isinstance(value, Conditions):
        return asdict(value)
    if isinstance(value, tuple):
        return [asdict(row) for row in value]
    return dict(value) if isinstance(value, Mapping) else value


def _file_name(conditions: Conditions) -> str:
    about = f"{conditions.engine}-{conditions.threads}-threads-batch-{conditions.batch}-{conditions.precision}"
    return f"bundles-{about}.json"


def _matrix(rows: Sequence[Timed]) -> Array:
    return np.array([[row.work.get(name, 0.0) for name in COLUMNS] for row in rows])


def _fit(work: Array, ms: Array) -> Array:
    """Return costs that are not negative, with the least squared relative error. (N, C), (N,) -> (C,)"""
    from scipy.optimize import nnls

    scale = np.where(work.max(axis=0) > 0, work.max(axis=0), 1.0)
    values = work / scale / ms[:, None]
    values = np.vstack([values, RIDGE * np.eye(values.shape[1])])
    target = np.concatenate([np.ones(len(ms)), np.zeros(work.shape[1])])
    costs: Array = nnls(values, target)[0] / scale
    return costs
