"""Read label maps: the id of each pixel's class, or abundances of materials."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.core.files import expanded
from pennyweight.data.scenes.bands import mask_ignored
from pennyweight.data.scenes.rasters import Raster, read_array
from pennyweight.data.scenes.scene import UNLABELED

__all__ = ["LabelMap", "open_label_map", "read_label_map"]

MOST_CLASSES = 255
"""Largest number of classes; a map with more different numbers is no label map."""
MOST_LAYERS = 64
"""Largest number of layers of abundances; an array with more is a cube."""
TOTALS = (1.0, 100.0)
"""Sums of a pixel's abundances: shares, or percent."""
SUM_TOLERANCE = 0.1
"""Largest relative distance of a pixel's sum from one of TOTALS."""
LEAST_SHARE = 0.99
"""Least share of the labeled pixels whose sum is within the tolerance."""
NEGATIVE = -0.01
"""Abundances below it are refused; above it they are rounding errors of the solver."""
LIKELY_NAMES = ("gt", "label", "truth", "class", "map", "train", "test", "abund")


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Class of each pixel, numbered from 0 without gaps."""

    targets: NDArray[np.int16]
    """(H, W); UNLABELED where no class is known."""
    ids: tuple[int, ...]
    """Id of each class in the file."""
    names: tuple[str, ...] | None
    """Names that the file gives for all classes."""
    raster: Raster
    notes: tuple[str, ...]


def read_label_map(
    path: str | os.PathLike[str],
    *,
    background: int = 0,
    shape: tuple[int, int] | None = None,
    cube: tuple[str, Raster] | None = None,
) -> LabelMap:
    """Read a label map.

    Args:
        path: A map of ids (H, W), or of abundances (classes, H, W), (H, W, classes) or (classes, pixels), column by
            column; the largest abundance gives the class. A pixel that is 0 in all classes is unlabeled.
        background: Id of unlabeled pixels.
        shape: (H, W) of the scene, if known.
        cube: Address and raster of the scene's cube, which is never its own label map.

    Raises:
        SourceError: The file is not a label map.
    """
    address = os.fspath(path)
    raster = _read(address, shape, cube)
    values, abundant = _as_ids(raster.values, shape, address)
    if abundant:
        background = 0
    whole = np.where(np.isfinite(values), values, background)
    if (whole != np.round(whole)).any():
        raise SourceError(f"{address} holds fractions; a label map has a whole number for each class")
    known = (whole != background) & (whole >= 0)
    ids = np.unique(whole[known]).astype(np.int64)
    if not 2 <= len(ids) <= MOST_CLASSES:
        hint = "; --background -1 makes 0 a class" if len(ids) == 1 and background == 0 and not abundant else ""
        raise SourceError(
            f"{address} has {len(ids)} classes besides the background {background}; it needs 2 to {MOST_CLASSES}{hint}"
        )
    targets = np.where(known, np.searchsorted(ids, np.where(known, whole, ids[0])), UNLABELED).astype(np.int16)
    numbers = tuple(int(number) for number in ids)
    return LabelMap(targets, numbers, _envi_names(raster, numbers), raster, _notes(values, background, abundant))


def open_label_map(
    path: str | os.PathLike[str], *, background: int = 0, shape: tuple[int, int] | None = None
) -> tuple[NDArray[np.int16], tuple[int, ...]]:
    """Read a label map as targets (H, W) and the id of each class; see `read_label_map`."""
    found = read_label_map(path, background=background, shape=shape)
    return found.targets, found.ids


def _notes(values: NDArray[Any], background: int, abundant: bool) -> tuple[str, ...]:
    """Return a line on the pixels that the background's id leaves without a class."""
    if abundant:
        lost = int((values == 0).sum())
        return (f"{lost:,} pixels without any abundance are unlabeled",) if lost else ()
    lost = int((values == background).sum())
    if not lost:
        return ()
    hint = " (--background -1 makes it a class)" if background == 0 else ""
    return (f"the id {background} of {lost:,} pixels means unlabeled{hint}",)


def _read(address: str, shape: tuple[int, int] | None, cube: tuple[str, Raster] | None) -> Raster:
    """Read the array of a label map; an array of the scene's shape has precedence."""
    apart = ""
    if cube is not None and _file(address) == _file(cube[0]):
        apart = cube[1].variable
        if not apart or address.partition("#")[2] == apart:
            raise SourceError(f"{address} is the cube itself, and no label map; give another file or variable")
    found = read_array(
        address,
        lambda values: _is_label_map(values, shape),
        "a label map",
        rather=lambda values: values.shape == shape,
        likely=lambda name, values: _rank(name, values, shape),
        apart=apart,
    )
    if found.values.ndim not in (2, 3) or found.values.size == 0:
        raise SourceError(f"{address} is no label map of height×width, but {'×'.join(map(str, found.values.shape))}")
    if found.values.ndim == 3:
        return mask_ignored(found)
    masked = mask_ignored(replace(found, values=found.values[..., None]))
    return replace(masked, values=masked.values[..., 0])


def _file(address: str) -> str:
    """Return the file of an address, for an ENVI header without its ending."""
    path = expanded(address.partition("#")[0]).absolute()
    return str(path.with_suffix("") if path.suffix.lower() in (".hdr", ".img", ".dat", ".raw") else path)


def _rank(name: str, values: NDArray[Any], shape: tuple[int, int] | None) -> tuple[bool, bool, bool, int]:
    """Return a key that sorts the likely label maps before the others."""
    told = any(part in name.lower() for part in LIKELY_NAMES)
    layers = 1 if values.ndim == 2 else min(values.shape)
    return values.shape != shape, not told, values.dtype.kind not in "biu", layers


def _is_label_map(values: NDArray[Any], shape: tuple[int, int] | None) -> bool:
    if values.ndim == 3:
        if shape is None or shape not in (values.shape[:2], values.shape[1:]):
            return False
        return int(values.shape[2 if values.shape[:2] == shape else 0]) <= MOST_LAYERS
    if values.ndim != 2 or min(values.shape) < 2:
        return False
    if shape is None or values.shape == shape:
        return True
    flat = values.shape[1] == shape[0] * shape[1] and values.shape[0] <= MOST_LAYERS
    return flat or _like_ids(values)


def _like_ids(values: NDArray[Any]) -> bool:
    """Return whether an array looks like ids. A map of the wrong size passes, so that an error can name its size."""
    return values.dtype.kind in "biu" and min(values.shape) > 8


def _as_ids(values: NDArray[Any], shape: tuple[int, int] | None, path: str) -> tuple[NDArray[Any], bool]:
    """Return ids (H, W), and whether they come from abundances, whose classes count from 1."""
    values = np.asarray(values)
    if shape is not None and values.ndim == 2 and values.shape != shape and values.shape[1] == shape[0] * shape[1]:
        values = values.reshape(len(values), shape[1], shape[0]).transpose(0, 2, 1)
    if values.ndim == 2:
        return values, False
    layered = values if _layers_last(values.shape, shape) else np.moveaxis(values, 0, -1)
    if layered.shape[2] == 1:
        return layered[..., 0], False
    known = np.isfinite(layered).all(axis=-1) & (layered != 0).any(axis=-1)
    _require_abundances(layered[known], path)
    return np.where(known, layered.argmax(axis=-1) + 1, 0), True


def _layers_last(sides: tuple[int, ...], shape: tuple[int, int] | None) -> bool:
    if shape is not None and shape in (sides[:2], sides[1:]):
        return sides[:2] == shape
    return sides[2] <= sides[0]


def _require_abundances(pixels: NDArray[Any], path: str) -> None:
    """Raise SourceError unless labeled pixels (N, classes) hold abundances: not negative, with a sum of about 1."""
    rule = f"abundances have at most {MOST_LAYERS} layers, are not negative, and sum to about 1 in a labeled pixel"
    if pixels.shape[1] > MOST_LAYERS:
        raise SourceError(f"{path} is no label map: it has {pixels.shape[1]} layers, and {rule}")
    if not len(pixels):
        raise SourceError(f"{path} is no label map: no pixel is labeled")
    values = pixels.astype(np.float64)
    sums = values.sum(axis=1)
    near = max(float((np.abs(sums / total - 1) <= SUM_TOLERANCE).mean()) for total in TOTALS)
    if values.min() < NEGATIVE or near < LEAST_SHARE:
        raise SourceError(
            f"{path} is no label map: its values are {values.min():.4g} and more, and a pixel's sum is "
            f"{sums.min():.4g} to {sums.max():.4g}; {rule}"
        )


def _envi_names(raster: Raster, ids: Sequence[int]) -> tuple[str, ...] | None:
    """Return the class names of an ENVI classification, listed by id from 0; None if some are missing."""
    names = [name.strip() for name in raster.place.get("class names", "").strip("{} ").split(",")]
    chosen = tuple(names[number] for number in ids if 0 <= number < len(names))
    return chosen if len(chosen) == len(ids) == len({*chosen} - {""}) else None
