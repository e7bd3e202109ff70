"""Braces in addresses: `train-{00..99}.tar` names a hundred files."""

from __future__ import annotations

import re
from itertools import product
from math import prod
from typing import NamedTuple

from pennyweight.core.errors import SourceError
from pennyweight.core.figures import number
from pennyweight.data.readers.addresses import shown_address

__all__ = ["MOST_ADDRESSES", "expand_braces"]

MOST_ADDRESSES = 1_000_000
"""Addresses that one text may stand for."""
MOST_LEVELS = 20
"""Braces within braces."""
SPAN = re.compile(r"([0-9]{1,18})\.\.([0-9]{1,18})")


class _Brace(NamedTuple):
    """First brace of a text: what stands before it, its parts, and what follows."""

    before: str
    parts: list[str]
    rest: str

    @property
    def span(self) -> tuple[str, str] | None:
        """Return the first and the last number of `{00..99}`; None for a list."""
        found = SPAN.fullmatch(self.parts[0]) if len(self.parts) == 1 else None
        return None if found is None else (found[1], found[2])


def expand_braces(address: str) -> list[str]:
    """Expand braces: `{train-{00..02},val-0}.tar` becomes four addresses.

    Raises SourceError for unbalanced braces, a span that counts down, or more than MOST_ADDRESSES addresses.
    """
    shown = shown_address(address)
    if (count := _count(address, shown)) > MOST_ADDRESSES:
        what = number(count) if count < 10**18 else "too many"
        raise SourceError(f"{shown} stands for {what} addresses, and {number(MOST_ADDRESSES)} are the most; divide it")
    return _expand(address, shown)


def _count(text: str, address: str, levels: int = 0) -> int:
    """Return the number of addresses that a text stands for, without making them."""
    factors: list[int] = []
    while (brace := _first_brace(text, address)) is not None:
        if levels == MOST_LEVELS:
            raise SourceError(f"{address} has more than {MOST_LEVELS} braces within each other; write fewer")
        if brace.span:
            low, high = map(int, brace.span)
            if high < low:
                raise SourceError(f"{address} counts down from {low} to {high}; write the smaller number first")
            factors.append(high - low + 1)
        else:
            factors.append(sum(_count(part, address, levels + 1) for part in brace.parts))
        text = brace.rest
    return prod(factors)


def _expand(text: str, address: str) -> list[str]:
    pieces: list[list[str]] = []
    while (brace := _first_brace(text, address)) is not None:
        if brace.span:
            low, high = brace.span
            inner = [f"{place:0{len(low)}d}" for place in range(int(low), int(high) + 1)]
        else:
            inner = [each for part in brace.parts for each in _expand(part, address)]
        pieces += [[brace.before], inner]
        text = brace.rest
    return ["".join(each) for each in product(*pieces, [text])]


def _first_brace(text: str, address: str) -> _Brace | None:
    """Divide a text at its first brace; return None without one. Raises SourceError, with `address`, if unbalanced."""
    start = text.find("{")
    if start < 0 and "}" not in text:
        return None
    parts, depth, place = [""], 0, start
    for place, letter in enumerate(text[start:], start):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth == 0:
            break
        if letter == "," and depth == 1:
            parts.append("")
        elif place > start:
            parts[-1] += letter
    if depth or "}" in text[: max(start, 0)] or start < 0:
        raise SourceError(f"{address} has a brace without its partner")
    return _Brace(text[:start], parts, text[place + 1 :])
