"""Copies of a model to run in its place: without storage on the meta device, or whole."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from pennyweight.cost.blank import blank

__all__ = ["on_fake", "on_meta", "slow_attention", "whole"]


def on_meta(model: nn.Module) -> nn.Module:
    """A copy whose tensors are on the meta device; shared and tied tensors stay shared, and nothing is allocated."""
    return _shadowed(model, _empty)


def on_fake(model: nn.Module, mode: FakeTensorMode) -> tuple[nn.Module, FakeTensorMode]:
    """The same of fake tensors, which know their device; they live in `mode`."""
    return _shadowed(model, lambda tensor: mode.from_tensor(tensor.detach())), mode


def whole(model: nn.Module) -> nn.Module:
    """A copy with its values, so that what runs leaves the model as it is. Raises what deepcopy raises."""
    return copy.deepcopy(model)


def _shadowed(model: nn.Module, made: Callable[[Tensor], Tensor]) -> nn.Module:
    with torch.no_grad():
        copied: nn.Module = _Shadows(made).copied(model)
        return copied


PLAIN = frozenset({type(None), bool, int, float, str})
"""Types of values that need no copy."""

CONTAINERS = frozenset({dict, OrderedDict, set, list})

WAYS = ("__new__", "__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__")
"""Of these a module that is copied in another way than by its attributes has its own."""


@cache
def _by_attributes(kind: type) -> bool:
    return all(getattr(kind, way, None) is getattr(nn.Module, way, None) for way in WAYS)


def _empty(tensor: Tensor) -> Tensor:
    if tensor.is_contiguous():
        return blank(tensor.shape, tensor.dtype)
    return torch.empty_like(tensor, device="meta", requires_grad=False)


class _Shadows(TorchFunctionMode):
    """Copies with shadows in the place of tensors, wherever they are: in lists and dictionaries too."""

    def __init__(self, made: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.memo: dict[int, Any] = {}
        self.made = made

    def copied(self, value: Any) -> Any:
        """What deepcopy gives, which asks modules and their dictionaries a dozen things each: several times as fast."""
        known = self.memo.get(id(value))
        if known is not None:
            return known
        kind = type(value)
        if isinstance(value, Tensor):
            return self.shadow(value)
        if kind is tuple and PLAIN.issuperset(map(type, value)):
            return value
        if kind in (dict, OrderedDict):
            copied = self.memo[id(value)] = kind()
            copied.update(self._items(value))
            return copied
        if isinstance(value, nn.Module) and _by_attributes(kind):  # type: ignore[arg-type]
            module = self.memo[id(value)] = object.__new__(kind)
            module.__dict__.update(self._items(vars(value)))
            return module
        with self:
            return copy.deepcopy(value, self.memo)

    def _items(self, values: Mapping[Any, Any]) -> dict[Any, Any]:
        """Most of what a module has are plain values, and hooks that nobody has set."""
        items = dict(values)
        for key, item in values.items():
            kind = type(item)
            if kind not in PLAIN:
                items[key] = kind() if kind in CONTAINERS and not item else self.copied(item)
        return items

    def shadow(self, tensor: Tensor) -> Tensor:
        """`tensor` without storage; the same one each time."""
        found: Tensor | None = self.memo.get(id(tensor))
        if found is None:
            if type(tensor) is nn.Parameter:
                found = nn.Parameter(self.made(tensor), tensor.requires_grad)
            elif is_lazy(tensor):  # gets its shape from the first input
                found = copy.copy(tensor)
            else:
                found = self.made(tensor)
                if isinstance(tensor, nn.Parameter):
                    found = nn.Parameter(found, tensor.requires_grad)
            self.memo[id(tensor)] = found
        return found

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is Tensor.__deepcopy__:
            return self.shadow(args[0])
        if func is Tensor.clone:  # how a Parameter that no module registered copies itself
            return self.made(args[0])
        return func(*args, **(kwargs or {}))


@contextmanager
def slow_attention() -> Iterator[None]:
    """Without the fused fast path of nn.MultiheadAttention, which the meta device has not; its work is the same."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
