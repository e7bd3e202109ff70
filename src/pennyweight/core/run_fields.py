"""The fields of run.json that commands rely on: present and of their types, else the run is not as `fit` wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pennyweight.core.errors import InputError, RunError
from pennyweight.core.settings import kept

__all__ = ["require_fields"]

Object = Mapping[str, Any]
FIELDS: Mapping[str, Any] = {
    "model": Object,
    "model.name": str,
    "data": Object,
    "data.source": str,
    "data.address": str | Object,
    "data.labels": tuple[str, ...],
    "data.fingerprint": str,
}
OF_PICTURES: Mapping[str, Any] = {"preprocess": Object, "data.address": str}
OF_SCENES: Mapping[str, Any] = {
    "scene": Object,
    "scene.window": int,
    "scene.options": Object,
    "seed": int,
    "data.address": Object,
    "data.address.cube": str,
    "data.ids": tuple[int, ...],
}
OPTIONAL: Mapping[str, Any] = {
    "data.group_by": str | None,
    "data.twins": str | None,
    "data.folds": int | None,
    "data.names": tuple[str, ...] | None,
    "data.address.labels": str,
    "data.address.background": str,
    "data.notes": tuple[str, ...],
    "status": str,
    "created": str,
    "best": Object | None,
    "asked": Object,
    "recipe": Object,
    "machine": Object,
    "versions": Object,
}
"""Dotted name of a field -> its type."""


def require_fields(record: Object, path: Path) -> None:
    """Raise RunError, which names the file and the field, for a record without a field or with another type there."""
    needed = {**FIELDS, **(OF_SCENES if "scene" in record else OF_PICTURES)}
    for name, kind in {**OPTIONAL, **needed}.items():
        value: Any = record
        *above, last = name.split(".")
        for part in above:
            value = value.get(part) if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or last not in value:
            if name in needed:
                raise RunError(f"{path} is not as `fit` wrote it: it has no {name}")
            continue
        try:
            kept(name, value[last], kind, "run.json")
        except InputError as error:
            raise RunError(f"{path} is not as `fit` wrote it: {error}") from error
