"""Budget: the limits that a network has to keep, each with its unit."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Self

from pennyweight.core.errors import InputError, received
from pennyweight.core.figures import megabytes, number, several, share
from pennyweight.core.sizes import parse_size
from pennyweight.core.summary import Facts, Summary

__all__ = ["LIMITS", "Budget", "Limit", "option_of"]

MS_OF = {"": 1.0, "ms": 1.0, "s": 1000.0, "us": 0.001, "µs": 0.001}
"""Unit of time -> milliseconds."""
THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
"""Comma between groups of three digits; a comma before the decimals is none."""
TIMES = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
"""Letter of a count -> factor."""


def _parse_number(text: Any, option: str, units: dict[str, float], example: str) -> float:
    """Return a positive number with a unit. Raises InputError for anything else."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?(?:[eE][0-9]+)?)\s*([A-Za-zµ]*)\s*", THOUSANDS.sub("", str(text)))
    unit = units.get(found[2]) if found else None
    if found and unit is None:
        unit = units.get(found[2].upper(), units.get(found[2].lower()))
    value = float(found[1]) * unit if found and unit else math.nan
    if isinstance(text, bool) or not 0 < value < math.inf:
        decimal = str(text).replace(",", ".")
        hint = f"; did you mean {decimal}?" if re.fullmatch(r"[0-9]+,[0-9]+\s*[A-Za-zµ]*", str(text)) else ""
        raise InputError(f"{option} is a number above 0 such as {example}, not {received(text)}{hint}")
    return value


def _parse_ms(text: Any, option: str) -> float:
    return _parse_number(text, option, MS_OF, "8, 8ms or 0.5s")


def _parse_count(text: Any, option: str) -> int:
    count = int(_parse_number(text, option, TIMES, "4M, 300K or 1.2G"))
    if count < 1:
        raise InputError(f"{option} is a whole number from 1 such as 4M, 300K or 1.2G, not {received(text)}")
    return count


def _parse_accuracy(text: Any, option: str) -> float:
    """Return a share of 0 to 1: 0.97 and "97%" are the same. Raises InputError for other values."""
    digits, percent = str(text).strip().removesuffix("%"), str(text).strip().endswith("%")
    try:
        value = float(digits) / (100 if percent else 1)
    except ValueError:
        value = math.nan
    if isinstance(text, bool) or not 0 < value <= 1:
        hint = f"; did you mean {option} {digits}%?" if not percent and 1 < value <= 100 else ""
        raise InputError(f"{option} is an accuracy above 0% and at most 100%, such as 97%, not {received(text)}{hint}")
    return value


FEW_BYTES = 10_000


class Limit(NamedTuple):
    """Limit of a budget: how it is read and shown, and on which side of it a network stays."""

    title: str
    parse: Callable[[Any, str], Any]
    show: Callable[[Any], str]
    is_least: bool = False
    """True for a value that a network has to reach, False for one that it must not exceed."""

    def keeps(self, value: float, limit: float) -> bool:
        """Return whether a value keeps the limit."""
        return value >= limit if self.is_least else value <= limit

    def excess(self, value: float, limit: float) -> float:
        """Return by which share of the limit a value breaks it; 0 where it keeps it."""
        return 0.0 if self.keeps(value, limit) else abs(value - limit) / limit


def _milliseconds(value: float) -> str:
    return f"{number(value)} ms"


def _size(value: float) -> str:
    """Return a size; one that nobody would write as megabytes in bytes, which shows a unit that was left out."""
    return megabytes(int(value)) if value >= FEW_BYTES else several(int(value), "byte")


LIMITS = {
    "ms": Limit("milliseconds", _parse_ms, _milliseconds),
    "params": Limit("parameters", _parse_count, number),
    "macs": Limit("MACs", _parse_count, number),
    "size_bytes": Limit("file size", parse_size, _size),
    "memory_bytes": Limit("memory", parse_size, _size),
    "accuracy": Limit("accuracy", _parse_accuracy, share, is_least=True),
}
"""Field of a budget -> its limit."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Budget(Summary):
    """Limits that a network has to keep. None stands for no limit."""

    ms: float | None = None
    """Most milliseconds of one call of the engine."""
    params: int | None = None
    """Most parameters."""
    macs: int | None = None
    """Most multiply-accumulates for one picture."""
    size_bytes: int | None = None
    """Largest bundle in bytes."""
    memory_bytes: int | None = None
    """Most memory of weights and activations together, in bytes."""
    accuracy: float | None = None
    """Least accuracy, 0 to 1."""

    @classmethod
    def parse(cls, **limits: Any) -> Self:
        """Return the budget of limits as people write them: `ms="8"`, `params="4M"`, `size_bytes="4MB"`.

        Raises:
            InputError: A limit cannot be read, or is not above 0.
        """
        return cls(
            **{name: LIMITS[name].parse(text, option_of(name)) for name, text in limits.items() if text is not None}
        )

    def __post_init__(self) -> None:
        for name, value in self.limits().items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
                raise InputError(f"the limit {name} is a number above 0, not {received(value)}")

    def limits(self) -> dict[str, Any]:
        """Return the limits that are set."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value is not None}

    def excesses(self, values: dict[str, float]) -> dict[str, float]:
        """Return the limits that the values exceed, each with the share of the limit by which it is broken."""
        broken = {name: LIMITS[name].excess(values[name], limit) for name, limit in self.limits().items()}
        return {name: excess for name, excess in broken.items() if excess > 0}

    def described(self) -> Facts:
        """Yield the title and the text of each limit that is set: "milliseconds", "at most 8 ms"."""
        for name, value in self.limits().items():
            limit = LIMITS[name]
            yield limit.title, f"{'at least' if limit.is_least else 'at most'} {limit.show(value)}"

    def _facts(self) -> Facts:
        return self.described()


def option_of(name: str) -> str:
    """Return the option of the command line that sets a limit: size_bytes -> --size."""
    return f"--{name.removesuffix('_bytes')}"
