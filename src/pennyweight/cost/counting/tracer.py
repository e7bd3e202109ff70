"""Trace a forward pass: every operator with its work, traffic and module, and the tensors alive at each moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode

from pennyweight.cost.counting.backward import BACKWARD
from pennyweight.cost.counting.devices import DeviceMode
from pennyweight.cost.counting.formulas import MATRIX_FORMULAS, base_name, complex_work, formula, outer
from pennyweight.cost.counting.live_memory import Liveness
from pennyweight.cost.counting.meta_kernels import INTEGER_KERNELS, KERNELS
from pennyweight.cost.counting.meta_layers import Direct, operator_of
from pennyweight.cost.counting.operation import Operation, Settings
from pennyweight.cost.counting.shapes import Shape, Shapes, first_shape, without_batch
from pennyweight.cost.counting.traffic import dtype_name, tensors, traffic
from pennyweight.cost.counting.workspace import backward_bytes, forward_bytes

__all__ = ["Tracer"]

aten = torch.ops.aten


SAME_DTYPE = frozenset({"convolution", "mm", "bmm", "addmm", "baddbmm", "linear", "mv", "addmv", "_addmm_activation"})
"""Operators that require operands of one dtype."""

SPARSE = frozenset({torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc})
"""Sparse layouts, in which a product skips most terms; the number skipped depends on the values."""


@dataclass(frozen=True)
class Failure:
    """Innermost module that was running when `error` was raised."""

    error: BaseException
    name: str
    module: nn.Module
    input_shape: Shape | None


class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Dispatch mode that records every operator that `model` runs; inside `tracing` also the module that ran it.

    A model whose tensors are on the meta device runs with shapes alone.
    """

    def __init__(self, model: nn.Module, device_mode: DeviceMode) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model = model
        self.device_mode = device_mode
        self.stack: list[str] = [""]
        self.operations: list[Operation] = []
        self.writers: dict[int | None, int] = {}  # live storage -> index of the operation that last wrote it
        self.uncounted: Counter[str] = Counter()
        self.unregistered: dict[int, int] = {}  # storage of an unregistered operand -> its numbers
        self.shapes: dict[str, Shapes] = {}
        self.modules = dict(model.named_modules())
        self.parameters = {name: _unique_tensors(module._parameters) for name, module in self.modules.items()}
        self.buffers = {name: _unique_tensors(module._buffers) for name, module in self.modules.items()}
        self.liveness = Liveness(_registered_tensors(self.modules.values()), partial(_forget, self.writers))
        self.peak_module = ""
        self.failure: Failure | None = None

    @property
    def has_new_layers(self) -> bool:
        """True if the model has since created layers or parameters, and kept all that it had."""
        known = {id(one) for one in (*self.modules.values(), *chain.from_iterable(self.parameters.values()))}
        return known < {id(one) for one in (*self.model.modules(), *self.model.parameters())}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.is_view:  # a view computes and allocates nothing
            return func(*args, **kwargs)
        out = NotImplemented if kwargs else _run_kernel(func, args)  # keyword arguments (dtype, out) need torch
        if out is NotImplemented:
            out = func(*args, **kwargs)
        self._record_call(func, args, kwargs, out)
        return out

    def _record_call(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> None:
        self._record_operation(func, args, kwargs, out)
        if self.liveness.track(out):
            self.peak_module = self.stack[-1]
        if func is aten.convolution.default and not torch.is_grad_enabled():
            self.liveness.record_workspace(forward_bytes(args[0], args[1], out))
        elif func is aten.convolution_backward.default:
            self.liveness.record_workspace(backward_bytes(args[2], args[9]))

    def _run_directly(self, layer: nn.Module, direct: Direct, x: Any) -> Any:
        """Return `layer(x)` from its operators and record them; NotImplemented if torch has to run the layer."""
        if type(x) is not Tensor or torch.is_grad_enabled() or torch._C._functorch.peek_interpreter_stack() is not None:
            return NotImplemented
        self.device_mode.require_no_autocast()
        with torch._C._DisableTorchDispatch(), torch._C.DisableTorchFunction():  # modes see every access
            found = direct(layer, x) if x.is_meta and not x.is_complex() else None
            if found is None:
                return NotImplemented
            made = []
            for func, args in found:
                out = _run_kernel(func, args)
                if out is NotImplemented:
                    return NotImplemented
                made.append(out)
            for (func, args), out in zip(found, made, strict=True):
                self._record_call(func, args, {}, out)
            return out[0] if isinstance(out, tuple) else out

    def _record_operation(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> None:
        operands, made = tensors(args), tensors(out)
        if kwargs:  # `out` is written and not read
            operands += [one for one in tensors(kwargs.values()) if not any(one is result for result in made)]
        rule, dtype = formula(func) or BACKWARD.get(base_name(func)), _dtype(operands or made)
        if not self.device_mode.real and base_name(func) in SAME_DTYPE:
            _require_one_type(operands)
        if rule in MATRIX_FORMULAS and not SPARSE.isdisjoint([one.layout for one in operands]):
            rule = None
        if rule is None:
            self.uncounted[func._schema.name.replace("::", ".")] += 1
            macs, ops = 0, 0
        else:
            macs, ops = (
                outer(args, out) if self.device_mode.in_einsum and func is aten.mul.Tensor else rule(args, kwargs, out)
            )
            if made and made[0].dtype.is_complex:
                macs, ops = complex_work(macs, ops)
        bytes_read, bytes_written = traffic(func, args, operands, made)
        if not (ops or bytes_read or bytes_written):
            return
        storages = _storages(operands)
        if macs:
            self.unregistered |= {
                storage: tensor.numel()
                for storage, tensor in zip(storages, operands, strict=True)
                if storage is not None and not self.liveness.is_tracked(storage)
            }
        sources = tuple(map(self.writers.get, storages))
        self.writers.update(dict.fromkeys(filter(None, _storages(made)), len(self.operations)))
        self.operations.append(
            Operation(
                _name(func),
                self.stack[-1],
                macs,
                ops,
                bytes_read,
                bytes_written,
                tuple([tensor.shape for tensor in operands]),
                made[0].shape if made else (),
                _settings(args) if base_name(func) == "convolution" else None,
                dtype,
                rule is not None,
                sources,
            )
        )

    @contextmanager
    def tracing(self) -> Iterator[None]:
        """Follow the calls of every module of the model, which is our own copy: the stack of names, and the shapes.

        The tracer replaces `_call_impl`, through which a module calls its hooks and its forward. A hook that also sees
        errors takes several times as long.
        """
        hooked = _has_any_global_hook()  # type: ignore[no-untyped-call]
        for name, module in self.modules.items():
            direct = None if hooked else operator_of(module)
            module.__dict__["_call_impl"] = self._wrap_call(name, module, direct)
        try:
            yield
        finally:
            for module in self.modules.values():
                del module.__dict__["_call_impl"]

    def _wrap_call(self, name: str, module: nn.Module, direct: Direct | None) -> Callable[..., Any]:
        call: Callable[..., Any] = module._call_impl

        def follow(*args: Any, **kwargs: Any) -> Any:
            self.stack.append(name)
            first = name not in self.shapes
            if first:
                self.shapes[name] = without_batch(first_shape(args, kwargs)), None
            try:
                out = NotImplemented
                if direct is not None and len(args) == 1 and not kwargs:
                    out = self._run_directly(module, direct, args[0])
                if out is NotImplemented:
                    out = call(*args, **kwargs)
            except Exception as error:
                if self.failure is None or self.failure.error is not error:  # the innermost module comes first
                    self.failure = Failure(error, name, module, first_shape(args, kwargs))
                if first:  # the model may catch the error and call again
                    del self.shapes[name]
                raise
            finally:
                self.stack.pop()
            if first:
                self.shapes[name] = self.shapes[name][0], without_batch(first_shape(out))
            return out

        return follow


def _forget(writers: dict[int | None, int], storage: int) -> None:
    writers.pop(storage, None)


def _require_one_type(operands: Sequence[Tensor]) -> None:
    """Raise RuntimeError for operands of several dtypes, which a real operator refuses and a meta one accepts."""
    types = {tensor.dtype for tensor in operands if tensor.is_floating_point() or tensor.is_complex()}
    if len(types) > 1:
        names = " and ".join(sorted(map(dtype_name, types)))
        raise RuntimeError(f"operands of different types, {names}; pass the inputs in the type of its weights")


@cache
def _name(func: Any) -> str:
    """Return the operator's name without overload, and without its namespace if that is torch's own."""
    return str(func._schema.name).removeprefix("aten::")


def _run_kernel(func: Any, args: tuple[Any, ...]) -> Any:
    name = func.overloadpacket
    if name not in KERNELS or not args[0].is_meta:
        return NotImplemented
    rule = (KERNELS if args[0].is_floating_point() else INTEGER_KERNELS).get(name)
    return NotImplemented if rule is None else rule(args)


def _dtype(touched: Sequence[Tensor]) -> torch.dtype:
    for tensor in touched:
        dtype = tensor.dtype
        if dtype.is_floating_point or dtype.is_complex:
            return dtype
    return touched[0].dtype if touched else torch.float32


def _storages(touched: Sequence[Tensor]) -> list[int | None]:
    """Return the address of each tensor's storage; None for a sparse or nested tensor, which has several."""
    return [tensor.untyped_storage()._cdata if tensor.layout is torch.strided else None for tensor in touched]


def _settings(args: tuple[Any, ...]) -> Settings:
    x, _, _, stride, padding, dilation, transposed, _, groups = args
    orders = {4: torch.channels_last, 5: torch.channels_last_3d}
    whole = x.is_contiguous() or (x.dim() in orders and x.is_contiguous(memory_format=orders[x.dim()]))
    return Settings(tuple(stride), tuple(padding), tuple(dilation), transposed, groups, not whole)


def _unique_tensors(held: Mapping[str, Tensor | None]) -> list[Tensor]:
    """Return the tensors that a module holds now, each once, although one may have two names."""
    return list({id(one): one for one in held.values() if one is not None}.values())


def _registered_tensors(modules: Iterable[nn.Module]) -> Iterator[Tensor]:
    """Yield the modules' parameters and buffers, without those of lazy layers, which have no storage yet."""
    for module in modules:
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None and not is_lazy(tensor):
                yield tensor
