"""Frozen dataclasses as settings: fields overridden by name, from text or values, with their types kept."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pennyweight.core.errors import InputError, nearest
from pennyweight.core.synonyms import hint, hint_of_value

__all__ = ["from_json", "kept", "override", "parse", "parse_pairs", "parse_share"]

T = TypeVar("T")
_hints = functools.cache(typing.get_type_hints)


def parse_pairs(pairs: Iterable[str], option: str, *, example: str) -> dict[str, str]:
    """Parse ["width=0.5", …] as {"width": "0.5", …}. Raises InputError for anything that is not NAME=VALUE."""
    parsed = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputError(f"{option} '{pair}' is not NAME=VALUE; for example {option} {example}")
        if name in parsed:
            raise InputError(f"{option} {name}= was given twice; keep one")
        parsed[name] = value.strip()
    return parsed


def parse(value: Any) -> Any:
    """Parse text as the number, truth value or None that it spells, for a setting without a type; return other text."""
    for kind in (bool, int, float, type(None)):
        if isinstance(value, str):
            matched, result = _as(value, kind)
            if matched and not (kind is bool and value in ("0", "1")):
                return result
    return value


def parse_share(text: str, option: str, *, example: str, zero: bool = True) -> float:
    """Parse "1%" or "0.01" as 0.01.

    Raises InputError for other text, for a number from 1 without a percent sign, which is unclear, and for 0 where
    `zero` is not allowed.
    """
    digits, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        value = float(digits) / (100 if percent else 1)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1 or (value == 0 and not zero):
        hint = f"; did you mean {option} {digits}%?" if not percent and 1 <= value < 100 else ""
        least = "from 0% to" if zero else "above 0% and"
        raise InputError(f"{option} '{text}' is not a share {least} below 100%, such as {example}{hint}")
    return value


def override(settings: T, changes: Mapping[str, Any], *, what: str) -> T:
    """Return a copy of the dataclass `settings` with `changes`; text is converted to the field's type.

    Raises InputError for an unknown field (with the nearest one) or a value of another type. Rules that
    join several fields belong in the dataclass's own __post_init__.
    """
    kind: Any = type(settings)
    fields = _hints(kind)
    for name in changes:
        if name not in fields:
            known = ", ".join(fields)
            raise InputError(f"unknown {what} field '{name}'{hint(name, fields, otherwise=f'; it has {known}')}")
    converted = {name: _convert(name, value, fields[name], what) for name, value in changes.items()}
    return dataclasses.replace(settings, **converted)  # type: ignore[type-var]


def kept(name: str, value: Any, annotation: Any, what: str) -> Any:
    """Return a value of a JSON file as the annotated type; text does not stand for another type. Raises InputError."""
    converted = _convert(name, value, annotation, what)
    if isinstance(value, str) and not isinstance(converted, str):
        raise InputError(f"{what} field '{name}' is the text {value!r}, where another type is kept")
    return converted


def from_json(kind: type[T], values: Mapping[str, Any], *, what: str) -> T:
    """Make the dataclass `kind` from fields of a JSON file. Raises InputError for unknown, missing or other values."""
    assert dataclasses.is_dataclass(kind)
    hints, fields = _hints(kind), {field.name: field for field in dataclasses.fields(kind)}
    if strange := [name for name in values if name not in fields]:
        raise InputError(f"{what} has an unknown field '{strange[0]}'{nearest(strange[0], fields)}")
    if lost := [n for n, field in fields.items() if n not in values and field.default is dataclasses.MISSING]:
        raise InputError(f"{what} has no '{lost[0]}'")
    return kind(**{name: kept(name, value, hints[name], what) for name, value in values.items()})


def _convert(name: str, value: Any, annotation: Any, what: str) -> Any:
    """Convert `value` to the annotated type: bool, int, float, str, a value of a Literal, or None."""
    options = [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        options = list(typing.get_args(annotation))
    for option in options:
        matched, result = _as(value, option)
        if matched:
            return result
    allowed = " or ".join(_spell(option) for option in options)
    close = hint_of_value(value, [one for option in options for one in typing.get_args(option) if isinstance(one, str)])
    raise InputError(f"{what} field '{name}' must be {allowed}, not {value!r}{close}")


def _as(value: Any, kind: Any) -> tuple[bool, Any]:
    """Return whether `value` can be a `kind`, and the value as that kind."""
    text = value if isinstance(value, str) else None
    if kind is type(None):
        return value is None or text in ("none", "None"), None
    if typing.get_origin(kind) is typing.Literal:
        return isinstance(value, (str, int)) and value in typing.get_args(kind), value
    if typing.get_origin(kind) is Mapping:
        return isinstance(value, Mapping), value
    if kind is bool:
        named = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text is not None:
            return text.lower() in named, named.get(text.lower())
        return isinstance(value, bool), value
    if kind in (int, float):
        if isinstance(value, bool):  # which Python takes for an int
            return False, None
        try:
            number = kind(value)
        except (TypeError, ValueError, OverflowError):
            return False, None
        # int(2.5) is 2: a value that changes is refused.
        return text is not None or number == value, number
    if isinstance(kind, type):
        return isinstance(value, kind), value
    return _as_list(value, typing.get_args(kind)[0]) if typing.get_origin(kind) is tuple else (False, None)


def _as_list(value: Any, kind: Any) -> tuple[bool, Any]:
    """Convert a list of values of one kind, or of rows of a table (stages), from text or JSON.

    Text of words is words with commas between them, or none.
    """
    if isinstance(value, str) and typing.get_origin(kind) is typing.Literal and not value.startswith("["):
        value = [] if value in ("", "none", "None") else [word.strip() for word in value.split(",")]
    if isinstance(value, str):
        try:
            value = json.loads(value if value.startswith("[") else f"[{value}]")
        except ValueError:
            return False, None
    if not isinstance(value, (list, tuple)):
        return False, None
    if not hasattr(kind, "_fields"):
        found = [_as(item, kind) for item in value]
        return all(matched for matched, _ in found), tuple(item for _, item in found)
    try:
        return True, tuple(item if isinstance(item, kind) else kind(*item) for item in value)
    except TypeError:
        return False, None


def _spell(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return "one of " + ", ".join(map(str, typing.get_args(kind)))
    if typing.get_origin(kind) is Mapping:
        return "an object of names and values"
    if typing.get_origin(kind) is tuple:
        row = typing.get_args(kind)[0]
        fields = getattr(row, "_fields", None)
        return f"a list of [{', '.join(fields)}]" if fields else f"a list, each {_spell(row)}"
    return {int: "a whole number", float: "a number", bool: "true or false", type(None): "none"}.get(
        kind, getattr(kind, "__name__", str(kind))
    )
