"""A label map of another place is refused with both places; one of the same place passes, whatever its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pennyweight.core.errors import SourceError
from pennyweight.data.scenes.envi import write_envi
from pennyweight.data.scenes.open import open_scene

CUBE = np.random.default_rng(0).integers(1, 4000, (12, 10, 4)).astype(np.int16)
IDS = np.kron([[1, 2], [3, 0]], np.ones((6, 5), np.uint8))
UTM = "{{UTM, {0}, {0}, {1}, {2}, 30, 30, {3}, North, WGS-84, units=Meters}}"
HERE = UTM.format(1, 500000, 4000000, 11)


def envi(path: Path, values: np.ndarray, info: str) -> Path:
    write_envi(path, values, {"map info": info} if info else {})
    return path


def tiff(path: Path, values: np.ndarray, x: float, y: float, crs: str | None, pixel: float = 30) -> Path:
    rasterio = pytest.importorskip("rasterio")
    values = np.atleast_3d(values)
    place: dict[str, Any] = {"transform": rasterio.transform.from_origin(x, y, pixel, pixel)}
    shape = {"height": 12, "width": 10, "count": values.shape[2], "dtype": values.dtype}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, **shape, **place) as file:
        file.write(values.transpose(2, 0, 1))
    return path


@pytest.mark.parametrize(
    ("info", "same"),
    [
        (HERE, True),
        (UTM.format(1.5, 500015, 3999985, 11), True),  # the middle of the first pixel is the reference
        (UTM.format(1, 500014, 4000000, 11), True),  # less than half a pixel
        ("", True),
        ("{nonsense}", True),
        (UTM.format(1, 500016, 4000000, 11), False),
        (UTM.format(1, 500000, 4000000, 12), False),  # another zone
        ("{UTM, 1, 1, 500000, 4000000, 33, 30, 11, North, WGS-84}", False),  # wider pixels
    ],
)
def test_envi_places_are_compared(tmp_path: Path, info: str, same: bool) -> None:
    cube, labels = envi(tmp_path / "cube.img", CUBE, HERE), envi(tmp_path / "gt.img", IDS, info)
    if same:
        assert open_scene(cube, labels).ids == (1, 2, 3)
        return
    rule = r"the cube has EPSG:32611, .*\(500000, 4000000\), pixels of 30×-30; the map has EPSG:326.*--ignore-place"
    with pytest.raises(SourceError, match=rule):
        open_scene(cube, labels)
    assert open_scene(cube, labels, ignore_place=True).ids == (1, 2, 3)


@pytest.mark.parametrize(
    ("x", "crs", "pixel", "same"),
    [
        (500000, "EPSG:32611", 30, True),
        (500000, None, 30, True),
        (500000, "EPSG:32711", 30, False),
        (500020, "EPSG:32611", 30, False),
        (500000, "EPSG:32611", 15, False),
    ],
)
def test_geotiff_and_envi_places_are_compared(tmp_path: Path, x: float, crs: str, pixel: float, same: bool) -> None:
    labels = tiff(tmp_path / "gt.tif", IDS, x, 4000000, crs, pixel)
    for cube in (
        envi(tmp_path / "cube.img", CUBE, HERE),
        tiff(tmp_path / "c.tif", CUBE, 500000, 4000000, "EPSG:32611"),
    ):
        if same:
            assert open_scene(cube, labels).ids == (1, 2, 3)
        else:
            with pytest.raises(SourceError, match="lies elsewhere than the cube"):
                open_scene(cube, labels)


def test_a_rotated_header_is_read_as_gdal_reads_it(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    from pennyweight.data.scenes.places import place_of

    path = envi(tmp_path / "cube.img", CUBE, HERE.replace("units=Meters", "units=Meters, rotation=30"))
    with rasterio.open(path) as file:
        theirs = tuple(file.transform)[:6]
    ours = place_of(open_scene(path).raster)
    assert ours is not None
    np.testing.assert_allclose(ours.affine, theirs, atol=1e-6)
