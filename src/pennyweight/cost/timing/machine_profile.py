"""What this machine can do: peak rates, bandwidth of each cache level, launch overhead, and how long operators take.

Measured once by `pennyweight bench --machine` and kept in the user's cache folder, one file for each number of threads.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pennyweight.core.download import cache_folder
from pennyweight.core.errors import PennyweightError
from pennyweight.core.figures import number, several
from pennyweight.core.files import read_json, write_json
from pennyweight.core.machine import machine, versions
from pennyweight.core.summary import Facts, Summary
from pennyweight.cost.timing.agreement import Agreement
from pennyweight.cost.timing.operator_time import OperatorTime
from pennyweight.cost.timing.roofline import Limits

__all__ = ["MachineProfile", "profile_path", "profiled_threads", "why_unused"]

FORMAT = 5
MEASURED = ("limits", "times", "factors", "behind", "agreement")


@dataclass(frozen=True, kw_only=True, repr=False)
class MachineProfile(Summary):
    """A machine as `weigh` predicts by it, with so many threads."""

    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    threads: int
    created: str
    """ISO 8601, UTC."""
    limits: Limits
    times: Mapping[str, OperatorTime]
    """Kind of operator -> how long its sizes take."""
    factors: Mapping[str, float] = field(default_factory=dict)
    """Kind of operator -> its time over what the limits allow, for those of too few sizes to learn more from."""
    behind: Mapping[str, float] = field(default_factory=dict)
    """How far all that was timed stays behind the limits (median), "products" and "others": a guess for other kinds."""
    agreement: Agreement | None = None
    """How well the measurement agrees with itself; None where that is not known."""

    def _facts(self) -> Facts:
        yield "processor", str(self.machine.get("processor"))
        yield "", several(self.threads, "thread")
        yield "measured", self.created
        yield "peak rate", f"{number(2 * self.limits.macs_per_s['float32'] / 1e9)} G operations/s (float32)"
        bandwidths = (f"{level} {number(rate / 1e9)}" for level, rate in self.limits.bytes_per_s.items())
        yield "bandwidth", f"{', '.join(bandwidths)} GB/s"
        yield "kinds of operators", number(len(self.times))

    def about(self) -> dict[str, Any]:
        """Where and when it was measured."""
        return {name: value for name, value in vars(self).items() if name not in MEASURED}

    def save(self) -> Path:
        """Keep it in the user's cache folder; returns where."""
        path = profile_path(self.threads)
        path.parent.mkdir(parents=True, exist_ok=True)
        times = {kind: learned.to_dict() for kind, learned in self.times.items()}
        kept: dict[str, Any] = {"limits": self.limits.to_dict(), "times": times, "factors": dict(self.factors)}
        kept |= {"behind": dict(self.behind), "agreement": self.agreement and asdict(self.agreement)}
        write_json(path, {"format": FORMAT, **self.about(), **kept})
        return path

    @classmethod
    def load(cls, threads: int | None = None) -> MachineProfile | None:
        """What was kept for this machine and so many threads (by default torch's); None where nothing was.

        Raises PennyweightError for a file that cannot be read.
        """
        path = profile_path(torch.get_num_threads() if threads is None else threads)
        if not path.exists():
            return None
        values = read_json(path)
        if _foreign(values):
            return None
        del values["format"]
        try:
            values["limits"] = Limits(**values["limits"])
            values["times"] = {kind: OperatorTime.from_dict(learned) for kind, learned in values["times"].items()}
            values["agreement"] = values["agreement"] and Agreement(**values["agreement"])
            return cls(**values)
        except (TypeError, KeyError, AttributeError) as error:
            raise PennyweightError(
                f"{path} is not a machine profile; remove it, and `pennyweight bench --machine` makes it anew"
            ) from error


def profiled_threads() -> list[int]:
    """Return the numbers of threads that profiles are kept for, also those that cannot be used."""
    names = (path.stem.split("-")[1] for path in cache_folder("machine").glob("profile-*-threads.json"))
    return sorted(int(name) for name in names if name.isdigit())


def why_unused(threads: int) -> str:
    """Return why the profile for so many threads is not used; nothing where it is, or where there is none."""
    path = profile_path(threads)
    if not path.exists():
        return ""
    try:
        reason = _foreign(read_json(path))
    except PennyweightError:
        reason = "cannot be read"
    return f"{path} {reason}" if reason else ""


def _foreign(values: Mapping[str, Any]) -> str:
    """Return why a profile says nothing of this machine, which may share its home folder with others."""
    if values.get("format") != FORMAT:
        return "was measured by another version of Pennyweight"
    return "" if values.get("machine") == machine() else "was measured on another machine"


def profile_path(threads: int) -> Path:
    """Where the profile for so many threads is kept."""
    return cache_folder("machine") / f"profile-{threads}-threads.json"


def now() -> str:
    """The moment, in UTC, as ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


def learned(cases: Mapping[str, list[tuple[tuple[float, ...], float]]]) -> dict[str, OperatorTime]:
    """Kind -> what was learned from (features, seconds) of each measurement."""
    return {
        kind: OperatorTime.learn([features for features, _ in rows], [float(np.log(seconds)) for _, seconds in rows])
        for kind, rows in cases.items()
    }


def profile_now(
    limits: Limits, times: Mapping[str, OperatorTime], factors: Mapping[str, float] | None = None, **known: Any
) -> MachineProfile:
    """Return what is `known` of this machine, with torch's present number of threads."""
    return MachineProfile(
        machine=machine(),
        versions=versions(),
        threads=torch.get_num_threads(),
        created=now(),
        limits=limits,
        times=times,
        factors=factors or {},
        **known,
    )
