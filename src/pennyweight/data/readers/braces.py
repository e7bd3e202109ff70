"""Braces in addresses: `train-{00..99}.tar` names a hundred files."""

from __future__ import annotations

import re

from pennyweight.core.errors import SourceError

__all__ = ["expand_braces"]


def expand_braces(address: str) -> list[str]:
    """Expand braces: `{train-{00..02},val-0}.tar` becomes four addresses. Raises SourceError for unbalanced braces."""
    start = address.find("{")
    if start < 0 and "}" not in address:
        return [address]
    parts, depth, place = [""], 0, start
    for place, letter in enumerate(address[start:], start):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth == 0:
            break
        if letter == "," and depth == 1:
            parts.append("")
        elif place > start:
            parts[-1] += letter
    if depth or "}" in address[: max(start, 0)] or start < 0:
        raise SourceError(f"{address} has a brace without its partner")
    span = re.fullmatch(r"(\d+)\.\.(\d+)", parts[0]) if len(parts) == 1 else None
    if span:
        low, high = span.groups()
        parts = [f"{number:0{len(low)}d}" for number in range(int(low), int(high) + 1)]
    rests = expand_braces(address[place + 1 :])
    return [address[:start] + inner + rest for part in parts for inner in expand_braces(part) for rest in rests]
