"""Copies of a model to run in its place: without values on the meta device, or with values."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import is_dataclass
from functools import cache, partial
from types import CellType, FunctionType, MethodType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._library.custom_ops import CustomOpDef
from torch._ops import OpOverload, OpOverloadPacket
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from pennyweight.cost.counting.meta_tensor import empty_meta

__all__ = ["CannotCopy", "Copy", "copy_to_fake", "copy_to_meta", "copy_with_values", "disable_attention_fastpath"]


class Copy(NamedTuple):
    """Copy of a model."""

    module: nn.Module
    alone: bool
    """True if the model holds only values, tensors, modules and settings; anything else may refer back to the model."""


def copy_to_meta(model: nn.Module) -> Copy:
    """Copy a model to the meta device; shared and tied tensors stay shared, and nothing is allocated."""
    return _copied(model, _ValuelessCopies(_empty))


def copy_to_fake(model: nn.Module, mode: FakeTensorMode) -> Copy:
    """Copy a model to fake tensors, which know their device and live in `mode`."""
    return _copied(model, _ValuelessCopies(lambda tensor: mode.from_tensor(tensor.detach())))


def copy_with_values(model: nn.Module) -> Copy:
    """Copy a model with its values; running the copy leaves the model unchanged. Raises what deepcopy raises."""
    return _copied(model, _Copies())


def _copied(model: nn.Module, copies: _Copies) -> Copy:
    with torch.no_grad():
        return Copy(copies.copy_of(model), copies.alone)


PLAIN = frozenset({type(None), bool, int, float, str})
"""Types of values that need no copy."""

ATOMS = frozenset(
    {type, torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format, complex, bytes}
    | {CustomOpDef, OpOverload, OpOverloadPacket}
)

CONTAINERS = frozenset({dict, OrderedDict, set, list})

HOLDERS = (nn.Module, Tensor, FunctionType, MethodType, partial, tuple, list, dict)
"""Types that may be or hold the model if a function closes over them; a copy shares all other closed-over values."""

LOCKS: dict[type, Callable[[], Any]] = {type(made()): made for made in (threading.Lock, threading.RLock)}
"""Lock type -> constructor; a copy gets its own, released lock."""

REGISTERED = ("_parameters", "_buffers", "_modules")

WAYS = ("__new__", "__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__")
"""Methods that customize copying; a module class with its own version is copied by deepcopy."""


@cache
def _by_attributes(kind: type) -> bool:
    return all(getattr(kind, way, None) is getattr(nn.Module, way, None) for way in WAYS)


def _empty(tensor: Tensor) -> Tensor:
    if tensor.is_contiguous():
        return empty_meta(tensor.shape, tensor.dtype)
    return torch.empty_like(tensor, device="meta", requires_grad=False)


class CannotCopy(Exception):  # noqa: N818 - reads as a sentence
    """Error about an object in a model that cannot be copied: a file, a generator, a connection."""

    def __init__(self, key: str, value: object) -> None:
        super().__init__()
        self.path = [key]
        self.kind = type(value)

    def __str__(self) -> str:
        name = ".".join(key for key in self.path if key not in REGISTERED)
        return f"'{name}' is of type {self.kind.__module__}.{self.kind.__qualname__}, which cannot be copied"


class _Copies:
    """Deep copies of modules, several times as fast as deepcopy, which makes about a dozen checks per object.

    Unlike deepcopy, it rebinds functions that close over the model, such as a replaced forward.
    """

    def __init__(self) -> None:
        super().__init__()
        self.memo: dict[int, Any] = {}
        self.alone = True

    def copy_of(self, value: Any) -> Any:
        """Return what deepcopy returns, with functions that close over the copies instead of the model."""
        known = self.memo.get(id(value))
        if known is not None:
            return known
        kind = type(value)
        if kind in (dict, OrderedDict):
            copied = self.memo[id(value)] = kind()
            copied.update(self._items(value))
            return copied
        if kind in (tuple, list) and PLAIN.issuperset(map(type, value)):
            return value if kind is tuple else self.memo.setdefault(id(value), value.copy())
        if isinstance(value, Tensor):
            return self.copy_tensor(value)
        if isinstance(value, nn.Module) and _by_attributes(kind):  # type: ignore[arg-type]
            module = self.memo[id(value)] = object.__new__(kind)
            module.__dict__.update(self._items(vars(value)))
            return module
        if kind in ATOMS:
            return value
        self.alone = self.alone and is_dataclass(kind) and kind.__hash__ is not None  # a frozen dataclass is a setting
        if kind is FunctionType:
            return self._function(value)
        if kind in LOCKS:
            return self.memo.setdefault(id(value), LOCKS[kind]())
        if kind is partial:
            bound = partial(self.copy_of(value.func), *map(self.copy_of, value.args), **self._items(value.keywords))
            return self.memo.setdefault(id(value), bound)
        return self.copy_other(value)

    def copy_tensor(self, tensor: Tensor) -> Tensor:
        """Return a copy of `tensor`, the same copy each time."""
        if tensor.layout is torch.strided:
            return copy.deepcopy(tensor, self.memo)
        # deepcopy needs a storage, which a sparse tensor lacks.
        copied: Tensor = self.memo.setdefault(id(tensor), tensor.detach().clone())
        return copied

    def copy_other(self, value: Any) -> Any:
        """Copy any other object that a model holds."""
        return copy.deepcopy(value, self.memo)

    def _items(self, values: Mapping[Any, Any]) -> dict[Any, Any]:
        """Copy a dictionary's items, with shortcuts for plain values and empty hooks, the most common ones."""
        items = dict(values)
        for key, item in values.items():
            kind = type(item)
            if kind not in PLAIN:
                try:
                    items[key] = kind() if kind in CONTAINERS and not item else self.copy_of(item)
                except CannotCopy as error:
                    error.path.insert(0, str(key))
                    raise
                except Exception as error:  # objects of other libraries may raise anything
                    raise CannotCopy(str(key), item) from error
        return items

    def _function(self, function: FunctionType) -> FunctionType:
        """Copy a function, with copies of closed-over values, defaults and attributes that may hold the model."""
        cells = function.__closure__
        if not (cells or function.__defaults__ or function.__kwdefaults__):
            return function
        bound = FunctionType(
            function.__code__,
            function.__globals__,
            function.__name__,
            None if function.__defaults__ is None else tuple(map(self._held, function.__defaults__)),
            None if cells is None else tuple(CellType() for _ in cells),
        )
        self.memo[id(function)] = bound  # a function may close over itself
        for old, new in zip(cells or (), bound.__closure__ or (), strict=True):
            with suppress(ValueError):  # the cell is still empty
                new.cell_contents = self._held(old.cell_contents)
        if function.__kwdefaults__:
            bound.__kwdefaults__ = {name: self._held(value) for name, value in function.__kwdefaults__.items()}
        bound.__dict__.update({name: self._held(value) for name, value in vars(function).items()})
        return bound

    def _held(self, value: Any) -> Any:
        return self.copy_of(value) if isinstance(value, HOLDERS) else value


class _ValuelessCopies(_Copies, TorchFunctionMode):
    """Copies with valueless tensors in place of all tensors, also those in lists and dictionaries."""

    def __init__(self, make: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.make = make

    def copy_other(self, value: Any) -> Any:
        with self:
            return super().copy_other(value)

    def copy_tensor(self, tensor: Tensor) -> Tensor:
        """Return `tensor` without values, the same tensor each time."""
        found: Tensor | None = self.memo.get(id(tensor))
        if found is None:
            if tensor.layout not in (torch.strided, torch.jagged):
                raise NotImplementedError("the work of a sparse tensor depends on its values")
            if type(tensor) is nn.Parameter:
                found = nn.Parameter(self.make(tensor), tensor.requires_grad)
            elif is_lazy(tensor):  # the first input sets its shape
                found = copy.copy(tensor)
            else:
                found = self.make(tensor)
                if isinstance(tensor, nn.Parameter):
                    found = nn.Parameter(found, tensor.requires_grad)
            self.memo[id(tensor)] = found
        return found

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is Tensor.__deepcopy__:
            return self.copy_tensor(args[0])
        if func is Tensor.clone:  # an unregistered Parameter copies itself by clone
            return self.make(args[0])
        return func(*args, **(kwargs or {}))


@contextmanager
def disable_attention_fastpath() -> Iterator[None]:
    """Disable nn.MultiheadAttention's fused fast path, which the meta device lacks; the work is the same."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
