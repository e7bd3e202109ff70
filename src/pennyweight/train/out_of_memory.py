"""A step that memory does not hold, said as what would fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pennyweight.core.errors import InputError

__all__ = ["explaining_out_of_memory"]


@contextmanager
def explaining_out_of_memory(pictures: int, parts: int) -> Iterator[None]:
    """Raise InputError when torch does not get the memory for a step of so many pictures, taken in so many parts."""
    try:
        yield
    except RuntimeError as error:
        if not _no_memory(error):
            raise
        raise InputError(
            f"memory does not hold a step of {pictures} pictures in {parts} part{'s' * (parts > 1)}; "
            f"--set accumulate={parts * 2} takes it in smaller ones, and a smaller --batch would work too"
        ) from error


def _no_memory(error: RuntimeError) -> bool:
    """Whether torch, or oneDNN inside it, did not get what it asked the system for."""
    said = str(error)
    return (
        isinstance(error, torch.OutOfMemoryError)
        or "can't allocate memory" in said
        or said.strip() == "could not create a primitive"  # what cannot be computed at all lacks a "descriptor" for it
    )
