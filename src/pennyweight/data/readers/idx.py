"""MNIST and sets in its format: gzipped IDX files of 28×28 gray pictures.

LeCun, Cortes and Burges, The MNIST database of handwritten digits: a magic number, the sizes, then the bytes.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.data.readers.arrays import Block, from_arrays
from pennyweight.data.source import Source, Split

__all__ = ["FILES", "read_idx"]

FILES: Mapping[Split, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
UBYTE = 8
MAX_BYTES = 1 << 30


def read_idx(files: Mapping[str, Path], *, name: str, address: str, labels: Sequence[str], mirrors: bool) -> Source:
    """Read the pictures of the four files; `files` maps each name in FILES to a path. Raises SourceError."""
    blocks = [
        Block(split, _read(files[pictures], 3), _read(files[numbers], 1))
        for split, (pictures, numbers) in FILES.items()
    ]
    return from_arrays(blocks, name=name, address=address, labels=labels, mirrors=mirrors, size=32)


def _read(path: Path, dimensions: int) -> NDArray[Any]:
    try:
        with gzip.open(path) as file:
            zero, kind, found = struct.unpack(">HBB", file.read(4))
            if (zero, kind, found) != (0, UBYTE, dimensions):
                raise ValueError(f"not an IDX file of bytes in {dimensions} dimensions")
            sides = struct.unpack(f">{dimensions}I", file.read(4 * dimensions))
            expected = math.prod(sides)
            content = file.read(min(expected, MAX_BYTES) + 1)
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise SourceError(f"cannot read {path}: {error}") from error
    if len(content) != expected:
        raise SourceError(f"cannot read {path}: it has {len(content):,} bytes in place of {expected:,}")
    return np.frombuffer(content, np.uint8).reshape(sides)
