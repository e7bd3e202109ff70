"""Copies of a model to run in its place: without storage on the meta device, or whole."""

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

from pennyweight.cost.counting.meta_tensor import blank

__all__ = ["Copy", "Uncopied", "on_fake", "on_meta", "slow_attention", "whole"]


class Copy(NamedTuple):
    """Of a model."""

    module: nn.Module
    alone: bool
    """Whether it holds values, tensors, modules and settings alone; all else may know the way to the model."""


def on_meta(model: nn.Module) -> Copy:
    """A copy whose tensors are on the meta device; shared and tied tensors stay shared, and nothing is allocated."""
    return _copied(model, _Shadows(_empty))


def on_fake(model: nn.Module, mode: FakeTensorMode) -> Copy:
    """The same of fake tensors, which know their device; they live in `mode`."""
    return _copied(model, _Shadows(lambda tensor: mode.from_tensor(tensor.detach())))


def whole(model: nn.Module) -> Copy:
    """A copy with its values, so that what runs leaves the model as it is. Raises what deepcopy raises."""
    return _copied(model, _Copies())


def _copied(model: nn.Module, copies: _Copies) -> Copy:
    with torch.no_grad():
        return Copy(copies.copied(model), copies.alone)


PLAIN = frozenset({type(None), bool, int, float, str})
"""Types of values that need no copy."""

ATOMS = frozenset(
    {type, torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format, complex, bytes}
    | {CustomOpDef, OpOverload, OpOverloadPacket}
)

CONTAINERS = frozenset({dict, OrderedDict, set, list})

HOLDERS = (nn.Module, Tensor, FunctionType, MethodType, partial, tuple, list, dict)
"""Of what a function closes over, these may be or hold the model; the rest it shares with its copy."""

LOCKS: dict[type, Callable[[], Any]] = {type(made()): made for made in (threading.Lock, threading.RLock)}
"""Which a copy has of its own, open."""

REGISTERED = ("_parameters", "_buffers", "_modules")

WAYS = ("__new__", "__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__")
"""Of these a module that is copied in another way than by its attributes has its own."""


@cache
def _by_attributes(kind: type) -> bool:
    return all(getattr(kind, way, None) is getattr(nn.Module, way, None) for way in WAYS)


def _empty(tensor: Tensor) -> Tensor:
    if tensor.is_contiguous():
        return blank(tensor.shape, tensor.dtype)
    return torch.empty_like(tensor, device="meta", requires_grad=False)


class Uncopied(Exception):  # noqa: N818 - said as a person would
    """Something that a model holds and that has no copy: a file, a generator, a connection."""

    def __init__(self, key: str, value: object) -> None:
        super().__init__()
        self.path = [key]
        self.kind = type(value)

    def __str__(self) -> str:
        name = ".".join(key for key in self.path if key not in REGISTERED)
        return f"'{name}' is of type {self.kind.__module__}.{self.kind.__qualname__}, which has no copy"


class _Copies:
    """Deep copies of modules, several times as fast as deepcopy, which asks each and its dictionaries a dozen things.

    Unlike deepcopy it binds functions anew that were made around the model: a forward that somebody has replaced.
    """

    def __init__(self) -> None:
        super().__init__()
        self.memo: dict[int, Any] = {}
        self.alone = True

    def copied(self, value: Any) -> Any:
        """What deepcopy gives, and functions that close over the copies in place of the model."""
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
            return self.tensor(value)
        if isinstance(value, nn.Module) and _by_attributes(kind):  # type: ignore[arg-type]
            module = self.memo[id(value)] = object.__new__(kind)
            module.__dict__.update(self._items(vars(value)))
            return module
        if kind in ATOMS:
            return value
        self.alone = self.alone and is_dataclass(kind) and kind.__hash__ is not None  # a setting, which nothing changes
        if kind is FunctionType:
            return self._function(value)
        if kind in LOCKS:
            return self.memo.setdefault(id(value), LOCKS[kind]())
        if kind is partial:
            bound = partial(self.copied(value.func), *map(self.copied, value.args), **self._items(value.keywords))
            return self.memo.setdefault(id(value), bound)
        return self.other(value)

    def tensor(self, tensor: Tensor) -> Tensor:
        """A copy of `tensor`; the same one each time."""
        if tensor.layout is torch.strided:
            return copy.deepcopy(tensor, self.memo)
        copied: Tensor = self.memo.setdefault(id(tensor), tensor.detach().clone())  # deepcopy asks for a storage
        return copied

    def other(self, value: Any) -> Any:
        """Whatever else a model holds."""
        return copy.deepcopy(value, self.memo)

    def _items(self, values: Mapping[Any, Any]) -> dict[Any, Any]:
        """Most of what a module has are plain values, and hooks that nobody has set."""
        items = dict(values)
        for key, item in values.items():
            kind = type(item)
            if kind not in PLAIN:
                try:
                    items[key] = kind() if kind in CONTAINERS and not item else self.copied(item)
                except Uncopied as error:
                    error.path.insert(0, str(key))
                    raise
                except Exception as error:  # whatever somebody's object raises
                    raise Uncopied(str(key), item) from error
        return items

    def _function(self, function: FunctionType) -> FunctionType:
        """With what it closes over, its defaults and what it wraps copied where a model can be in it."""
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
        self.memo[id(function)] = bound  # which may close over itself
        for old, new in zip(cells or (), bound.__closure__ or (), strict=True):
            with suppress(ValueError):  # nothing is in it yet
                new.cell_contents = self._held(old.cell_contents)
        if function.__kwdefaults__:
            bound.__kwdefaults__ = {name: self._held(value) for name, value in function.__kwdefaults__.items()}
        bound.__dict__.update({name: self._held(value) for name, value in vars(function).items()})
        return bound

    def _held(self, value: Any) -> Any:
        return self.copied(value) if isinstance(value, HOLDERS) else value


class _Shadows(_Copies, TorchFunctionMode):
    """Copies with shadows in the place of tensors, wherever they are: in lists and dictionaries too."""

    def __init__(self, made: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.made = made

    def other(self, value: Any) -> Any:
        with self:
            return super().other(value)

    def tensor(self, tensor: Tensor) -> Tensor:
        """`tensor` without storage; the same one each time."""
        found: Tensor | None = self.memo.get(id(tensor))
        if found is None:
            if tensor.layout not in (torch.strided, torch.jagged):
                raise NotImplementedError("what is in a sparse tensor decides how much work it is")
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
            return self.tensor(args[0])
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
