"""GeoTIFF, where rasterio is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.core.files import atomic

__all__ = ["read_geotiff", "write_geotiff"]


def read_geotiff(path: Path) -> tuple[NDArray[Any], dict[str, Any]]:
    """(H, W, bands), and where on earth it lies; a pixel that has no data in a band is NaN in all."""
    import rasterio

    try:
        with rasterio.open(path) as file:
            cube = file.read().transpose(1, 2, 0)
            place = {"crs": file.crs, "transform": file.transform}
            nodata = file.nodata
    except rasterio.errors.RasterioIOError as error:
        raise SourceError(f"cannot read {path}: {error}") from error
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
