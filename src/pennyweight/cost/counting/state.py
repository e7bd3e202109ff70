"""State of a network: everything that its modules hold, compared to find out if a call changed it."""

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
"""Levels of nested containers to search; some containers hold themselves."""


class State:
    """Everything that modules hold, by identity; with `values` also the version counter of each tensor."""

    def __init__(self, modules: Iterable[nn.Module], *, values: bool) -> None:
        # The parts of a scripted module are fixed, but each access returns a new object.
        self._modules = [module for module in modules if not isinstance(module, torch.jit.ScriptModule)]
        self._values = values
        self._held = [tuple(module.__dict__.values()) for module in self._modules]
        containers = [one for held in self._held for one in held if type(one) in CONTAINERS and one]
        self._inside = [item for container in containers for item in _flatten(container)]
        self._versions = [one._version for one in self._inside if isinstance(one, Tensor)] if values else []

    @property
    def changed(self) -> bool:
        """Return True if anything in the modules was added, removed, replaced or written since the snapshot."""
        now = State(self._modules, values=self._values)
        rows = zip((*self._held, self._inside), (*now._held, now._inside), strict=True)
        return self._versions != now._versions or not all(_same(before, after) for before, after in rows)


def _flatten(container: Collection[Any], depth: int = 0) -> Iterator[Any]:
    """Yield the items of a container and of the containers in it, and the length of each."""
    for item in container.values() if isinstance(container, Mapping) else container:
        if type(item) in CONTAINERS and depth < DEEPEST:
            yield len(item)
            yield from _flatten(item, depth + 1)
        else:
            yield item


def _same(before: Collection[Any], after: Collection[Any]) -> bool:
    """Return whether both hold the same objects, or equal integers."""
    if len(before) != len(after):
        return False
    pairs = zip(before, after, strict=True)
    return all(map(is_, before, after)) or all(a is b or (type(a) is int and a == b) for a, b in pairs)
