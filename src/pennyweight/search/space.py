"""Candidates of a search: networks in every combination of width, depth, form and input size of a table."""

from __future__ import annotations

import dataclasses
import math
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

from pennyweight import zoo
from pennyweight.core.errors import InputError, nearest, received
from pennyweight.core.reading import reason_of

__all__ = ["Candidate", "candidates_of", "read_space"]

TABLE = "candidates"
NETWORK, SIZES, DEPTH, FORMS, STEM = "network", "sizes", "depth", "forms", "stem"
MOST = 100_000
"""Most candidates of a space; a thousand of them are counted in half a minute."""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """Network that a search compares: a name with fields of its Config, at one input size."""

    network: str
    config: Mapping[str, Any]
    size: int
    """Side of the square input in pixels."""
    changed: str
    """Difference from the published network, such as `width=0.5 depth=1.5`; empty for nothing."""
    stem: Any = None
    """Stem of the network, "imagenet" or "cifar"; None for the published one."""
    weights: str | None = None
    """Tag or file of first weights; None for a fresh network."""

    @property
    def name(self) -> str:
        """Name with what was changed and the size, such as `mobilenet_v2 width=0.5 at 160`."""
        return f"{self.network} {self.changed}".strip() + f" at {self.size}"


def read_space(path: str | os.PathLike[str] | None = None, *, small: bool = False) -> list[Mapping[str, Any]]:
    """Return the tables of a file in TOML; of the usual space, for photographs or for small pictures, for None.

    Raises:
        InputError: The file cannot be read, or has no table `candidates`.
    """
    where = "the usual space" if path is None else os.fspath(path)
    usual = files(__package__) / ("space_small.toml" if small else "space.toml")
    try:
        text = (usual if path is None else Path(path)).read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise InputError(f"--space {where} cannot be read as TOML: {reason_of(error)}") from error
    if unknown := [key for key in values if key != TABLE]:
        raise InputError(f"--space {where} has '{unknown[0]}', and only tables [[{TABLE}]] are read")
    tables = values.get(TABLE)
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise InputError(f'--space {where} needs a table [[{TABLE}]] with a network, such as network = "mobilenet_v2"')
    return tables


def candidates_of(tables: Iterable[Mapping[str, Any]]) -> list[Candidate]:
    """Return the candidates of tables in their order, each network and size once.

    Raises:
        InputError: A table names no network, an unknown field, or a list that is none.
    """
    found: dict[Any, Candidate] = {}
    for table in tables:
        for candidate in _of_table(table):
            found.setdefault((candidate.network, str(candidate.config), candidate.size), candidate)
            if len(found) > MOST:
                raise InputError(f"the space has more than {MOST:,} candidates; name fewer values")
    return list(found.values())


def _of_table(table: Mapping[str, Any]) -> Iterator[Candidate]:
    if NETWORK not in table:
        raise InputError(f"a table [[{TABLE}]] needs a network; it has {', '.join(table) or 'nothing'}")
    lists = {key: _values(key, value) for key, value in table.items() if key not in (NETWORK, STEM)}
    forms = lists.pop(FORMS, [{}])
    if not all(isinstance(form, dict) for form in forms):
        raise InputError(f"{FORMS} lists sets of fields, such as {{ se = false }}, not {received(forms[0])}")
    for name in _names(table[NETWORK]):
        sizes = [_size(size) for size in lists.get(SIZES, [zoo.form(name).input_shape[-1]])]
        fields = {key: values for key, values in lists.items() if key not in (SIZES, DEPTH)}
        depths = lists.get(DEPTH, [None]) if _has_blocks(name) else [None]
        if DEPTH in lists and not _has_blocks(name):
            fields[DEPTH] = lists[DEPTH]
        for values in product(forms, depths, *fields.values()):
            form, depth, *own = values
            given = {**dict(zip(fields, own, strict=True)), **form}
            config = _changed(name, given)
            changed = [f"{field}={value}" for field, value in config.items()]
            if depth is not None and (more := _changed(name, _deepened(name, given, depth))):
                config |= more
                changed.append(f"{DEPTH}={depth}")
            for size in sizes:
                yield Candidate(name, config, size, " ".join(changed), table.get(STEM))


def _values(key: str, value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise InputError(f"{key} lists no value; leave it out, or name one")
    return values


def _names(given: Any) -> list[str]:
    """Return the names that match; all networks for pictures."""
    found: list[str] = []
    for pattern in _values(NETWORK, given):
        if not isinstance(pattern, str):
            raise InputError(f"network is a name, not {received(pattern)}")
        names = zoo.names(pattern)
        if not names:
            hint = nearest(pattern, zoo.names(), otherwise="; `pennyweight names` lists them")
            raise InputError(f"no network is called '{pattern}'{hint}")
        suitable = [name for name in names if zoo.form(name).input_shape[0] == 3]
        if not suitable:
            shape = "×".join(map(str, zoo.form(names[0]).input_shape))
            raise InputError(f"{names[0]} is no network for pictures in color: its input is {shape}")
        found += suitable
    return found


def _size(size: Any) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InputError(f"{SIZES} are whole numbers of pixels, not {received(size)}")
    return size


def _config_of(name: str) -> Any:
    return zoo.variant(name).config if ":" not in name else None


def _has_blocks(name: str) -> bool:
    """Return whether a depth has to be made of blocks, because the network's Config has no factor of its own."""
    config = _config_of(name)
    return config is not None and not hasattr(config, DEPTH)


def _deepened(name: str, given: Mapping[str, Any], depth: Any) -> dict[str, Any]:
    """Return the Config fields of a network with `depth` times as many blocks in each stage, rounded up."""
    if isinstance(depth, bool) or not isinstance(depth, (int, float)) or not 0 < depth < math.inf:
        raise InputError(f"{DEPTH} is a factor above 0, not {received(depth)}")
    config = _config_of(name)
    for field in ("stages", "blocks", "residual_blocks"):
        if field in given or not hasattr(config, field):
            continue
        rows = getattr(config, field)
        if isinstance(rows, int):
            return {field: math.ceil(rows * depth)}
        return {field: tuple(_more(row, depth) for row in rows)}
    raise InputError(f"{name} has no number of blocks that {DEPTH} could change")


def _more(row: Any, depth: float) -> Any:
    return math.ceil(row * depth) if isinstance(row, int) else row._replace(blocks=math.ceil(row.blocks * depth))


def _changed(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that differ from the network's own, with their types. Raises InputError for unknown ones."""
    settled = zoo.settle(name, config, size=zoo.form(name).input_shape[-1])
    own = _config_of(name)
    return {field: value for field, value in settled.items() if field in config and getattr(own, field, None) != value}
