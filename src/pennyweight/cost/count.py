"""Counting by dispatch on the meta device: every operator that a forward pass runs, attributed to its module."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pennyweight.core.errors import InputError, PennyweightError
from pennyweight.cost.formulas import FORMULAS, NO_MACS

__all__ = ["Cost", "LayerCost", "count"]


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """One module that computes something itself. Shapes are without the batch."""

    name: str
    type: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    params: int
    """Its own, not those of modules inside it; shared ones stand in the first module that has them."""
    macs: int


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a network costs for `batch` inputs.

    `macs` are multiply-accumulates of convolutions, linear layers and matrix products, as the papers count them;
    biases are not counted. `uncounted` says how often an operator without a formula was met.
    """

    input_shape: tuple[int, ...]
    batch: int
    params: int
    trainable_params: int
    macs: int
    layers: tuple[LayerCost, ...]
    uncounted: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return asdict(self)


def count(model: nn.Module, input_shape: Sequence[int], *, batch: int = 1) -> Cost:
    """Count a forward pass of `model` in its own mode (train or eval) on (batch, *input_shape); nothing is allocated.

    The model is not touched: a copy on the meta device runs. Raises InputError for an input that the model
    does not take, with what the model said.
    """
    shape = tuple(input_shape)
    if not shape or any(not isinstance(side, int) or side < 1 for side in (*shape, batch)):
        raise InputError(f"input shape and batch must be whole numbers of at least 1, not {shape} with batch {batch}")
    shadow = _on_meta(model)
    tally = _Tally(shadow)
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    try:
        # The device is for tensors that forward makes for itself.
        with torch.no_grad(), torch.device("meta"), tally.watching(), tally:
            shadow(torch.empty(batch, *shape, dtype=dtype))
    except PennyweightError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"the network does not take an input of {'x'.join(map(str, shape))}: {reason}") from error
    layers = tally.layers()
    return Cost(
        input_shape=shape,
        batch=batch,
        params=sum(p.numel() for p in model.parameters()),
        trainable_params=sum(p.numel() for p in model.parameters() if p.requires_grad),
        macs=sum(layer.macs for layer in layers),
        layers=tuple(layers),
        uncounted=dict(tally.uncounted),
    )


def _on_meta(model: nn.Module) -> nn.Module:
    """A copy whose tensors are on the meta device; shared tensors stay shared, and nothing is allocated."""
    memo: dict[int, Any] = {}
    loose = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    for tensor in [*model.parameters(), *model.buffers(), *loose]:
        if id(tensor) not in memo:
            meta = torch.empty_like(tensor, device="meta")
            memo[id(tensor)] = nn.Parameter(meta, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else meta
    return copy.deepcopy(model, memo)


class _Tally(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the operators of a forward pass under the module that ran them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model = model
        self.stack: list[str] = []
        self.macs: Counter[str] = Counter()
        self.shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        self.uncounted: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        operator = func.overloadpacket
        if operator in FORMULAS:
            self.macs[self.stack[-1]] += FORMULAS[operator](args, out)
        elif operator not in NO_MACS:
            self.uncounted[str(operator)] += 1
        return out

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks on every module that keep the stack of names and the shapes met."""
        handles = []
        for name, module in self.model.named_modules():
            handles.append(module.register_forward_pre_hook(self._enter(name)))
            handles.append(module.register_forward_hook(self._leave(name), always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            self.stack.append(name)

        return hook

    def _leave(self, name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
            self.stack.pop()
            if args and isinstance(args[0], Tensor) and isinstance(out, Tensor):
                self.shapes.setdefault(name, (tuple(args[0].shape[1:]), tuple(out.shape[1:])))

        return hook

    def layers(self) -> list[LayerCost]:
        """A row for each module with parameters or multiply-accumulates of its own; the rows sum to the totals."""
        rows = []
        counted: set[int] = set()
        for name, module in self.model.named_modules():
            own = [p for p in module.parameters(recurse=False) if id(p) not in counted]
            counted.update(map(id, own))
            if own or self.macs[name]:
                before, after = self.shapes.get(name, ((), ()))
                rows.append(
                    LayerCost(
                        name=name,
                        type=type(module).__name__,
                        input_shape=before,
                        output_shape=after,
                        params=sum(p.numel() for p in own),
                        macs=self.macs[name],
                    )
                )
        return rows
