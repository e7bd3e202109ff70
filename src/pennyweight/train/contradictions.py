"""Changes of an augmentation that contradict the labels: one class cannot be told from another once changed.

A quick network learns from unchanged pictures, and then classifies changed pictures that it has not seen: a mirrored
cat is still a cat to it, a mirrored b is a d. A change that confuses it is suspect, and a copy of the network is
trained further with changed pictures. It soon learns a change that was only unknown, and never one that contradicts the
labels.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch

from pennyweight.data import Augment
from pennyweight.data.augment.alone import change_alone, changes_of
from pennyweight.train.examples import Examples, hold_out
from pennyweight.train.quick_network import QuickNetwork, shrink
from pennyweight.train.reproducible import reproducible
from pennyweight.train.told_apart import ToldApart, told_apart

__all__ = ["Examples", "Findings", "find_contradictions"]

SIDES = (32, 64)
"""Sides in pixels of the pictures to learn from: the larger where the smaller do not tell the classes apart."""
ROUND = 25
"""Steps after which the network is scored."""
ROUNDS = 8
"""Most rounds at the first side; half as many at the next."""
LEARNED = 0.97
"""Share of right pictures, for every pair of classes, from which on a network has learned enough."""
LEFT, LEFT_ALIKE = 0.3, 0.15
"""Shares of the gain over chance, left on changed pictures, below which a change is suspect, or makes classes alike."""
ENOUGH = 1_600
"""Changed pictures that the network sees before it is certain that it cannot learn them."""
ALWAYS = "shift"
"""The change that a recipe applies to every picture; of the others, every third picture is changed."""
VIEWS = 2
"""Draws of a change for each scored picture."""
SCORING = 0.25
"""Share of the time in which the pictures to score are answered once with every change: there are fewer on a slow
machine."""
SCORED_AT_ONCE = 128


class Pair(NamedTuple):
    """Two classes that a change makes alike."""

    one: int
    other: int
    exchanged: bool
    """True if most pictures of each class look like the other one; False if they only look alike."""


@dataclass
class Findings:
    """Changes that were tried, and the pairs of classes that each makes alike."""

    told: tuple[int, int] = (0, 0)
    """Pairs of classes that were told apart unchanged, and all pairs."""
    shares: dict[str, float] = field(default_factory=dict)
    """Change -> share of right pictures in the pair that suffers most, before further training."""
    lost: dict[str, list[Pair]] = field(default_factory=dict)
    """Change that contradicts the labels -> pairs of classes that it makes alike, the worst first."""
    undecided: list[str] = field(default_factory=list)
    """Changes that confuse the network still, though it saw too few of their pictures to be certain."""
    doubtful: list[str] = field(default_factory=list)
    """Changes that confused the network more than luck explains, and that too few pictures clear."""
    untold: list[tuple[int, int]] = field(default_factory=list)
    """Pairs of classes that were not told apart unchanged."""
    unscored: list[int] = field(default_factory=list)
    """Classes without a scored picture."""
    untried: list[str] = field(default_factory=list)
    """Changes for which no time was left."""
    scored: int = 0
    """Number of scored pictures."""
    side: int = 0
    steps: int = 0
    seconds: float = 0.0


def find_contradictions(
    training: Examples, scored: Examples, augment: Augment, *, classes: int, seed: int, steps: int, within_s: float,
    device: torch.device, clock: Callable[[], float] = perf_counter,
) -> Findings:  # fmt: skip
    """Find the changes of `augment` that contradict the labels.

    Args:
        training: Pictures to learn from, unchanged.
        scored: Other pictures, to answer for. Where a class has few, some of its training pictures are held out too.
        augment: The changes.
        classes: Number of classes.
        seed: Seed of every random choice.
        steps: Most steps of the quick network.
        within_s: Seconds after which no step and no scoring begins, and into which the scoring fits that follows a
            step; half of them at most for unchanged pictures.
        device: Device that computes.
        clock: Clock of `within_s`.
    """
    started = perf_counter()
    with reproducible(seed):
        search = _Search(training, scored, augment, classes, seed, steps, within_s, device, clock)
        any(search.learn(side) for side in SIDES)
        search.try_changes()
    search.findings.seconds = perf_counter() - started
    return search.findings


def views_of(change: str) -> int:
    """Return the number of draws of a change for each scored picture; there is one mirror."""
    return 1 if change == "flip" else VIEWS


class _Search:
    """Quick network, the pictures that it sees, and what was found."""

    def __init__(
        self, training: Examples, scored: Examples, augment: Augment, classes: int, seed: int, steps: int,
        within_s: float, device: torch.device, clock: Callable[[], float],
    ) -> None:  # fmt: skip
        self.whole, self.augment, self.classes, self.seed = hold_out(training, scored, seed), augment, classes, seed
        self.steps, self.device, self.clock = steps, device, clock
        self.half_time, self.deadline = (clock() + part * within_s for part in (0.5, 1.0))
        self.view_s = SCORING * within_s / max(1, sum(map(views_of, changes_of(augment))))
        """Time in which the pictures to score are answered once."""
        self.findings = Findings()
        self.network: QuickNetwork
        self.told: ToldApart
        self.seen: tuple[Examples, Examples]
        self.changed: dict[str, ToldApart] = {}
        self.scoring_s = 0.0
        """Longest time of a scoring."""

    def learn(self, side: int) -> bool:
        """Learn to tell apart unchanged pictures. Return True if nothing is left to learn, or no time for it."""
        training, scored = (Examples(shrink(part.pixels, side), part.targets) for part in self.whole)
        if self.findings.side and scored.pixels.shape[1:] == self.seen[1].pixels.shape[1:]:
            return True
        network, batches = QuickNetwork(training.pixels, self.classes, self.device), training.batches(self.seed)
        scored = self.affordable(network, scored)
        for _ in range(ROUNDS * SIDES[0] // side):
            for _ in range(ROUND):
                network.learn(*next(batches))
                self.findings.steps += 1
                if self.clock() >= self.half_time:
                    break
            told = self.score(network, scored)
            over = self.findings.steps >= self.steps or self.clock() >= self.half_time
            if over or told.least >= LEARNED:
                break
        if not self.findings.side or told.number > self.told.number:
            self.network, self.told, self.seen = network, told, (training, scored)
            self.findings.side, self.findings.told = side, told.number
            self.findings.scored, self.findings.untold = len(scored.targets), told.untold
            self.findings.unscored = np.flatnonzero(told.counts == 0).tolist()
        return over or told.least >= LEARNED

    def affordable(self, network: QuickNetwork, scored: Examples) -> Examples:
        """Return as many of the pictures as the network answers within `view_s`."""
        began = self.clock()
        for count in range(SCORED_AT_ONCE, len(scored.targets), SCORED_AT_ONCE):
            network.answer(scored.pixels[count - SCORED_AT_ONCE : count])
            if self.clock() - began >= self.view_s:
                return Examples(scored.pixels[:count], scored.targets[:count])
        return scored

    def score(self, network: QuickNetwork, scored: Examples, change: str | None = None) -> ToldApart:
        """Return the classes that are told apart in unchanged pictures, or in changed ones."""
        began, (pixels, targets) = self.clock(), scored
        views = [pixels]
        if change is not None:
            views = [
                change_alone(pixels, change, self.augment, seed=self.seed, epoch=view)
                for view in range(views_of(change))
            ]
        told = told_apart(network.answer(np.concatenate(views)), np.tile(targets, len(views)))
        self.scoring_s = max(self.scoring_s, self.clock() - began)
        return told

    def is_over(self, scorings: int) -> bool:
        """Return True if less time is left than this number of scorings takes."""
        return self.clock() + scorings * self.scoring_s >= self.deadline

    def try_changes(self) -> None:
        """Find the changes that confuse the network, and learn on with them."""
        names = changes_of(self.augment)
        for number, name in enumerate(names):
            if self.is_over(1):
                self.findings.untried = [*names[number:]]
                break
            self.changed[name] = changed = self.score(self.network, self.seen[1], name)
            self.findings.shares[name] = changed.least
        suspects = [name for name, changed in self.changed.items() if self.told.suffers(changed, LEFT).any()]
        for together in ([ALWAYS] * (ALWAYS in suspects), [name for name in suspects if name != ALWAYS]):
            if together:
                self.learn_on(together)

    def learn_on(self, names: list[str]) -> None:
        """Learn on with these changes, until each is learned or its pictures were seen often enough."""
        network, times = copy.deepcopy(self.network), dict.fromkeys(names, 0)
        training, scored = self.seen
        own, others = training.batches(self.seed + 1), training.batches(self.seed + 2)
        left, now = names, self.changed
        while left and any(times[name] < ENOUGH for name in left) and not self.is_over(len(left)):
            for step in range(ROUND):
                name = left[step % len(left)]
                pixels, targets = next(others)
                if name != ALWAYS:
                    pixels, targets = pixels[::2], targets[::2]
                times[name] += len(targets)
                pixels = change_alone(pixels, name, self.augment, seed=self.seed + 2, epoch=network.steps)
                if name != ALWAYS:
                    unchanged = next(own)
                    pixels, targets = np.concatenate([pixels, unchanged[0]]), np.concatenate([targets, unchanged[1]])
                network.learn(pixels, targets)
                self.findings.steps += 1
                if self.is_over(len(left)):
                    break
            now = {name: self.score(network, scored, None if name == ALWAYS else name) for name in left}
            left = [name for name in left if self.told.suffers(now[name], LEFT).any() or self.doubts(name, now[name])]
        for name in left:
            often = times[name] >= ENOUGH
            if times[name] and (pairs := self.lost(name, now[name], often=often)):
                self.findings.lost[name] = pairs
            elif not often:
                self.findings.undecided.append(name)
            elif self.doubts(name, now[name]):
                self.findings.doubtful.append(name)

    def doubts(self, name: str, now: ToldApart) -> bool:
        """Return True if a pair fell at first by more than luck explains, and is not surely above the limit now."""
        first = self.changed[name]
        fell = self.told.suffers(first, LEFT) & self.told.falls(first)
        return bool((fell & ~self.told.surely_keeps(now, LEFT)).any())

    def lost(self, name: str, now: ToldApart, *, often: bool) -> list[Pair]:
        """Return the pairs of classes that are still not told apart once changed.

        The change is to blame if most of its pictures looked like the other class at first. If both classes look
        alike, they must have been learned well, changed pictures must have been seen often, and enough of them scored:
        of the thousands of pairs of a hundred classes, some have few right pictures by luck.
        """
        exchanged = self.told.suffers(now, LEFT) & self.changed[name].below_chance
        alike = self.told.suffers(now, LEFT_ALIKE, LEARNED) & now.below_half & often
        return [Pair(one, other, bool(exchanged[one, other])) for one, other in np.argwhere(exchanged | alike).tolist()]
