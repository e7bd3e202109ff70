"""Watching a forward pass: every operator with its work, its traffic and the module that ran it, and what lives."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from pennyweight.cost.formulas import base_name, formula
from pennyweight.cost.liveness import Liveness
from pennyweight.cost.quick import QUICK
from pennyweight.cost.traffic import tensors, traffic

__all__ = ["Operation", "Watch"]

aten = torch.ops.aten

Shape = tuple[int, ...]
BLOCK = 16  # channels that oneDNN keeps side by side for 512-bit registers


@dataclass(slots=True)
class Operation:
    """One call of an operator. Shapes are with the batch."""

    name: str
    """As torch writes it, without overload: "convolution", "add_"."""
    module: str
    """Path of the module that ran it; "" is the network itself."""
    macs: int
    ops: int
    bytes_read: int
    bytes_written: int
    inputs: tuple[Shape, ...]
    output: Shape
    settings: tuple[Any, ...]
    """What tells two calls of these shapes apart in time: of a convolution, stride, dilation, transposed, groups."""


@dataclass(frozen=True)
class Failure:
    """The innermost module that was running when `error` came."""

    error: BaseException
    name: str
    module: nn.Module
    input_shape: Shape | None


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, notes every operator that `model` runs; `watching` entered too, under which module.

    A model whose tensors are on the meta device runs through with shapes alone.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model = model
        self.stack: list[str] = [""]
        self.operations: list[Operation] = []
        self.uncounted: Counter[str] = Counter()
        self.shapes: dict[str, tuple[Shape, Shape]] = {}
        self.liveness = Liveness(chain(_made(model.parameters()), _made(model.buffers())))
        self.peak_module = ""
        self.failure: Failure | None = None
        self._outer_error = sys.exc_info()[1]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.is_view:  # nothing is computed, nothing is born
            return func(*args, **kwargs)
        quick = QUICK.get(func.overloadpacket)
        out = NotImplemented if quick is None or not args[0].is_meta else quick(args)
        if out is NotImplemented:
            out = func(*args, **kwargs)
        self._note(func, args, kwargs, out)
        if self.liveness.born(out):
            self.peak_module = self.stack[-1]
        if func is aten.convolution.default:
            self.liveness.borrowed(_reordered_bytes(args[0], args[1], out))
        return out

    def _note(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> None:
        how = formula(func)
        if how is None:
            self.uncounted[func._schema.name.replace("::", ".")] += 1
            macs, ops = 0, 0
        else:
            macs, ops = how(args, kwargs, out)
        bytes_read, bytes_written = traffic(func, args, kwargs, out)
        if not (ops or bytes_read or bytes_written):
            return
        first = next(tensors(out), None)
        self.operations.append(
            Operation(
                func._schema.name.partition("::")[2],
                self.stack[-1],
                macs,
                ops,
                bytes_read,
                bytes_written,
                tuple(tuple(tensor.shape) for tensor in tensors(args)),
                () if first is None else tuple(first.shape),
                (tuple(args[3]), tuple(args[5]), args[6], args[8]) if base_name(func) == "convolution" else (),
            )
        )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks on every module of the model, which is ours alone: they keep the stack of names and shapes met."""
        handles = []
        for name, module in self.model.named_modules():
            handles.append(module.register_forward_pre_hook(self._enter(name), prepend=True))
            handles.append(module.register_forward_hook(self._leave(name), with_kwargs=True, always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            self.stack.append(name)

        return hook

    def _leave(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
            self.stack.pop()
            before = next(chain(tensors(args), tensors(kwargs.values())), None)
            error = sys.exc_info()[1]
            if error is not None and error is not self._outer_error:
                if self.failure is None or self.failure.error is not error:  # the innermost comes first
                    self.failure = Failure(error, name, module, None if before is None else tuple(before.shape))
                return
            if name not in self.shapes and before is not None:
                after = next(tensors(out), None)
                if after is not None:
                    self.shapes[name] = tuple(before.shape[1:]), tuple(after.shape[1:])

        return hook


class FusedAttention(TorchFunctionMode):
    """Makes scaled_dot_product_attention on the meta device the one fused operator that it is on a processor.

    There it would come apart into products whose memory and traffic the real one does not have.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.scaled_dot_product_attention:
            return _fused(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _fused(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Fused where torch's own choice on a processor would be (ATen/native/transformers/sdp_utils_cpp.cpp)."""
    same = query.dim() == key.dim() == value.dim() == 4 and query.shape[:2] == key.shape[:2] == value.shape[:2]
    able = (
        same
        and query.device.type == "meta"
        and query.shape[-1] == key.shape[-1] == value.shape[-1]
        and 0 not in (query.shape[-2], key.shape[-2])
        and dropout_p == 0
        and not (attn_mask is not None and (attn_mask.requires_grad or attn_mask.dim() not in (2, 4) or is_causal))
    )
    if not able:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill_(attn_mask.logical_not(), -torch.inf)
    out: Tensor = aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale
    )[0]
    return out


def _reordered_bytes(x: Tensor, weight: Tensor, out: Tensor) -> int:
    """What oneDNN takes to convolve an image whose channels are not last: copies in its own order, beside `out`.

    First input, weights and result lie there so, then the result alone while it is copied back.
    """
    if x.dim() != 4 or x.is_contiguous(memory_format=torch.channels_last):
        return 0
    before, kernel, after = _blocked_bytes(x), weight.numel() * weight.element_size(), _blocked_bytes(out)
    return after + max(0, before + kernel - after)


def _blocked_bytes(image: Tensor) -> int:
    """With its channels in blocks of 16, the last one filled up; colours are left as they are."""
    channels = image.shape[1]
    blocked = channels if channels < BLOCK else -(-channels // BLOCK) * BLOCK
    return image.numel() // channels * blocked * image.element_size()


def _made(held: Iterator[Tensor]) -> Iterator[Tensor]:
    """Without those of lazy layers, which have no storage yet."""
    return (tensor for tensor in held if not is_lazy(tensor))
