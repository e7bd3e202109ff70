"""MATLAB files: list the numeric arrays at the top level without reading them, and read one at a time.

v5 to v7 by `mat5`, v7.3 (HDF5) by h5py, v4 by scipy. The HDF Group, "HDF5 File Format Specification".
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.reading import reading, require_plausible
from pennyweight.data.scenes import mat5

if TYPE_CHECKING:
    import h5py

__all__ = ["SPARE_BYTES", "outlines", "read_variable"]

SPARE_BYTES = 256 << 20
"""Bytes that an array may unpack to from any file: a label map of one class compresses a thousandfold."""
HDF5 = b"\x89HDF\r\n\x1a\n"
USERBLOCK_BYTES = 512  # MATLAB's own header precedes the HDF5 of a v7.3 file
CLASSES = {
    "double": "f8",
    "single": "f4",
    "logical": "u1",
    **{f"{sign}int{8 * size}": f"{sign or 'i'}{size}" for sign in ("", "u") for size in (1, 2, 4, 8)},
}
"""scipy's name of a MATLAB class of numbers -> numpy's type."""


def outlines(path: Path) -> dict[str, NDArray[Any]]:
    """Return a stand-in for each numeric array of a file, with MATLAB's shape and its type, but without memory.

    Raises SourceError for any other file, and for links to other files.
    """
    with reading(path):
        if _is_hdf5(path):
            import h5py

            with h5py.File(path) as file:
                return {
                    name: _outline(item.shape[::-1], item.dtype)  # HDF5 lists the axes of MATLAB's arrays in reverse
                    for name, item in _datasets(file).items()
                }
        if found := _of_mat5(path):
            return {name: _outline(each.shape, each.dtype) for name, each in found.items()}
        from scipy.io import whosmat

        with warnings.catch_warnings(action="ignore"), path.open("rb") as stream:
            return {
                name: _outline(shape, np.dtype(CLASSES[kind]))
                for name, shape, kind in whosmat(stream)
                if kind in CLASSES and not name.startswith("__")
            }


def read_variable(path: Path, name: str) -> NDArray[Any]:
    """Read one array. Raises SourceError for a damaged array or a decompression bomb."""
    with reading(path):
        if _is_hdf5(path):
            import h5py

            with h5py.File(path) as file:
                item = _datasets(file)[name]
                stored = item.id.get_storage_size()
                require_plausible(
                    item.dtype.itemsize * max(item.size, math.prod(item.chunks or ())), stored, spare=SPARE_BYTES
                )
                read: NDArray[Any] = item[()].T
        elif found := _of_mat5(path):
            with path.open("rb") as stream:
                read = found[name].read(stream, SPARE_BYTES)
        else:
            from scipy.io import loadmat

            with warnings.catch_warnings(action="ignore"), path.open("rb") as stream:
                require_plausible(outlines(path)[name].nbytes, path.stat().st_size)  # v4 does not compress
                read = loadmat(stream, variable_names=[name])[name]
        if not isinstance(read, np.ndarray) or read.dtype.kind not in "biuf":
            raise ValueError(f"its '{name}' is no array of real numbers")
        return read


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(USERBLOCK_BYTES + len(HDF5))
    return start.startswith(HDF5) or start[USERBLOCK_BYTES:] == HDF5


def _of_mat5(path: Path) -> dict[str, mat5.Variable]:
    """Return the arrays of a file of version 5 to 7; empty for another version."""
    with path.open("rb") as file:
        order = mat5.order_of(file.read(USERBLOCK_BYTES))
        return {} if order is None else {each.name: each for each in mat5.variables(file, order)}


def _outline(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.broadcast_to(np.zeros((), dtype), shape)


def _datasets(file: h5py.File) -> Mapping[str, h5py.Dataset]:
    """Return the arrays of real numbers at the top level. Raises ValueError for links to other files."""
    import h5py

    found = {}
    for name in file:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"its '{name}' is a link to another place or file, and links are not followed")
        item = file[name]
        if not isinstance(item, h5py.Dataset):
            continue
        if item.is_virtual or item.external:  # checked before its shape, which would open the other files
            raise ValueError(f"its '{name}' lies in other files, which are not opened; save it whole")
        if item.shape is not None and item.dtype.kind in "biuf":
            found[name] = item
    return found
