"""Memory of a stream: one bound in bytes, divided among all that a stream holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pennyweight.core.errors import InputError
from pennyweight.core.machine import memory_bytes

__all__ = ["BUFFER", "StreamMemory"]

BUFFER = 256_000_000
"""Bytes that a stream takes by default."""
FILES, BATCHES, OPEN = 1 / 8, 1 / 4, 1 / 8
"""Shares for picture files before they are decoded, for prefetched batches, and for files read from their start."""
INDEX = 512
"""Bytes of a sample in the index, of which at most a quarter of the bound is counted."""
LANES = 64
"""Most files that are read side by side."""
LARGEST_SHARE = 1 / 4
"""Share of the memory of this process beyond which a bound has a warning."""
BATCHES_HELD = 2
"""Batches for whose decoded pictures there must be room."""


@dataclass(frozen=True)
class StreamMemory:
    """Bound of a stream's memory in bytes; None is BUFFER, or more for large batches of large pictures."""

    asked: int | None = None

    def __str__(self) -> str:
        return f"{self.bytes / 1e6:,.0f}MB"

    @property
    def bytes(self) -> int:
        """Return the bound."""
        return BUFFER if self.asked is None else self.asked

    @property
    def file_bytes(self) -> int:
        """Return the bytes for picture files that wait for a decoder."""
        return int(FILES * self.bytes)

    @property
    def batch_bytes(self) -> int:
        """Return the bytes for prefetched batches."""
        return int(BATCHES * self.bytes)

    @property
    def warning(self) -> str:
        """Return a line for a process with little memory; the buffer stays, because it decides the order of samples."""
        memory = memory_bytes()
        if memory is None or self.bytes <= LARGEST_SHARE * memory:
            return ""
        less = max(1, int(LARGEST_SHARE * memory / 1e6))
        return (
            f"the shuffle buffer takes {self} of the {memory / 1e6:,.0f} MB that this process may use; "
            f"--shuffle-buffer {less}MB takes less, in another order"
        )

    def lanes(self, sequence: int) -> int:
        """Return the number of files to read side by side, each of which takes `sequence` bytes."""
        return max(1, min(LANES, int(OPEN * self.bytes) // max(1, sequence)))

    def room(self, shape: tuple[int, ...], samples: int, batch: int, *, sequences: bool) -> int:
        """Return the number of decoded pictures that may be held.

        Args:
            shape: Shape of a decoded picture.
            samples: Number of samples in the stream.
            batch: Number of pictures in a batch.
            sequences: Whether some files are read from their start.

        Raises:
            InputError: The bound was asked for, and has no room for two batches.
        """
        picture, batch = int(np.prod(shape)), min(batch, samples)
        index = min(self.bytes // 4, INDEX * samples)
        shares = 1 - FILES - BATCHES - OPEN * sequences
        room = int(shares * self.bytes - index) // picture
        if self.asked is not None and room < BATCHES_HELD * batch:
            least = -(-int((BATCHES_HELD * batch * picture + index) / shares * 1.01) // 1_000_000)
            raise InputError(
                f"a shuffle buffer of {self} has room for {room:,} pictures of {picture:,} bytes; "
                f"batches of {batch} need {BATCHES_HELD * batch:,}: give it {least}MB, or a smaller batch"
            )
        return max(room, BATCHES_HELD * batch)
