"""Ways to compute that were timed, the quickest of them that can be trusted, and where that is remembered."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from pennyweight.core.errors import PennyweightError
from pennyweight.core.files import read_json, write_json
from pennyweight.core.machine import versions
from pennyweight.train.distributed import Ranks
from pennyweight.train.recipe import Recipe

__all__ = ["Trial", "TrialCache", "Trials"]

ALIKE = 0.9
"""Cosine between a way's gradient and float32's, below which it is refused, unless float32 itself agrees less with what
it gives when each pixel moves by at most one level of 256: the gradients of deep fresh networks are that sensitive."""
SLACK = 0.1
"""How far below that a way may stay."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One way to step, and what it took."""

    layout: str
    precision: str
    compile: bool
    step_ms: float
    """Median of a few whole steps; of features, one pass."""
    alike: float
    """Cosine between its gradient and that of float32 in the usual layout, on one batch; of features, between those."""


@dataclass(frozen=True, kw_only=True)
class Trials:
    """What was tried; `applied_to` takes the quickest way that agrees with float32."""

    ways: tuple[Trial, ...]
    own: float
    """Cosine between float32's gradient and that of pictures moved by at most a level; 1 of features."""
    remembered: bool
    """Whether it was measured in an earlier run."""
    untried: str = ""
    """What could not be tried, and why."""

    @property
    def quickest(self) -> Trial:
        """Of those that agree with float32; of all if none does, where the recipe leaves no other."""
        return min(filter(self.sound, self.ways), key=_step_of, default=min(self.ways, key=_step_of))

    def sound(self, way: Trial) -> bool:
        """Whether a way agrees with float32 as far as can be asked. Float32's own ways do, if nothing compiled them."""
        own = way.precision in ("float32", "float64") and not way.compile
        return own or way.alike >= min(ALIKE, self.own - SLACK)

    def applied_to(self, recipe: Recipe) -> Recipe:
        """The recipe with the quickest way."""
        way = self.quickest
        return replace(recipe, layout=way.layout, precision=way.precision, compile=way.compile)  # type: ignore[arg-type]

    def note(self, what: str) -> str:
        """The outcome in a line, of `what` was timed."""
        chosen = self.quickest
        tried = ", ".join(
            f"{way.layout} {way.precision}{' compiled' if way.compile else ''} {way.step_ms:.0f} ms"
            + ("" if self.sound(way) else f" ({'refused: ' * (way != chosen)}not as float32)")
            for way in sorted(self.ways, key=_step_of)
        )
        outcome = "; ".join(filter(None, (tried, self.untried)))
        return f"{what}{' (measured before)' if self.remembered else ''}: {outcome}"

    def to_dict(self) -> dict[str, Any]:
        """As run.json keeps it."""
        return {
            "ways": [asdict(way) for way in self.ways],
            "own": self.own,
            "remembered": self.remembered,
            "untried": self.untried,
        }


def _step_of(way: Trial) -> float:
    return way.step_ms


class TrialCache:
    """Keeps what was measured of `model` in `folder`, by machine, ranks, versions, the network's shapes and `asked`."""

    def __init__(self, folder: Path, model: nn.Module, ranks: Ranks, asked: Any) -> None:
        shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        known = json.dumps([ranks.machine, versions(), asked, sorted(shapes.items())])
        self._path, self._ranks = folder / f"{hashlib.sha256(known.encode()).hexdigest()[:32]}.json", ranks

    def recall(self) -> Trials | None:
        """What the first rank remembers, on every rank."""
        found = None
        with suppress(PennyweightError, TypeError, KeyError):
            kept = read_json(self._path)
            found = Trials(ways=tuple(Trial(**way) for way in kept["ways"]), own=kept["own"], remembered=True)
        remembered: Trials | None = self._ranks.gather(found)[0]
        return remembered

    def keep(self, found: Trials) -> Trials:
        """The same, which the first rank remembers from now on."""
        if not self._ranks.number:
            with suppress(OSError):  # a machine without a place to remember measures each time
                self._path.parent.mkdir(parents=True, exist_ok=True)
                write_json(self._path, found.to_dict())
        return found
