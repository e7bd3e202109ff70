"""State of a network between two calls: what its modules hold, to see whether a call has changed it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["State"]

DEEPEST = 3
"""Containers inside of containers that are looked into, some of which hold themselves."""
CONTAINERS = frozenset({dict, OrderedDict, list, set, tuple})


@dataclass(frozen=True, eq=False)
class State:
    """Everything that the modules of a network hold, by identity; tensors with how often they were written."""

    modules: tuple[nn.Module, ...]
    parameters: tuple[Tensor, ...]
    held: tuple[Any, ...]
    versions: tuple[int, ...]

    @classmethod
    def of(cls, network: nn.Module, *, values: bool) -> State:
        """Look at a network; with `values` those count too, and what was written into a tensor is a change."""
        modules, parameters = tuple(network.modules()), tuple(network.parameters())
        tensors = (*parameters, *network.buffers()) if values else ()
        return cls(modules, parameters, tuple(_held(modules)), tuple(tensor._version for tensor in tensors))

    def __eq__(self, other: object) -> bool:
        """Return whether nothing was put in, taken out or replaced."""
        if not isinstance(other, State) or self.versions != other.versions or len(self.held) != len(other.held):
            return False
        return all(map(_same, self.held, other.held))

    __hash__ = None  # type: ignore[assignment]

    def grew_into(self, later: State) -> bool:
        """Return whether layers or parameters were added since, and none that there was is gone."""
        before, now = ({id(one) for one in (*state.modules, *state.parameters)} for state in (self, later))
        return before < now


def _held(modules: tuple[nn.Module, ...]) -> Iterator[Any]:
    """Yield what each attribute of them is, and of lists and dictionaries what they hold instead."""
    for module in modules:
        if isinstance(module, torch.jit.ScriptModule):
            continue  # whose parts are fixed, and stand for something else each time they are asked for
        for value in module.__dict__.values():
            yield from _opened(value)


def _opened(value: Any, depth: int = 0) -> Iterator[Any]:
    if type(value) not in CONTAINERS or depth > DEEPEST:
        yield value
        return
    yield len(value)
    for item in value.values() if isinstance(value, Mapping) else value:
        yield from _opened(item, depth + 1)


def _same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is int and one == other)
