"""Result of a search: every candidate with its figures, those that fit, and the front of what none other beats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pennyweight.core.budget import LIMITS, Budget
from pennyweight.core.data_frame import data_frame
from pennyweight.core.errors import PennyweightError
from pennyweight.core.figures import MISSING, megabytes, number, share
from pennyweight.core.summary import Facts, Rows, Summary
from pennyweight.search.engine_times import Conditions

__all__ = ["EXCEEDS", "FITS", "HELD_OUT", "MEASURED", "PREDICTED", "Chosen", "Pick", "Picks", "front_of"]

MEASURED, PREDICTED = "measured", "predicted"
HELD_OUT = "held-out"
FITS, UNSURE, EXCEEDS = "fits", "unsure", "exceeds"


@dataclass(frozen=True, kw_only=True, repr=False)
class Pick(Summary):
    """Candidate with what it costs, and the accuracy that it has or is expected to have."""

    name: str
    network: str
    config: Mapping[str, Any]
    size: int
    """Side of the square input in pixels."""
    params: int
    macs: int
    size_bytes: int
    """Estimated size of the bundle."""
    memory_bytes: int
    """Weights and the peak of the activations, for one picture, counted."""
    ms: float
    """Milliseconds of one call on the engine of the search."""
    ms_error: float
    """Relative error that 95% of predictions do not exceed; 0 for measured milliseconds."""
    ms_is: str
    """"measured" or "predicted"."""
    accuracy: float | None
    """0 to 1; None where nothing is known."""
    accuracy_error: float
    """Error that 95% of interpolated accuracies do not exceed; 0 for a published one."""
    accuracy_is: str
    """"published" or "interpolated": top-1 on ImageNet by the authors; "held-out": on pictures of the source that
    taught nothing."""
    verdict: str
    """"fits", "unsure" where the error of the milliseconds reaches across the limit, or "exceeds"."""
    excesses: Mapping[str, float] = field(default_factory=dict)
    """Limit that is exceeded -> by which share of it."""
    accuracy_interval: tuple[float, float] | None = None
    """95% interval of a held-out accuracy; None without one."""
    trained_s: float = 0.0
    """Seconds of the longest training of the trials; 0 where only a last layer learned, and without trials."""

    def _facts(self) -> Facts:
        yield "", self.name
        yield "parameters", number(self.params)
        yield "MACs", number(self.macs)
        yield "file", f"about {megabytes(self.size_bytes)}"
        yield "memory", megabytes(self.memory_bytes)
        yield "milliseconds", f"{number(self.ms)} {self.ms_is}"
        yield "accuracy", MISSING if self.accuracy is None else f"{share(self.accuracy)} {self.accuracy_is}"
        yield "", self.verdict


def verdict_of(excesses: Mapping[str, float], ms: float, error: float, limit: float | None) -> str:
    """Return whether a candidate fits, given by what it exceeds the limits, and the error of its milliseconds."""
    if any(name != "ms" for name in excesses):
        return EXCEEDS
    if limit is None:
        return FITS
    if ms * (1 + error) <= limit:
        return FITS
    return EXCEEDS if ms > limit * (1 + error) else UNSURE


@dataclass(frozen=True, kw_only=True, repr=False)
class Chosen(Summary):
    """Network that a search on pictures chose, fully trained, exported and timed."""

    name: str
    run: str
    """Folder of the run."""
    bundle: str
    """File of the bundle."""
    ms: float | None
    """Median milliseconds of a call of the bundle; None for another machine's limits."""
    accuracy: float
    """0 to 1, on the test split, which is scored once, for this network only."""
    accuracy_interval: tuple[float, float]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Chosen:
        """Return a chosen network from its values, as JSON keeps them."""
        low, high = values["accuracy_interval"]
        return cls(**{**values, "accuracy_interval": (low, high)})

    def facts(self) -> Facts:
        """Return names and texts of what was made."""
        low, high = self.accuracy_interval
        yield "chosen", self.name
        yield "run", self.run
        yield "bundle", self.bundle
        yield "milliseconds", MISSING if self.ms is None else f"{number(self.ms)} measured"
        yield "test accuracy", f"{share(self.accuracy)} ({share(low)} to {share(high)})"

    def _facts(self) -> Facts:
        return self.facts()


@dataclass(frozen=True, kw_only=True, repr=False)
class Picks(Summary):
    """Networks that keep a budget on this machine, the most accurate first."""

    budget: Budget
    conditions: Conditions
    """Engine and settings that the milliseconds belong to."""
    machine: Mapping[str, Any]
    """Machine that they belong to."""
    median_error: float
    """Median relative error of predicted milliseconds."""
    candidates: Rows[Pick]
    """Every candidate that was counted, in the order of the space."""
    refused: Mapping[str, str]
    """Combination that its network refuses -> the reason."""
    notes: tuple[str, ...]
    tried: Rows[Pick] = Rows(())  # noqa: RUF009 - it does not change
    """Candidates that were tried on the source's pictures, with their held-out accuracy; empty without a source."""
    chosen: Chosen | None = None
    """Network that was trained, exported and timed; None without a source, and where another worker does it."""

    @property
    def fitting(self) -> Rows[Pick]:
        """Candidates that keep every limit, the most accurate first; with a source, those that were tried."""
        return Rows(sorted((row for row in self.tried or self.candidates if row.verdict == FITS), key=_rank))

    @property
    def front(self) -> Rows[Pick]:
        """Fitting candidates that no other one beats in both accuracy and milliseconds, the most accurate first."""
        return Rows(front_of(self.fitting))

    @property
    def best(self) -> Pick | None:
        """The most accurate candidate that fits; None where nothing fits."""
        return next(iter(self.fitting), None)

    @property
    def nearest(self) -> Rows[Pick]:
        """Three candidates that break the limits least, where nothing fits."""
        if self.best is not None:
            return Rows(())
        return Rows(sorted(self.tried or self.candidates, key=lambda row: sum(row.excesses.values()))[:3])

    @property
    def ruled_out(self) -> dict[str, int]:
        """Limit -> number of candidates that exceed it."""
        found = {name: sum(name in row.excesses for row in self.candidates) for name in LIMITS}
        return {name: count for name, count in found.items() if count}

    @property
    def table(self) -> Any:
        """Every candidate as a pandas DataFrame. Raises MissingPart where pandas is not installed."""
        return data_frame(self.candidates, conditions=str(self.conditions))

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON keeps it."""
        best = self.best
        return {
            "budget": self.budget.limits(),
            "conditions": asdict(self.conditions),
            "machine": dict(self.machine),
            "median_error": self.median_error,
            "best": None if best is None else best.name,
            "front": [row.name for row in self.front],
            "nearest": [row.name for row in self.nearest],
            "ruled_out": self.ruled_out,
            "refused": dict(self.refused),
            "notes": list(self.notes),
            "tried": [vars(row) for row in self.tried],
            "chosen": None if self.chosen is None else vars(self.chosen),
            "candidates": [vars(row) for row in self.candidates],
        }

    def _repr_html_(self) -> str:
        """Return the facts and the front as tables for a notebook."""
        return super()._repr_html_() + (self.front._repr_html_() or "")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Picks:
        """Return a result from what `to_dict` gave. Raises PennyweightError for anything else."""
        try:
            chosen = values["chosen"]
            return cls(
                budget=Budget(**values["budget"]),
                conditions=Conditions(**values["conditions"]),
                machine=values["machine"],
                median_error=values["median_error"],
                candidates=Rows(map(_pick, values["candidates"])),
                refused=values["refused"],
                notes=tuple(values["notes"]),
                tried=Rows(map(_pick, values["tried"])),
                chosen=None if chosen is None else Chosen.from_dict(chosen),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise PennyweightError(f"it is not the result of a search: {error}") from error

    def _facts(self) -> Facts:
        yield "budget", repr(self.budget).removeprefix("Budget(").removesuffix(")") or "no limit"
        yield "on", str(self.conditions)
        yield "candidates", f"{number(len(self.candidates))}, of which {number(len(self.fitting))} fit"
        if self.best is not None:
            yield "best", self.best.name
            yield "milliseconds", f"{number(self.best.ms)} {self.best.ms_is}"
        if self.chosen is not None:
            yield from self.chosen.facts()
        for row in self.nearest:
            yield "nearest", f"{row.name}: {exceeds(row, self.budget)}"


def _pick(values: Mapping[str, Any]) -> Pick:
    interval = values["accuracy_interval"]
    return Pick(**{**values, "accuracy_interval": None if interval is None else tuple(interval)})


def exceeds(row: Pick, budget: Budget) -> str:
    """Return the limits that a candidate breaks, or may break: `milliseconds 9.2 ms, over 8 ms`."""
    broken = []
    for name in row.excesses:
        limit, value = LIMITS[name], getattr(row, name)
        side = "under" if limit.is_least else "over"
        shown = "unknown" if value is None else limit.show(value)
        broken.append(f"{limit.title} {shown}, {side} {limit.show(getattr(budget, name))}")
    if not broken and row.verdict == UNSURE:
        limit = LIMITS["ms"]
        broken.append(
            f"{limit.title} {limit.show(row.ms)} {row.ms_is}, which may be over {limit.show(budget.ms)}: "
            f"95% of predictions are within {share(row.ms_error)}"
        )
    return "; ".join(broken)


def _rank(row: Pick) -> tuple[float, float]:
    return (-(row.accuracy or 0.0), row.ms)


def front_of(rows: Iterable[Pick]) -> Sequence[Pick]:
    """Return the rows that no other one beats in accuracy and milliseconds, the most accurate first."""
    found: list[Pick] = []
    for row in sorted(rows, key=_rank):
        if row.accuracy is not None and (not found or row.ms < found[-1].ms):
            found.append(row)
    return found
