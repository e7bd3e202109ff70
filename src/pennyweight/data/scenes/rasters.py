"""Read arrays from .mat (v4 to v7.3), .npy, ENVI and GeoTIFF files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.band_choice import BandChoice
from pennyweight.core.errors import SourceError, nearest
from pennyweight.core.files import expanded
from pennyweight.core.reading import reading
from pennyweight.data.scenes.envi import bad_bands, has_header, ignored_value, read_envi
from pennyweight.data.scenes.geotiff import read_geotiff
from pennyweight.data.scenes.matlab import outlines, read_variable

__all__ = ["SUFFIXES", "Raster", "read_array"]

SUFFIXES = (".mat", ".npy", ".hdr", ".img", ".raw", ".dat", ".bsq", ".bil", ".bip", ".rfl", ".rdn", ".tif", ".tiff")
NAME = "#"
"""Separator between a file and its variable: cube.mat#paviaU."""

Kind = Literal["plain", "envi", "geotiff"]


@dataclass(frozen=True, eq=False)
class Raster:
    """Array of a file, with its georeference."""

    values: NDArray[Any]
    kind: Kind = "plain"
    place: Mapping[str, Any] = field(default_factory=dict)
    """Georeference: header fields of ENVI, or `crs` and `transform` of a GeoTIFF."""
    ignored: float | None = None
    """Value that stands for no data."""
    bad: tuple[int, ...] = ()
    """Bands, counted from 0, that the file marks as bad."""
    choice: BandChoice | None = None
    """Bands of the file that `values` holds; None for all."""
    notes: tuple[str, ...] = ()
    """Lines for the user on how the file was read."""
    variable: str = ""
    """Name of the array in its .mat."""


def read_array(
    address: str,
    wanted: Callable[[NDArray[Any]], bool],
    what: str,
    *,
    rather: Callable[[NDArray[Any]], bool] = lambda values: True,
    likely: Callable[[str, NDArray[Any]], Any] = lambda name, values: 0,
    apart: str = "",
) -> Raster:
    """Read the array at FILE or FILE#VARIABLE.

    Args:
        address: The file; of a .mat, #VARIABLE may name an array.
        wanted: Whether an array of a .mat could be the one; the only candidate is read.
        what: Name of the array in messages, such as "a label map".
        rather: Preference among several candidates; the only preferred one is read.
        likely: Key by which a message sorts several candidates.
        apart: Variable of a .mat that is no candidate.

    Raises:
        SourceError: The file cannot be read, or it has no candidate or several, which the message lists.
    """
    file, _, variable = address.partition(NAME)
    path = expanded(file)
    if not path.is_file():
        raise SourceError(f"no file {path}; {what} is read from {', '.join(SUFFIXES)}")
    suffix = path.suffix.lower()
    if suffix == ".mat":
        arrays = {name: values for name, values in outlines(path).items() if name != apart}
        arrays = {name: arrays[name] for name in sorted(arrays, key=lambda name: likely(name, arrays[name]))}
        name = _chosen(path, arrays, variable, wanted, what, rather)
        return Raster(read_variable(path, name), variable=name)
    if variable:
        raise SourceError(f"{path} has no variables to name, as {address} does; only .mat files have")
    if suffix == ".npy":
        with reading(path):
            if path.stat().st_size == 0:
                raise ValueError("it is empty")
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
            raise SourceError(f"{path} holds no array of numbers; {what} is one")
        return Raster(values)
    if suffix in (".tif", ".tiff"):
        values, place, ignored, marks = read_geotiff(path)
        bad, notes = bad_bands(marks, values.shape[2])
        return Raster(values, "geotiff", place, ignored, bad, notes=notes)
    if suffix in SUFFIXES or has_header(path):
        values, fields = read_envi(path)
        bad, notes = bad_bands(fields.get("bbl", ""), values.shape[2])
        return Raster(values, "envi", fields, ignored_value(fields, path), bad, notes=notes)
    raise SourceError(f"{path} has an unknown file extension; {what} is read from {', '.join(SUFFIXES)}")


def _chosen(
    path: Path,
    arrays: Mapping[str, NDArray[Any]],
    variable: str,
    wanted: Callable[[NDArray[Any]], bool],
    what: str,
    rather: Callable[[NDArray[Any]], bool],
) -> str:
    """Return the name of the variable to read. Raises SourceError that lists the candidates."""
    shapes = ", ".join(f"{name} {'×'.join(map(str, value.shape))}" for name, value in arrays.items()) or "no arrays"
    if variable:
        if variable not in arrays:
            raise SourceError(f"{path} has no '{variable}'{nearest(variable, arrays)}; it holds {shapes}")
        return variable
    fitting = [name for name, value in arrays.items() if wanted(value)]
    best = [name for name in fitting if rather(arrays[name])]
    if len(best) == 1 or len(fitting) == 1:
        return (best or fitting)[0]
    if not fitting:
        raise SourceError(f"{path} holds nothing that could be {what}; it holds {shapes}")
    raise SourceError(
        f"{path} holds several arrays that could be {what}: {', '.join(fitting)}; name one: "
        f"{path.name}{NAME}{fitting[0]} (it holds {shapes})"
    )
