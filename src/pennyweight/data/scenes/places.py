"""Compare the georeference of a cube with that of its label map."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pennyweight.core.errors import SourceError
from pennyweight.data.scenes.rasters import Raster

__all__ = ["Place", "place_of", "require_same_place"]

CODE = "EPSG:"
TOLERANCE = 0.5
"""Largest distance of two corners in pixels of the cube."""


class Place(NamedTuple):
    """Position of a raster: x = a·column + b·row + c, y = d·column + e·row + f, of the corners of pixels."""

    crs: str
    """Coordinate reference system, such as EPSG:32611; empty if it is not known."""
    affine: tuple[float, float, float, float, float, float]

    def at(self, column: float, row: float) -> tuple[float, float]:
        """Return the coordinates of a corner."""
        a, b, c, d, e, f = self.affine
        return a * column + b * row + c, d * column + e * row + f

    def __str__(self) -> str:
        a, _, c, _, e, f = self.affine
        return f"{self.crs or 'no CRS'}, upper left corner ({c:.10g}, {f:.10g}), pixels of {a:.6g}×{e:.6g}"


def place_of(raster: Raster) -> Place | None:
    """Return the georeference of a raster; None without one, or with one that cannot be read."""
    if raster.kind == "geotiff":
        return _of_geotiff(raster.place)
    if raster.kind == "envi":
        return _of_envi(raster.place)
    return None


def require_same_place(name: str, cube: Raster, labels: Raster, what: str = "label map") -> None:
    """Raise SourceError if a label map lies elsewhere than its cube, by more than half a pixel at a corner.

    Rasters without a georeference pass, and a CRS that only one of them names is not compared.
    """
    here, there = place_of(cube), place_of(labels)
    if here is None or there is None:
        return
    height, width = cube.values.shape[:2]
    a, b, _, d, e, _ = here.affine
    side = min(math.hypot(a, d), math.hypot(b, e)) or 1.0
    corners = ((0, 0), (width, 0), (0, height), (width, height))
    away = max(math.dist(here.at(*corner), there.at(*corner)) for corner in corners) / side
    if away <= TOLERANCE and not _are_other(here.crs, there.crs):
        return
    raise SourceError(
        f"the {what} of {name} lies elsewhere than the cube: the cube has {here}; the map has {there}; "
        "--ignore-place takes them pixel by pixel"
    )


def _are_other(one: str, other: str) -> bool:
    """Return true for two different CRSs; a code and a name are not compared."""
    return bool(one and other) and one.startswith(CODE) == other.startswith(CODE) and one != other


def _of_geotiff(place: Mapping[str, Any]) -> Place | None:
    transform, crs = place.get("transform"), place.get("crs")
    if transform is None or (transform.is_identity and crs is None):
        return None
    return Place(_name_of(crs), tuple(transform)[:6])


def _of_envi(fields: Mapping[str, str]) -> Place | None:
    """Read `map info`: projection, reference pixel (from 1), its coordinates, pixel sizes, zone and hemisphere.

    L3Harris, "ENVI Header Files". A rotation turns the pixels about the reference pixel.
    """
    parts = [part.strip() for part in fields.get("map info", "").strip("{} ").split(",")]
    try:
        column, row, x, y, across, down = map(float, parts[1:7])
    except ValueError:
        return None
    named = dict(part.lower().replace(" ", "").split("=", 1) for part in parts[7:] if "=" in part)
    try:
        turn = math.radians(float(named.get("rotation", "0")))
    except ValueError:
        return None
    cos, sin = math.cos(turn), math.sin(turn)
    a, b, d, e = across * cos, across * sin, down * sin, -down * cos  # as GDAL reads it
    left, up = column - 1, row - 1
    affine = (a, b, x - a * left - b * up, d, e, y - d * left - e * up)
    return Place(_name_of_envi(parts, fields.get("coordinate system string", "")), affine)


def _name_of_envi(parts: list[str], wkt: str) -> str:
    """Return the code of a UTM zone on WGS-84, else the name in the coordinate system string."""
    if parts[0].lower() == "utm" and len(parts) > 8 and parts[7].isdecimal():
        south = parts[8].lower().startswith("s")
        datum = parts[9].lower().replace("-", "").replace(" ", "") if len(parts) > 9 else "wgs84"
        if datum.startswith("wgs84"):
            return f"{CODE}{(32700 if south else 32600) + int(parts[7])}"
    if parts[0].lower() == "geographic lat/lon" and len(parts) > 7 and parts[7].lower().replace("-", "") == "wgs84":
        return f"{CODE}4326"
    return _name_of_wkt(wkt.strip("{} "))


def _name_of(crs: Any) -> str:
    if crs is None:
        return ""
    code = crs.to_epsg()
    return f"{CODE}{code}" if code else _name_of_wkt(crs.to_wkt())


def _name_of_wkt(text: str) -> str:
    """Return the code of a UTM zone on WGS-84, else the name at the beginning of a CRS, without signs."""
    found = re.match(r'\w+\["([^"]*)"', text)
    name = re.sub(r"[^a-z0-9]", "", found[1].lower()) if found else ""
    zone = re.fullmatch(r"wgs(?:19)?84utmzone(\d+)([ns])", name)
    return f"{CODE}{(32600 if zone[2] == 'n' else 32700) + int(zone[1])}" if zone else name
