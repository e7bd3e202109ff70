"""GeoTIFF, where rasterio is installed."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.files import atomic
from pennyweight.core.reading import believe, reading
from pennyweight.data.scenes.matlab import SPARE_BYTES

__all__ = ["read_geotiff", "write_geotiff"]


def read_geotiff(path: Path) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return (H, W, bands), and where on earth it lies; a pixel that has no data in a band is NaN in all.

    The file is read as GeoTIFF whatever it holds: GDAL knows many formats, and some of them name other files and
    servers. Raises SourceError for what is none, and for one far larger than its file lets expect.
    """
    import rasterio

    with (
        reading(path),
        warnings.catch_warnings(action="ignore"),  # a file without a place on earth is no news here
        rasterio.Env(GDAL_PAM_ENABLED="NO"),  # a file beside it may name others too
        rasterio.open(path.absolute(), driver="GTiff") as file,
    ):
        if any(np.dtype(kind).kind not in "biuf" for kind in file.dtypes):
            raise ValueError(f"its values are {file.dtypes[0]}, not real numbers")
        size = max(np.dtype(kind).itemsize for kind in file.dtypes)
        believe(file.width * file.height * file.count * size, path.stat().st_size, spare=SPARE_BYTES)
        cube = file.read().transpose(1, 2, 0)
        place = {"crs": file.crs, "transform": file.transform}
        nodata = file.nodata
    if nodata is not None and np.isfinite(nodata):
        empty = (cube == nodata).any(axis=-1)
        if empty.any():
            cube = cube.astype(np.float32)
            cube[empty] = np.nan
    return cube, place


def write_geotiff(path: Path, values: NDArray[Any], place: dict[str, Any]) -> None:
    """(H, W) -> a GeoTIFF of one band at the same place; 0 is no data."""
    import rasterio

    height, width = values.shape
    with (
        atomic(path) as temporary,
        rasterio.open(
            temporary, "w", driver="GTiff", height=height, width=width, count=1, dtype=values.dtype, nodata=0, **place
        ) as file,
    ):
        file.write(values, 1)
