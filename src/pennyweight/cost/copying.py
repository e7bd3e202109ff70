"""Copies of a model to run in its place: without storage on the meta device, or whole."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

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
    memo: dict[int, Any] = {}
    shadows = _Shadows(memo, made)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            shadows.shadow(tensor)
    with torch.no_grad(), shadows:
        for module in model.modules():
            # Most of a module is empty dictionaries of hooks; copying them so takes a third off the copy.
            memo |= {id(v): type(v)() for v in vars(module).values() if type(v) in (dict, OrderedDict) and not v}
        return copy.deepcopy(model, memo)


def _empty(tensor: Tensor) -> Tensor:
    if tensor.is_contiguous():  # plain sizes are quicker than having torch find out what is like another tensor
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
    return torch.empty_like(tensor, device="meta", requires_grad=False)


class _Shadows(TorchFunctionMode):
    """Makes deepcopy take shadows of tensors wherever it meets them: in lists and dictionaries too."""

    def __init__(self, memo: dict[int, Any], made: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.memo = memo
        self.made = made

    def shadow(self, tensor: Tensor) -> Tensor:
        """`tensor` without storage; the same one each time."""
        if id(tensor) not in self.memo:
            # A lazy layer's gets its shape from the first input.
            made = copy.copy(tensor) if is_lazy(tensor) else self.made(tensor)
            if isinstance(tensor, nn.Parameter) and not is_lazy(tensor):
                made = nn.Parameter(made, tensor.requires_grad)
            self.memo[id(tensor)] = made
        found: Tensor = self.memo[id(tensor)]
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
