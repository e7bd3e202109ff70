"""Sizes in bytes as people write them: 256MB, 1.5 GB, 64MiB."""

from __future__ import annotations

import re

from pennyweight.core.errors import InputError, received

__all__ = ["parse_size"]

UNITS = {"": 1, "B": 1} | {
    f"{letter}{rest}": base**power
    for power, letter in enumerate("KMGT", 1)
    for rest, base in (("", 1000), ("B", 1000), ("IB", 1024))
}
"""Unit in capital letters -> bytes."""


def parse_size(size: str | int, option: str) -> int:
    """Return a size in bytes. Raises InputError, which names the option, for anything else than a positive size."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", str(size))
    unit = UNITS.get(found[2].upper()) if found else None
    count = int(float(found[1]) * unit) if found and unit else 0
    if isinstance(size, bool) or count < 1:
        raise InputError(f"{option} is a size such as 256MB or 1GB, not {received(size)}")
    return count
