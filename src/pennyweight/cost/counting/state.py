"""State of a network between two calls: what its modules hold, to see whether a call has changed it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from operator import is_
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["State"]

CONTAINERS = frozenset({dict, OrderedDict, list, set})
DEEPEST = 3
"""Containers inside of containers that are looked into, some of which hold themselves."""


class State:
    """Everything that modules hold, by identity; with `values` also how often each tensor was written."""

    def __init__(self, modules: Iterable[nn.Module], *, values: bool) -> None:
        # Parts of a script are fixed, and stand for something else each time they are asked for.
        self._modules = [module for module in modules if not isinstance(module, torch.jit.ScriptModule)]
        self._values = values
        self._held = [tuple(module.__dict__.values()) for module in self._modules]
        containers = [one for held in self._held for one in held if type(one) in CONTAINERS and one]
        self._inside = [item for container in containers for item in _opened(container)]
        self._versions = [one._version for one in self._inside if isinstance(one, Tensor)] if values else []

    @property
    def changed(self) -> bool:
        """True where something was put into the modules since, taken out, replaced or written."""
        now = State(self._modules, values=self._values)
        rows = zip((*self._held, self._inside), (*now._held, now._inside), strict=True)
        return self._versions != now._versions or not all(_same(before, after) for before, after in rows)


def _opened(container: Collection[Any], depth: int = 0) -> Iterator[Any]:
    for item in container.values() if isinstance(container, Mapping) else container:
        if type(item) in CONTAINERS and depth < DEEPEST:
            yield len(item)
            yield from _opened(item, depth + 1)
        else:
            yield item


def _same(before: Collection[Any], after: Collection[Any]) -> bool:
    """Return whether both hold the same objects, or whole numbers that are equal."""
    if len(before) != len(after):
        return False
    pairs = zip(before, after, strict=True)
    return all(map(is_, before, after)) or all(a is b or (type(a) is int and a == b) for a, b in pairs)
