"""Out of memory: turn torch's failure into one line that names settings which need less."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pennyweight.core.errors import InputError

__all__ = ["explaining_out_of_memory"]


@contextmanager
def explaining_out_of_memory(pictures: int, parts: int) -> Iterator[None]:
    """Raise InputError if torch runs out of memory in a step of `pictures`.

    `parts` is the number of parts that gradient accumulation computes the step in.
    """
    try:
        yield
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        raise InputError(
            f"out of memory: a step of {pictures} pictures in {parts} part{'s' * (parts > 1)} does not fit; "
            f"--set accumulate={parts * 2} computes it in smaller parts, and a smaller --batch needs less memory too"
        ) from error


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Tell failed allocations of torch, and of oneDNN inside it, from other failures."""
    message = str(error)
    return (
        isinstance(error, torch.OutOfMemoryError)
        or "can't allocate memory" in message
        or message.strip() == "could not create a primitive"  # an unsupported operation lacks a "descriptor" instead
    )
