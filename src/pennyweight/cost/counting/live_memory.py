"""Live memory: bytes of tensors alive at once, followed from the allocation of each storage to its release."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pennyweight.cost.counting.traffic import parts, tensors

__all__ = ["Liveness"]


class Liveness:
    """Tracker of `live_bytes` now and `peak_bytes` at most, over every tracked storage that was not `kept` from before.

    `peak_with_workspace_bytes` is the peak including the workspace of operators while they ran.

    A storage ends when Python and autograd release it, which frees its memory; nothing is estimated. The tracker then
    calls `on_end` with the storage's address, which a later storage may get again.
    """

    def __init__(self, kept: Iterable[Tensor], on_end: Callable[[int], object]) -> None:
        self.live_bytes = 0
        self.peak_bytes = 0
        self.peak_with_workspace_bytes = 0
        self._ends: dict[int, Any] = {}
        self._on_end = on_end
        self._kept = [
            part.untyped_storage()
            for tensor in kept
            for part in ((tensor,) if tensor.layout is torch.strided else parts(tensor))
        ]
        self._known = {storage._cdata for storage in self._kept}

    def track(self, result: Any) -> bool:
        """Track the tensors that an operator returned; True if they make a new peak."""
        for tensor in tensors(result):
            if tensor.layout is not torch.strided:
                self.track(parts(tensor))
                continue
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key not in self._known:
                size = storage.nbytes()
                self._known.add(key)
                self._ends[key] = weakref.ref(storage, partial(self._end, key, size))
                self.live_bytes += size
        if self.live_bytes > self.peak_bytes:
            self.peak_bytes = self.live_bytes
            return True
        return False

    def is_tracked(self, storage: int) -> bool:
        """Return whether a live storage, by its address, is tracked or was kept from before."""
        return storage in self._known

    def record_workspace(self, size: int) -> None:
        """Record the workspace of an operator, in bytes, after its result is tracked."""
        self.peak_with_workspace_bytes = max(self.peak_with_workspace_bytes, self.live_bytes + size)

    def _end(self, key: int, size: int, _: Any) -> None:
        self.live_bytes -= size
        self._known.discard(key)
        self._ends.pop(key, None)
        self._on_end(key)
