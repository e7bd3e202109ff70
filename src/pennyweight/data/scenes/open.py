"""Open a scene by name, or from the files of its cube and its label map."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.band_choice import BandChoice
from pennyweight.core.cache import cached_file
from pennyweight.core.download import fetch
from pennyweight.core.errors import SourceError, nearest
from pennyweight.core.files import expanded
from pennyweight.data.scenes.bands import choose_bands, mask_ignored
from pennyweight.data.scenes.published import SCENES, File
from pennyweight.data.scenes.rasters import SUFFIXES, Raster, read_array
from pennyweight.data.scenes.scene import UNLABELED, Scene
from pennyweight.data.scenes.synthetic import synthetic

__all__ = ["SCENES", "is_scene", "open_label_map", "open_scene"]

PREFIX = "scene:"
MOST_CLASSES = 255
"""Largest number of classes; a map with more different numbers is no label map."""


def is_scene(source: object) -> TypeGuard[str | os.PathLike[str] | Scene]:
    """Return whether a source is a scene: `scene:NAME`, a Scene, or a file of a kind that holds cubes."""
    if isinstance(source, Scene):
        return True
    if not isinstance(source, (str, os.PathLike)):
        return False
    text = os.fspath(source)
    return text.startswith(PREFIX) or (
        Path(text.partition("#")[0]).suffix.lower() in SUFFIXES and not Path(text).is_dir()
    )


def open_scene(
    source: str | os.PathLike[str] | Scene,
    labels: str | os.PathLike[str] | None = None,
    *,
    background: int = 0,
    names: Sequence[str] | None = None,
    bands: str | BandChoice | None = None,
) -> Scene:
    """Open `scene:NAME`, or a cube's file with the file of its label map.

    Args:
        source: `scene:NAME`, a Scene, or the file of a cube (H, W, bands); FILE#VARIABLE names an array of a .mat.
        labels: File of the label map (H, W), of ids or soft abundances.
        background: Id of unlabeled pixels; negative ids and NaN are unlabeled, too.
        names: Names of the classes in the order of their ids; by default those of an ENVI map, else "class N".
        bands: Bands to keep, such as "1-129,136-224"; by default all but bad and empty ones (see `choose_bands`).

    Returns:
        The scene; its cube may be memory-mapped.

    Raises:
        SourceError: A name or a file that cannot be opened; the message says what to give.
    """
    if isinstance(source, Scene) or os.fspath(source).startswith(PREFIX):
        text = source.name if isinstance(source, Scene) else os.fspath(source)
        if labels is not None or names is not None or background:
            raise SourceError(
                f"{text} has its own label map and names; --labels, --names and --background go with a cube's file"
            )
        if not isinstance(source, Scene):
            return _published(text.removeprefix(PREFIX), bands)
        return source if bands is None else replace(source, raster=choose_bands(source.raster, bands, name=text))
    text = os.fspath(source)
    name = Path(text.partition("#")[0]).stem
    raster = choose_bands(_three(read_array(text, _is_cube, "a cube of height×width×bands"), name), bands, name=name)
    address = {"cube": _absolute(text)}
    if labels is None:
        return Scene(name=name, address=address, raster=raster, notes=_notes(raster, None))
    address["labels"] = _absolute(os.fspath(labels))
    if background:
        address["background"] = str(background)
    height, width = raster.values.shape[:2]
    found = _label_map(os.fspath(labels), (height, width))
    targets, ids = _targets(found.values, background, (height, width), os.fspath(labels))
    return Scene(
        name=name,
        address=address,
        raster=raster,
        targets=targets,
        labels=_class_names(ids, names or _envi_names(found, ids)),
        ids=ids,
        notes=_notes(raster, targets),
    )


def open_label_map(
    path: str | os.PathLike[str], *, background: int = 0, shape: tuple[int, int] | None = None
) -> tuple[NDArray[np.int16], tuple[int, ...]]:
    """Read a label map as targets (H, W), numbered from 0 without gaps, and the id of each class.

    Args:
        path: A map of ids (H, W), or of abundances (classes, H, W), (H, W, classes) or (classes, pixels), column by
            column; the largest abundance gives the class.
        background: Id of unlabeled pixels.
        shape: (H, W) of the scene, if known.

    Raises:
        SourceError: The file is not a label map.
    """
    return _targets(_label_map(os.fspath(path), shape).values, background, shape, os.fspath(path))


def _label_map(address: str, shape: tuple[int, int] | None) -> Raster:
    """Read the array of a label map; an array of the scene's shape has precedence."""
    found = read_array(
        address, lambda values: _is_label_map(values, shape), "a label map", rather=lambda v: v.shape == shape
    )
    if found.values.ndim not in (2, 3) or found.values.size == 0:
        raise SourceError(f"{address} is no label map of height×width, but {'×'.join(map(str, found.values.shape))}")
    return mask_ignored(found) if found.values.ndim == 3 else _mask_flat(found)


def _mask_flat(found: Raster) -> Raster:
    masked = mask_ignored(replace(found, values=found.values[..., None]))
    return replace(masked, values=masked.values[..., 0])


def _envi_names(raster: Raster, ids: Sequence[int]) -> list[str] | None:
    """Return the class names of an ENVI classification, listed by id from 0; None if some are missing."""
    names = [name.strip() for name in raster.place.get("class names", "").strip("{} ").split(",")]
    chosen = [names[number] for number in ids if 0 <= number < len(names)]
    return chosen if len(chosen) == len(ids) == len({*chosen} - {""}) else None


def _published(name: str, bands: str | BandChoice | None) -> Scene:
    if name == "synthetic":
        made = synthetic()
        return replace(made, raster=choose_bands(made.raster, bands, name=name))
    if name not in SCENES:
        known = [*SCENES, "synthetic"]
        raise SourceError(f"no scene '{name}'{nearest(name, known, otherwise='; there are ' + ', '.join(known))}")
    row = SCENES[name]
    raster = read_array(_find(name, row.cube), _is_cube, "a cube")
    if row.rows:
        layers, pixels = raster.values.shape
        raster = Raster(raster.values.reshape(layers, pixels // row.rows, row.rows).transpose(2, 1, 0))
    raster = choose_bands(raster, bands, name=name)
    height, width = raster.values.shape[:2]
    targets, ids = open_label_map(_find(name, row.labels), shape=(height, width))
    return Scene(
        name=name,
        address={"cube": PREFIX + name},
        raster=raster,
        targets=targets,
        labels=tuple(row.names[number] for number in ids),
        ids=ids,
        notes=_notes(raster, targets),
    )


def _find(scene: str, file: File) -> str:
    """Return the address of a file under $PENNYWEIGHT_DATA (in the scene's folder or ground-truth), else the cache."""
    shelf = os.environ.get("PENNYWEIGHT_DATA")
    for folder in (scene, "ground-truth", ".") if shelf else ():
        path = Path(str(shelf), folder, file.name)
        if path.is_file():
            return str(path) + file.mark
    path = cached_file("scenes", scene, file.name)
    if file.url is None and not path.exists():
        raise SourceError(
            f"{file.name} of scene:{scene} is missing and cannot be downloaded; put it at {path}, or into a folder "
            f"{scene} under $PENNYWEIGHT_DATA"
        )
    return str(fetch(file.url or "", path, checksum=f"sha256:{file.sha256}")) + file.mark


def _three(raster: Raster, name: str) -> Raster:
    """Return a raster of height×width×bands. Raises SourceError for another number of axes."""
    if raster.values.ndim != 3:
        shape = "×".join(map(str, raster.values.shape))
        raise SourceError(f"the cube of {name} must be height×width×bands of numbers, not {shape}")
    return raster


def _is_cube(values: NDArray[Any]) -> bool:
    return values.ndim == 3 and min(values.shape) > 1


def _is_label_map(values: NDArray[Any], shape: tuple[int, int] | None) -> bool:
    if values.ndim == 3:
        return shape is not None and shape in (values.shape[1:], values.shape[:2])
    if values.ndim != 2 or min(values.shape) < 2:
        return False
    return shape is None or values.shape == shape or values.shape[1] == shape[0] * shape[1] or _like_ids(values)


def _like_ids(values: NDArray[Any]) -> bool:
    """Return whether an array looks like ids. A map of the wrong size passes, so that an error can name its size."""
    return values.dtype.kind in "biu" and min(values.shape) > 8


def _targets(
    found: NDArray[Any], background: int, shape: tuple[int, int] | None, path: str
) -> tuple[NDArray[np.int16], tuple[int, ...]]:
    values = np.asarray(found)
    values = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
    if shape is not None and values.ndim == 2 and values.shape != shape and values.shape[1] == shape[0] * shape[1]:
        values = values.reshape(len(values), shape[1], shape[0]).transpose(0, 2, 1)
    if values.ndim == 3:
        axis = 2 if values.shape[:2] == shape else 0
        values = np.where(np.isnan(values).any(axis=axis), 0, values.argmax(axis=axis) + 1)
        background = 0
    whole = np.where(np.isfinite(values), values, background)
    if (whole != np.round(whole)).any():
        raise SourceError(f"{path} holds fractions; a label map has a whole number for each class")
    known = (whole != background) & (whole >= 0)
    ids = np.unique(whole[known]).astype(np.int64)
    if not 2 <= len(ids) <= MOST_CLASSES:
        raise SourceError(
            f"{path} has {len(ids)} classes besides the background {background}; it needs 2 to {MOST_CLASSES}"
        )
    targets = np.where(known, np.searchsorted(ids, np.where(known, whole, ids[0])), UNLABELED)
    return targets.astype(np.int16), tuple(int(number) for number in ids)


def _class_names(ids: Sequence[int], names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return tuple(f"class {number}" for number in ids)
    if len(names) != len(ids) or len(set(names)) != len(ids):
        raise SourceError(
            f"{len(names)} class names for {len(ids)} classes ({', '.join(map(str, ids))}); give one name for each, "
            "all different"
        )
    return tuple(names)


def _notes(raster: Raster, targets: NDArray[np.int16] | None) -> tuple[str, ...]:
    height, width, bands = raster.values.shape
    size = f"{height}×{width} pixels, {bands} bands"
    labeled = "" if targets is None else f"; {int((targets >= 0).sum()):,} pixels are labeled"
    return (size + labeled, *raster.notes)


def _absolute(address: str) -> str:
    """Make the file of an address absolute; the variable's name stays."""
    file, mark, variable = address.partition("#")
    return str(expanded(file).absolute()) + mark + variable
