"""Machine profile: peak throughput, bandwidth of each cache level, call overhead, and operator times.

`pennyweight bench --machine` measures it once and saves it in the user's cache folder, one file per number of threads.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pennyweight.core.cache import cache_folder, cached_file, cached_files, make_cache_folder
from pennyweight.core.errors import PennyweightError
from pennyweight.core.figures import number, several
from pennyweight.core.files import read_json, write_json
from pennyweight.core.machine import machine, versions
from pennyweight.core.summary import Facts, Summary
from pennyweight.cost.timing.agreement import Agreement
from pennyweight.cost.timing.operator_time import OperatorTime
from pennyweight.cost.timing.roofline import Limits

__all__ = ["MachineProfile", "explain_unused", "profile_path", "profiled_threads"]

FORMAT = 5
MEASURED = ("limits", "times", "factors", "behind", "agreement")


@dataclass(frozen=True, kw_only=True, repr=False)
class MachineProfile(Summary):
    """Profile of a machine at one number of threads, from which `weigh` predicts."""

    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    threads: int
    created: str
    """Time of measurement, ISO 8601, UTC."""
    limits: Limits
    times: Mapping[str, OperatorTime]
    """Kind of operator -> regression of its time on its sizes."""
    factors: Mapping[str, float] = field(default_factory=dict)
    """Kind of operator -> its time over the roofline's, for kinds with too few sizes for a regression."""
    behind: Mapping[str, float] = field(default_factory=dict)
    """Median time over the roofline's for all "products" and all "others": the estimate for kinds never timed."""
    agreement: Agreement | None = None
    """Agreement of the measurement with itself; None if unknown."""

    def _facts(self) -> Facts:
        yield "processor", str(self.machine.get("processor"))
        yield "", several(self.threads, "thread")
        yield "measured", self.created
        yield "peak rate", f"{number(2 * self.limits.macs_per_s['float32'] / 1e9)} G operations/s (float32)"
        bandwidths = (f"{level} {number(rate / 1e9)}" for level, rate in self.limits.bytes_per_s.items())
        yield "bandwidth", f"{', '.join(bandwidths)} GB/s"
        yield "kinds of operators", number(len(self.times))

    def about(self) -> dict[str, Any]:
        """Return the machine, versions, threads and time of the measurement."""
        return {name: value for name, value in vars(self).items() if name not in MEASURED}

    def save(self) -> Path:
        """Save the profile in the user's cache folder; return its path."""
        path = cache_folder("machine") / _file_name(self.threads)
        make_cache_folder(path.parent)
        times = {kind: learned.to_dict() for kind, learned in self.times.items()}
        kept: dict[str, Any] = {"limits": self.limits.to_dict(), "times": times, "factors": dict(self.factors)}
        kept |= {"behind": dict(self.behind), "agreement": self.agreement and asdict(self.agreement)}
        write_json(path, {"format": FORMAT, **self.about(), **kept})
        return path

    @classmethod
    def load(cls, threads: int | None = None) -> MachineProfile | None:
        """Load the profile of this machine at `threads` (default: torch's number); None if there is none.

        Raises PennyweightError for a file that cannot be read.
        """
        path = profile_path(torch.get_num_threads() if threads is None else threads)
        if not path.exists():
            return None
        values = read_json(path)
        if _why_foreign(values):
            return None
        del values["format"]
        try:
            values["limits"] = Limits(**values["limits"])
            values["times"] = {kind: OperatorTime.from_dict(learned) for kind, learned in values["times"].items()}
            values["agreement"] = values["agreement"] and Agreement(**values["agreement"])
            return cls(**values)
        except (TypeError, KeyError, AttributeError) as error:
            raise PennyweightError(
                f"{path} is not a machine profile; remove it and run `pennyweight bench --machine` to measure again"
            ) from error


def profiled_threads() -> list[int]:
    """Return the numbers of threads with a saved profile, including unusable ones."""
    names = (path.stem.split("-")[1] for path in cached_files("machine", "profile-*-threads.json"))
    return sorted(int(name) for name in names if name.isdigit())


def explain_unused(threads: int) -> str:
    """Return why the saved profile for `threads` is not used; empty if it is used or does not exist."""
    path = profile_path(threads)
    if not path.exists():
        return ""
    try:
        reason = _why_foreign(read_json(path))
    except PennyweightError:
        reason = "cannot be read"
    return f"{path} {reason}" if reason else ""


def _why_foreign(values: Mapping[str, Any]) -> str:
    """Return why a profile does not apply to this machine; empty if it does. Machines may share a home folder."""
    if values.get("format") != FORMAT:
        return "was measured by another version of Pennyweight"
    return "" if values.get("machine") == machine() else "was measured on another machine"


def profile_path(threads: int) -> Path:
    """Return the path of the profile for `threads`, also of one that came with an image; `save` replaces it."""
    return cached_file("machine", _file_name(threads))


def _file_name(threads: int) -> str:
    return f"profile-{threads}-threads.json"


def now() -> str:
    """Return the current time in UTC, as ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


def fit_operator_times(cases: Mapping[str, list[tuple[tuple[float, ...], float]]]) -> dict[str, OperatorTime]:
    """Fit a regression to the (features, seconds) of each kind's measurements."""
    return {
        kind: OperatorTime.learn([features for features, _ in rows], [float(np.log(seconds)) for _, seconds in rows])
        for kind, rows in cases.items()
    }


def make_profile(
    limits: Limits, times: Mapping[str, OperatorTime], factors: Mapping[str, float] | None = None, **known: Any
) -> MachineProfile:
    """Return a profile of this machine at torch's current number of threads, with the fields in `known`."""
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
