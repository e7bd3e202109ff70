"""Restore a model and the random generators after a run."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from operator import is_
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["preserve_random_state", "restore_on_exit"]


@contextmanager
def preserve_random_state() -> Iterator[None]:
    """Restore the random generators of torch, Python and NumPy on exit."""
    python, array = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(array)


@contextmanager
def restore_on_exit(*models: nn.Module) -> Iterator[None]:
    """Restore on exit what running a copy changed in its model: attributes, and the values of buffers.

    A function or a weak reference in the copy may refer back to the model.
    """
    modules = [module for model in models for module in model.modules()]
    held = [vars(module) for module in modules]
    held += [module._buffers for module in modules if type(module._buffers) is dict and module._buffers]
    before = [dict(now) for now in held]
    buffers = [buffer for module in modules for buffer in module._buffers.values() if buffer is not None]
    buffers = [one for one in buffers if type(one) is Tensor and one.layout is torch.strided and not one.is_meta]
    values = [buffer.detach().clone() for buffer in buffers]
    try:
        yield
    finally:
        for now, then in zip(held, before, strict=True):
            if len(now) != len(then) or not all(map(is_, now.values(), then.values())):
                _put_back(now, then)
        for buffer, value in zip(buffers, values, strict=True):
            if not torch.equal(buffer, value):
                buffer.data.copy_(value)


def _put_back(now: dict[str, Any], then: Mapping[str, Any]) -> None:
    for name in now.keys() - then.keys():
        del now[name]
    now.update(then)
