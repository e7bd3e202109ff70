"""Devices that a copy of a model runs on: the meta device, fake tensors, or the real device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

__all__ = ["DeviceMode", "MetaDeviceMode"]

aten = torch.ops.aten

CONSTRUCTORS = frozenset(_device_constructors())  # functions that torch.device("meta") redirects


class DeviceMode(TorchFunctionMode):
    """Function mode for running a copy, inside the fake-tensor `mode` if any; it covers tensors that forward creates.

    It knows when an einsum is running: where einsum sums over a dimension of size 1, torch multiplies elementwise.
    """

    def __init__(self, mode: FakeTensorMode | None = None) -> None:
        super().__init__()
        self.mode = mode
        self.in_einsum = False

    def make_input(self, tensor: Tensor, device: torch.device) -> Tensor:
        """Return a copy of an input; on a real device a meta tensor gets random or zero values."""
        if self.mode is not None:
            return torch.empty_like(tensor, device=device if tensor.is_meta else tensor.device)
        if not tensor.is_meta:
            return tensor.detach().clone()
        known = tensor.is_floating_point() or tensor.is_complex()
        return (torch.rand_like if known else torch.zeros_like)(tensor, device=device)

    @property
    def real(self) -> bool:
        """True if tensors have values."""
        return self.mode is None

    def require_no_autocast(self) -> None:
        """Raise RuntimeError if autocast is on and this device's tensors would ignore it."""

    def __enter__(self) -> Self:
        if self.mode is not None:
            self.mode.__enter__()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        if self.mode is not None:
            self.mode.__exit__(*error)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is not torch.einsum:
            return func(*args, **(kwargs or {}))
        self.in_einsum = True
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.in_einsum = False


class MetaDeviceMode(DeviceMode):
    """Function mode that puts tensors created by forward on the meta device, and keeps attention one operator.

    torch would split attention into products, with memory and traffic that the fused CPU operator does not have.
    """

    @property
    def real(self) -> bool:
        return False

    def make_input(self, tensor: Tensor, device: torch.device) -> Tensor:
        return torch.empty_like(tensor, device="meta")

    def require_no_autocast(self) -> None:
        if torch._C._is_any_autocast_enabled():
            raise RuntimeError("autocast does not convert meta tensors")

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.require_no_autocast()  # inside an operator's dispatch autocast is off, so check here
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return _fused(*args, **kwargs)
        if func in CONSTRUCTORS and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return super().__torch_function__(func, types, args, kwargs)


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
    """Run fused attention if torch would on a CPU (ATen/native/transformers/sdp_utils_cpp.cpp)."""
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
