"""Tensors with a shape and no values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["empty_meta"]


def empty_meta(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return a contiguous meta tensor with its own storage, unseen by the modes that intercept torch's functions.

    Cloning a cached tensor takes a sixth of the time of torch.empty.
    """
    with torch._C.DisableTorchFunction():
        return _pattern(tuple(shape), dtype).clone()


@lru_cache(maxsize=1024)
def _pattern(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    with torch._C._DisableTorchDispatch():  # otherwise the cached tensor would belong to the current mode
        return torch.empty(shape, dtype=dtype, device="meta")
