"""Arrays from files of many kinds: .mat of both sorts, .npy, ENVI, GeoTIFF."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError, nearest
from pennyweight.data.envi import read_envi
from pennyweight.data.geotiff import read_geotiff

__all__ = ["SUFFIXES", "Raster", "read_array"]

SUFFIXES = (".mat", ".npy", ".hdr", ".img", ".raw", ".dat", ".bsq", ".bil", ".bip", ".tif", ".tiff")
HDF5 = b"\x89HDF\r\n\x1a\n"
USERBLOCK_BYTES = 512  # MATLAB's own header stands before the HDF5 of a v7.3 file
NAME = "#"
"""Between a file and the variable in it: cube.mat#paviaU."""

Kind = Literal["plain", "envi", "geotiff"]


@dataclass(frozen=True, eq=False)
class Raster:
    """An array as a file holds it."""

    values: NDArray[Any]
    kind: Kind = "plain"
    place: Mapping[str, Any] = field(default_factory=dict)
    """Where on earth it lies, as its kind says it."""


def read_array(
    address: str,
    wanted: Callable[[NDArray[Any]], bool],
    what: str,
    *,
    rather: Callable[[NDArray[Any]], bool] = lambda values: True,
) -> Raster:
    """The array at FILE or FILE#VARIABLE; in a .mat the one that is `wanted`, when it is the only one.

    Of several that are wanted, the only one that is so `rather` than the others is taken. `what` says to a person what
    is looked for. Raises SourceError that lists the candidates when there are several or none.
    """
    file, _, variable = address.partition(NAME)
    path = Path(file).expanduser()
    if not path.is_file():
        raise SourceError(f"no file {path}; {what} is read from {', '.join(SUFFIXES)}")
    suffix = path.suffix.lower()
    if suffix == ".mat":
        return Raster(_choose(path, _read_mat(path), variable, wanted, what, rather))
    if variable:
        raise SourceError(f"{path} has no variables to name, as {address} does; only .mat files have")
    if suffix == ".npy":
        try:
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise SourceError(f"cannot read {path}: {error or 'it is empty'}") from error
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
            raise SourceError(f"{path} holds no array of numbers; {what} is one")
        return Raster(values)
    if suffix in (".tif", ".tiff"):
        values, place = read_geotiff(path)
        return Raster(values, "geotiff", place)
    if suffix in SUFFIXES:
        values, fields = read_envi(path)
        return Raster(values, "envi", fields)
    raise SourceError(f"{path} is of no kind that is read here; {what} is read from {', '.join(SUFFIXES)}")


def _read_mat(path: Path) -> dict[str, NDArray[Any]]:
    """The numeric arrays of a MATLAB file, in MATLAB's order of axes. v5 by scipy, v7.3 (HDF5) by h5py."""
    with path.open("rb") as file:
        start = file.read(USERBLOCK_BYTES + len(HDF5))
    refusals: tuple[type[Exception], ...] = (OSError, ValueError, TypeError, NotImplementedError)
    try:
        if start.startswith(HDF5) or start[USERBLOCK_BYTES:] == HDF5:
            import h5py

            with h5py.File(path) as opened:
                # HDF5 lists the axes of MATLAB's column-first arrays in reverse.
                found = {name: item[()].T for name, item in opened.items() if isinstance(item, h5py.Dataset)}
        else:
            from scipy.io import loadmat
            from scipy.io.matlab import MatReadError

            refusals += (MatReadError,)
            found = loadmat(path)
    except refusals as error:
        raise SourceError(f"cannot read {path}: {error}") from error
    return {
        name: value
        for name, value in found.items()
        if not name.startswith("__") and isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
    }


def _choose(
    path: Path,
    arrays: Mapping[str, NDArray[Any]],
    variable: str,
    wanted: Callable[[NDArray[Any]], bool],
    what: str,
    rather: Callable[[NDArray[Any]], bool],
) -> NDArray[Any]:
    shapes = ", ".join(f"{name} {'×'.join(map(str, value.shape))}" for name, value in arrays.items()) or "no arrays"
    if variable:
        if variable not in arrays:
            raise SourceError(f"{path} has no '{variable}'{nearest(variable, arrays)}; it holds {shapes}")
        return arrays[variable]
    fitting = [name for name, value in arrays.items() if wanted(value)]
    best = [name for name in fitting if rather(arrays[name])]
    if len(best) == 1 or len(fitting) == 1:
        return arrays[(best or fitting)[0]]
    if not fitting:
        raise SourceError(f"{path} holds nothing that could be {what}; it holds {shapes}")
    raise SourceError(
        f"{path} holds several arrays that could be {what}: {', '.join(fitting)}; name one: "
        f"{path.name}{NAME}{fitting[0]} (it holds {shapes})"
    )
