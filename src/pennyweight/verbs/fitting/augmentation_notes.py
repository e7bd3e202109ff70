"""Record of the check of an augmentation: the changes that are left out, and lines for the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pennyweight.train import Recipe
from pennyweight.train.contradictions import Findings, Pair

__all__ = ["describe_findings", "field_of", "without"]

SHOWN = 3
"""Most pairs of classes in a line."""
OFF: Mapping[str, Any] = {"flip": False, "shift": 0.0, "erase": 0.0}
"""Field of the recipe -> value without the change."""
NOUNS = {"flip": "mirroring", "shift": "shifting", "erase": "random erasing"}


def field_of(change: str) -> str:
    """Return the field of the recipe that has a change."""
    return change if change in OFF else "without"


def without(recipe: Recipe, names: Sequence[Any]) -> Recipe:
    """Return the recipe without these changes."""
    off = {name: OFF[name] for name in names if name in OFF}
    return replace(recipe, **off, without=(*recipe.without, *(name for name in names if name not in OFF)))


def describe_findings(found: Findings, recipe: Recipe, labels: Sequence[str], said: frozenset[str]) -> dict[str, Any]:
    """Return what run.json keeps: changes to leave out with their pairs of classes, lines about them, and figures.

    A change that the user set stays, and its line says so.
    """
    notes, left_out = [], {}
    for name, pairs in found.lost.items():
        field = field_of(name)
        noun, reason = _noun(name, recipe), _reason(pairs, labels)
        if field in said:
            notes.append(f"{noun} stays, as it was set, but it contradicts the labels: {reason}")
            continue
        keep = f"{field}={str(getattr(recipe, field)).lower()}" if name in OFF else "without=none"
        notes.append(f"{noun} left out: {reason}; --set {keep} keeps it")
        left_out[name] = [[labels[pair.one], labels[pair.other]] for pair in pairs]
    kept = without(recipe, [*left_out])
    notes += [
        *_of_uncertain(found.undecided, f"{found.seconds:.0f} s", kept),
        *_of_uncertain(found.doubtful, f"{found.scored:,} pictures to score", kept),
        *_of_untold(found, labels),
    ]
    if found.told[0] and found.untried:
        names = ", ".join(_noun(name, recipe) for name in found.untried)
        notes.append(f"not checked against the labels, because {found.seconds:.0f} s were too few: {names}")
    return {
        "left_out": left_out,
        "notes": notes,
        "pairs_told_apart": list(found.told),
        "undecided": [*found.undecided, *found.doubtful],
        "untried": found.untried,
        "told_apart_when_changed": {name: round(share, 3) for name, share in found.shares.items()},
        "scored": found.scored,
        "side": found.side,
        "steps": found.steps,
        "seconds": round(found.seconds, 1),
    }


def _of_uncertain(names: Sequence[str], too_few: str, recipe: Recipe) -> list[str]:
    """Return a line on changes that stay but may contradict the labels, with the setting that leaves them out."""
    if not names:
        return []
    nouns = [_noun(name, recipe) for name in names if name in OFF]
    if policy := [name for name in names if name not in OFF]:
        nouns += [*policy[:-1], f"{policy[-1]} of policy {recipe.policy}"]
    settings = [f"{name}={OFF[name]:g}" if OFF[name] is not False else f"{name}=false" for name in names if name in OFF]
    if policy:
        settings.append("without=" + ",".join((*recipe.without, *policy)))
    several, sets = len(names) > 1, " ".join(f"--set {each}" for each in settings)
    return [
        f"{_listed(nouns)} stay{'' if several else 's'}, but may make classes alike: {too_few} were too few to find "
        f"out; {sets} leave{'' if len(settings) > 1 else 's'} {'them' if several else 'it'} out"
    ]


def _of_untold(found: Findings, labels: Sequence[str]) -> list[str]:
    """Return a line on the classes for which nothing was checked, and one on the classes without scored pictures."""
    (told, pairs), lines = found.told, []
    if not told:
        return [
            f"augmentation was not checked against the labels: a quick network did not tell the classes apart "
            f"within {found.seconds:.0f} s"
        ]
    if told < pairs:
        untold = ", ".join(f"{labels[one]} and {labels[other]}" for one, other in found.untold)
        named = 0 < len(found.untold) <= SHOWN
        these = untold if named else f"{pairs - told:,} of {pairs:,} pairs of classes"
        lines.append(f"augmentation was not checked for {these}: a quick network did not tell them apart")
    if found.unscored:
        names = [labels[each] for each in found.unscored]
        these = _listed(names) if len(names) <= SHOWN else f"{len(names):,} of {len(labels):,} classes"
        lines.append(f"augmentation was not checked for {these}: no picture was left to score")
    return lines


def _listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence, such as "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _noun(name: str, recipe: Recipe) -> str:
    """Return a change in words."""
    return NOUNS.get(name, f"{name} of policy {recipe.policy}")


def _reason(pairs: Sequence[Pair], labels: Sequence[str]) -> str:
    """Say which classes a change makes alike."""
    pairs = sorted(pairs, key=lambda pair: not pair.exchanged)
    shown = ", ".join(f"{labels[pair.one]} and {labels[pair.other]}" for pair in pairs[:SHOWN])
    more = f" (and {len(pairs) - SHOWN} more pairs)" if len(pairs) > SHOWN else ""
    return f"{shown}{more} {'become each other' if pairs[0].exchanged else 'look alike'}"
