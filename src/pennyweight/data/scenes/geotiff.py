"""Read and write GeoTIFF with rasterio."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.files import atomic
from pennyweight.core.reading import reading, require_plausible
from pennyweight.data.scenes.matlab import SPARE_BYTES

__all__ = ["read_geotiff", "write_geotiff"]


def read_geotiff(path: Path) -> tuple[NDArray[Any], dict[str, Any], float | None, str]:
    """Read a cube (H, W, bands), its georeference, its value for no data, and ENVI's list of bad bands, if it has one.

    GDAL's GeoTIFF driver alone opens the file, because other formats can name files and servers. Raises SourceError
    for any other file and for a decompression bomb.
    """
    import rasterio

    with (
        reading(path),
        warnings.catch_warnings(action="ignore"),  # a missing georeference is allowed
        rasterio.Env(GDAL_PAM_ENABLED="NO"),  # a sidecar file could name other files, too
        rasterio.open(path.absolute(), driver="GTiff") as file,
    ):
        if any(np.dtype(kind).kind not in "biuf" for kind in file.dtypes):
            raise ValueError(f"its values are {file.dtypes[0]}, not real numbers")
        size = max(np.dtype(kind).itemsize for kind in file.dtypes)
        require_plausible(file.width * file.height * file.count * size, path.stat().st_size, spare=SPARE_BYTES)
        cube = file.read().transpose(1, 2, 0)
        place = {"crs": file.crs, "transform": file.transform}
        nodata, marks = file.nodata, file.tags(ns="ENVI").get("bbl", "")
    return cube, place, nodata if nodata is not None and np.isfinite(nodata) else None, marks


def write_geotiff(path: Path, values: NDArray[Any], place: dict[str, Any]) -> None:
    """Write values (H, W) as a GeoTIFF of one band with the georeference `place`; 0 is no data."""
    import rasterio

    height, width = values.shape
    with (
        atomic(path) as temporary,
        rasterio.open(
            temporary, "w", driver="GTiff", height=height, width=width, count=1, dtype=values.dtype, nodata=0, **place
        ) as file,
    ):
        file.write(values, 1)
