"""CIFAR-10 and CIFAR-100 from their publisher's archive; its pickles are read without running any code in them.

Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images. The archive holds pickled dictionaries of bytes,
lists and one array each. The reader knows the three functions that rebuild an array and takes their arguments as
values. A pickle that calls any other function is refused.
"""

from __future__ import annotations

import pickle
import tarfile
import zlib
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from pennyweight.core.errors import SourceError
from pennyweight.data.readers.arrays import Block, from_arrays
from pennyweight.data.source import Source

__all__ = ["read_cifar", "read_pickled"]

SIDE = 32
LABELS = (b"labels", b"fine_labels")
NAMES = (b"label_names", b"fine_label_names")
MAX_MEMBER_BYTES = 400_000_000


def read_cifar(archive: Path, *, name: str, address: str) -> Source:
    """Read the 32×32 RGB pictures of cifar-10-python.tar.gz or cifar-100-python.tar.gz, in train and test splits.

    Raises SourceError for an archive that holds anything else.
    """
    blocks: list[Block] = []
    names: list[str] | None = None
    try:
        with tarfile.open(archive, "r:gz") as tape:
            for entry in tape:
                last = entry.name.rpartition("/")[2]
                if not entry.isreg() or not last.startswith(("data_batch_", "test", "train", "batches.meta", "meta")):
                    continue
                if entry.size > MAX_MEMBER_BYTES:
                    raise SourceError(f"{last} of {archive} has {entry.size:,} bytes, more than any part of CIFAR")
                content = tape.extractfile(entry)
                assert content is not None
                values = read_pickled(content, where=f"{last} of {archive}")
                if "meta" in last:
                    names = [bytes(text).decode() for text in _first(values, NAMES)]
                else:
                    blocks.append(_block(values, "test" if last.startswith("test") else "train"))
    except (tarfile.TarError, zlib.error, EOFError, KeyError, TypeError, ValueError, UnicodeDecodeError) as error:
        raise SourceError(f"{archive} is not the archive of {name}: {error or 'damaged'}") from error
    if not blocks or names is None:
        raise SourceError(f"{archive} is not the archive of {name}: it has no pictures, or no names of classes")
    return from_arrays(blocks, name=name, address=address, labels=names, size=SIDE)


def _block(values: dict[bytes, Any], split: Any) -> Block:
    pixels = values[b"data"].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return Block(split, np.ascontiguousarray(pixels), np.array(_first(values, LABELS), np.int64))


def _first(values: dict[bytes, Any], keys: tuple[bytes, ...]) -> Any:
    return next(values[key] for key in keys if key in values)


def read_pickled(content: IO[bytes], *, where: str) -> dict[bytes, Any]:
    """Read a pickled dictionary of plain values and uint8 arrays. Raises SourceError for any other pickle."""
    try:
        values = _Plain(content, encoding="bytes").load()
        if isinstance(values, dict):
            return {key: value.array() if isinstance(value, _Array) else value for key, value in values.items()}
    except SourceError:
        raise
    # A damaged pickle can raise nearly any error.
    except Exception as error:
        raise SourceError(f"cannot read {where}: {str(error) or type(error).__name__}") from error
    raise SourceError(f"cannot read {where}: it holds a {type(values).__name__}, not a dictionary")


class _Array:
    """Stand-in for an array that is being unpickled: its shape and bytes."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.content = b""

    def __setstate__(self, state: Any) -> None:
        _, self.shape, dtype, fortran, self.content = state
        if not isinstance(dtype, _Dtype) or fortran or not isinstance(self.content, bytes):
            raise ValueError("an array that is not uint8 in C order")

    def array(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.frombuffer(self.content, np.uint8).reshape(self.shape)


class _Dtype:
    """Stand-in for the dtype of an array; accepts uint8 only."""

    def __init__(self, code: object = b"", *_: object) -> None:
        if code not in (b"u1", "u1"):
            raise ValueError(f"an array of {code!r}, not of uint8")

    def __setstate__(self, state: object) -> None:
        """Ignore the byte order, which does not apply to uint8."""


def _rebuild(*_: object) -> _Array:
    return _Array()


class _Plain(pickle.Unpickler):
    """Unpickler that calls nothing but the three stand-ins above."""

    known = {  # noqa: RUF012 - a constant table
        ("numpy.core.multiarray", "_reconstruct"): _rebuild,
        ("numpy._core.multiarray", "_reconstruct"): _rebuild,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
    }

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in self.known:
            raise SourceError(f"a pickle that calls {module}.{name} was refused; CIFAR's call nothing but arrays")
        return self.known[module, name]

    def persistent_load(self, pid: object, /) -> NoReturn:
        raise SourceError("a pickle that refers to something outside itself was refused")
