"""Trials: measured ways to compute, the fastest that agrees with float32, and their cache on disk."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from pennyweight.core.cache import make_cache_folder
from pennyweight.core.errors import PennyweightError
from pennyweight.core.files import read_json, write_json
from pennyweight.core.machine import versions
from pennyweight.train.distributed import Ranks
from pennyweight.train.recipe import Recipe

__all__ = ["Trial", "TrialCache", "Trials"]

ALIKE = 0.9
"""Smallest accepted cosine between a way's gradient and float32's. The limit is lower where float32's own gradient
changes more when each pixel moves by at most one level of 256: gradients of deep untrained networks are sensitive."""
SLACK = 0.1
"""Accepted distance below the cosine between float32's two gradients, with pixels as given and moved."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Way to compute a step (layout, precision, compilation), with its time and its agreement with float32."""

    layout: str
    precision: str
    compile: bool
    step_ms: float
    """Median time of a few whole steps, in ms; for features, time of one forward pass."""
    alike: float
    """Cosine between its gradient and float32's (channels first) on one batch; for features, between the features."""


@dataclass(frozen=True, kw_only=True)
class Trials:
    """Measured ways to compute; `applied_to` takes the fastest that agrees with float32."""

    ways: tuple[Trial, ...]
    own: float
    """Cosine between float32's gradients on the pictures and on pictures moved by at most a level; 1 for features."""
    remembered: bool
    """True if an earlier run measured them."""
    untried: str = ""
    """Trials that failed, and the reason."""

    @property
    def quickest(self) -> Trial:
        """Return the fastest way that agrees with float32; the fastest of all if none agrees."""
        return min(filter(self.agrees, self.ways), key=_step_ms, default=min(self.ways, key=_step_ms))

    def agrees(self, way: Trial) -> bool:
        """Return True if a way's gradient agrees with float32's. Uncompiled float32 and float64 always agree."""
        exact = way.precision in ("float32", "float64") and not way.compile
        return exact or way.alike >= min(ALIKE, self.own - SLACK)

    def applied_to(self, recipe: Recipe) -> Recipe:
        """Return the recipe with the quickest way."""
        way = self.quickest
        return replace(recipe, layout=way.layout, precision=way.precision, compile=way.compile)  # type: ignore[arg-type]

    def note(self, what: str) -> str:
        """Describe the trials in one line; `what` names the timed work."""
        chosen = self.quickest
        tried = ", ".join(
            f"{way.layout} {way.precision}{' compiled' if way.compile else ''} {way.step_ms:.0f} ms"
            + ("" if self.agrees(way) else f" ({'rejected: ' * (way != chosen)}differs from float32)")
            for way in sorted(self.ways, key=_step_ms)
        )
        outcome = "; ".join(filter(None, (tried, self.untried)))
        return f"{what}{' (measured before)' if self.remembered else ''}: {outcome}"

    def to_dict(self) -> dict[str, Any]:
        """Return the trials as run.json and the cache keep them."""
        return {
            "ways": [asdict(way) for way in self.ways],
            "own": self.own,
            "remembered": self.remembered,
            "untried": self.untried,
        }


def _step_ms(way: Trial) -> float:
    return way.step_ms


class TrialCache:
    """Cache file in `folder` for the trials of a network.

    Its key holds the machine, the number of ranks, versions, the network's shapes, and `asked`: what the trials vary.
    """

    def __init__(self, folder: Path, model: nn.Module, ranks: Ranks, asked: Any) -> None:
        shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        known = json.dumps([ranks.machine, versions(), asked, sorted(shapes.items())])
        self._path, self._ranks = folder / f"{hashlib.sha256(known.encode()).hexdigest()[:32]}.json", ranks

    def recall(self) -> Trials | None:
        """Return rank 0's cached trials on every rank, or None."""
        found = None
        with suppress(PennyweightError, TypeError, KeyError):
            kept = read_json(self._path)
            found = Trials(ways=tuple(Trial(**way) for way in kept["ways"]), own=kept["own"], remembered=True)
        remembered: Trials | None = self._ranks.gather(found)[0]
        return remembered

    def keep(self, found: Trials) -> Trials:
        """Write the trials to rank 0's cache and return them."""
        if not self._ranks.number:
            with suppress(OSError):  # a machine without a writable cache measures each time
                make_cache_folder(self._path.parent)
                write_json(self._path, found.to_dict())
        return found
