"""Lists that grow with the data, said by reason: a count and three examples for each, however many there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pennyweight.core.figures import number, several

__all__ = ["EXAMPLES", "UNANSWERED", "Reasons", "by_reason", "doctor_lists", "few", "reason_alone", "such_as"]

EXAMPLES = 3
"""Names that a line gives."""
MOST_NAMES = 10
"""Names that an error lists, such as those of columns or classes."""
MOST_REASONS = 10
"""Reasons that have a line of their own; the rest, which differ in little, share one."""
UNANSWERED = "no prediction for "
"""Beginning of the reason of a picture that was read, and has no answer."""
FIGURE = re.compile(r" \([^()]*\)$")
NUMBERS = re.compile(r"\d[\d,.]*")


def such_as(names: Sequence[str]) -> str:
    """Return the first names as text: "a", "a and b", "a, b and c"."""
    first = names[:EXAMPLES]
    return " and ".join(filter(None, (", ".join(first[:-1]), *first[-1:])))


def few(names: Sequence[str], most: int = MOST_NAMES) -> str:
    """Return names as text, the first of many: "a, b, c and 1,234 more"."""
    more = len(names) - most
    return f"{', '.join(names[:most])}{f' and {more:,} more' if more > 0 else ''}"


def doctor_lists(address: str) -> str:
    """Return a line with the command that lists every picture of a source that cannot be read.

    Args:
        address: Address of the source; empty for one that a program passed, which no command opens.
    """
    command = f"pennyweight doctor {shlex.quote(address)} --json" if address else "pw.doctor"
    return f"`{command}` lists all of them"


def reason_alone(name: str, reason: str) -> str:
    """Return a reason without the name that it begins with: "cannot read /a/b.png: it is empty" -> "it is empty"."""
    alone = ""
    if name and reason.startswith(("cannot read ", UNANSWERED)):
        alone = reason.partition(f"{name}: ")[2]
    elif name and reason.startswith((f"{name}: ", f"{name} ")):
        alone = reason[len(name) :].lstrip(": ")
    return alone or reason


@dataclass
class _Case:
    """Number of things with a reason, the first reason in full, and the first names."""

    reason: str
    alone: str
    is_unanswered: bool
    are_alike: bool = True
    """False if the reasons differ in a number."""
    count: int = 0
    names: list[str] = field(default_factory=list)

    @property
    def of_several(self) -> str:
        """Reason of all, without a figure in parentheses at the end that differs, such as how typical a picture is."""
        return self.alone if self.are_alike or not self.is_unanswered else FIGURE.sub("", self.alone)


class Reasons:
    """Counter of things by the reason for which they are left out; it keeps three names a reason."""

    def __init__(self, thing: str = "picture") -> None:
        self.thing = thing
        self.count = 0
        self._cases: dict[tuple[bool, str], _Case] = {}

    def add(self, name: str, reason: str) -> None:
        """Count one thing; reasons that differ in its name or in numbers only, such as a size, are the same."""
        alone = reason_alone(name, reason)
        plain = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "", alone) if name and name in alone else alone
        is_unanswered = reason.startswith(UNANSWERED)
        key = is_unanswered, NUMBERS.sub("0", plain)
        case = self._cases.setdefault(key, _Case(reason, alone, is_unanswered))
        case.are_alike &= alone == case.alone
        case.count += 1
        case.names += [name] * (len(case.names) < EXAMPLES)
        self.count += 1

    @property
    def shown(self) -> bool:
        """Return whether `lines` names every thing, so that no list of all is needed."""
        return len(self._cases) <= MOST_REASONS and all(case.count <= EXAMPLES for case in self._cases.values())

    @property
    def unanswered(self) -> int:
        """Number of things that were read, and have no answer."""
        return sum(case.count for case in self._cases.values() if case.is_unanswered)

    @property
    def in_words(self) -> str:
        """Both counts: "4 without a prediction, 2 could not be read"; empty for none."""
        counts = {"without a prediction": self.unanswered, "could not be read": self.count - self.unanswered}
        return ", ".join(f"{number(count)} {what}" for what, count in counts.items() if count)

    def lines(self, start: str, *, one: str | None = None, listed: str = "") -> list[str]:
        """Return a line for each reason, the most frequent first, after those of things that were read.

        Args:
            start: Beginning of a line about several things, before their number; UNANSWERED where they were read.
            one: Beginning of a line about a single thing, before its reason; by default `start`.
            listed: Last line, such as "run.json lists all of them", unless the others name every thing.
        """
        one = start if one is None else one
        cases = sorted(self._cases.values(), key=lambda case: (not case.is_unanswered, -case.count))
        lines = [
            one + case.reason
            if case.count == 1
            else f"{UNANSWERED if case.is_unanswered else start}{several(case.count, self.thing)}, such as "
            f"{such_as(case.names)}: {case.of_several}"
            for case in cases[:MOST_REASONS]
        ]
        if rest := cases[MOST_REASONS:]:
            count = several(sum(case.count for case in rest), self.thing)
            lines.append(f"{start}{count} for {number(len(rest))} other reasons, such as: {rest[0].reason}")
        return [*lines, listed] if listed and not self.shown else lines


def by_reason(
    things: Iterable[tuple[str, str]], start: str, *, one: str | None = None, listed: str = "", thing: str = "picture"
) -> list[str]:
    """Return the lines of `Reasons` for things, each a name and a reason that names it."""
    reasons = Reasons(thing)
    for name, reason in things:
        reasons.add(name, reason)
    return reasons.lines(start, one=one, listed=listed)
