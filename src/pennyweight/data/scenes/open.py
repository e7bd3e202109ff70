"""From a string, or a pair of files, to a scene."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.download import cache_folder, fetch
from pennyweight.core.errors import SourceError, nearest
from pennyweight.data.scenes.published import SCENES, File
from pennyweight.data.scenes.rasters import SUFFIXES, Raster, read_array
from pennyweight.data.scenes.scene import UNLABELLED, Scene
from pennyweight.data.scenes.synthetic import synthetic

__all__ = ["SCENES", "is_scene", "open_label_map", "open_scene"]

PREFIX = "scene:"
MOST_CLASSES = 255
"""A map with more different numbers holds something else than classes."""


def is_scene(source: object) -> bool:
    """Whether a source is a scene: `scene:NAME`, a Scene, or a file that a cube is read from."""
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
) -> Scene:
    """`scene:NAME`, or a cube's file with the file of its label map; FILE#VARIABLE names an array of a .mat.

    `background` is the id of pixels that nobody labelled; negative ids and NaN are such too. `names` are the classes'
    names, in the order of their ids; an ENVI map may say them itself. Raises SourceError that says what would do.
    """
    if isinstance(source, Scene):
        return source
    text = os.fspath(source)
    if text.startswith(PREFIX):
        if labels is not None or names is not None:
            raise SourceError(
                f"{text} has its own label map and names; give --labels, --names with a cube's file alone"
            )
        return _published(text.removeprefix(PREFIX))
    raster = read_array(text, _is_cube, "a cube of height×width×bands")
    name = Path(text.partition("#")[0]).stem
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
        labels=_named(ids, names or _written(found, ids)),
        ids=ids,
        notes=_notes(raster, targets),
    )


def open_label_map(
    path: str | os.PathLike[str], *, background: int = 0, shape: tuple[int, int] | None = None
) -> tuple[NDArray[np.int16], tuple[int, ...]]:
    """A map of ids, or soft abundances, as targets (H, W) from 0 without gaps, and the ids that they stand for.

    Abundances are (classes, H, W), (H, W, classes), or (classes, pixels) column by column for a scene of `shape`: the
    largest decides.
    """
    return _targets(_label_map(os.fspath(path), shape).values, background, shape, os.fspath(path))


def _label_map(address: str, shape: tuple[int, int] | None) -> Raster:
    """The array of a label map; one of the very size is taken before what only could be one."""
    found = read_array(
        address, lambda values: _is_label_map(values, shape), "a label map", rather=lambda v: v.shape == shape
    )
    if found.values.ndim not in (2, 3) or found.values.size == 0:
        raise SourceError(f"{address} is no label map of height×width, but {'×'.join(map(str, found.values.shape))}")
    return found


def _written(raster: Raster, ids: Sequence[int]) -> list[str] | None:
    """What an ENVI classification calls its classes, by id from 0; None where it does not say, or not of each."""
    names = [name.strip() for name in raster.place.get("class names", "").strip("{} ").split(",")]
    chosen = [names[number] for number in ids if 0 <= number < len(names)]
    return chosen if len(chosen) == len(ids) == len({*chosen} - {""}) else None


def _published(name: str) -> Scene:
    if name == "synthetic":
        return synthetic()
    if name not in SCENES:
        known = [*SCENES, "synthetic"]
        raise SourceError(f"no scene '{name}'{nearest(name, known, otherwise='; there are ' + ', '.join(known))}")
    row = SCENES[name]
    raster = read_array(_find(name, row.cube), _is_cube, "a cube")
    if row.rows:
        bands, pixels = raster.values.shape
        raster = Raster(raster.values.reshape(bands, pixels // row.rows, row.rows).transpose(2, 1, 0))
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
    """The address of a file under $PENNYWEIGHT_DATA (in the scene's folder, or ground-truth), or in the cache."""
    shelf = os.environ.get("PENNYWEIGHT_DATA")
    for folder in (scene, "ground-truth", ".") if shelf else ():
        path = Path(str(shelf), folder, file.name)
        if path.is_file():
            return str(path) + file.mark
    path = cache_folder("scenes") / scene / file.name
    if file.url is None and not path.exists():
        raise SourceError(
            f"{file.name} of scene:{scene} is not here and has no address to download it from; put it at {path}, or "
            f"into a folder {scene} under $PENNYWEIGHT_DATA"
        )
    return str(fetch(file.url or "", path, checksum=f"sha256:{file.sha256}")) + file.mark


def _is_cube(values: NDArray[Any]) -> bool:
    return values.ndim == 3 and min(values.shape) > 1


def _is_label_map(values: NDArray[Any], shape: tuple[int, int] | None) -> bool:
    if values.ndim == 3:
        return shape is not None and shape in (values.shape[1:], values.shape[:2])
    if values.ndim != 2 or min(values.shape) < 2:
        return False
    return shape is None or values.shape == shape or values.shape[1] == shape[0] * shape[1] or _like_ids(values)


def _like_ids(values: NDArray[Any]) -> bool:
    """A map of another size is still a map, so that its size can be spoken of."""
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
        raise SourceError(f"{path} holds numbers that are not whole; a label map has a whole number for each class")
    known = (whole != background) & (whole >= 0)
    ids = np.unique(whole[known]).astype(np.int64)
    if not 2 <= len(ids) <= MOST_CLASSES:
        raise SourceError(f"{path} has {len(ids)} classes beside background {background}; it needs 2 to {MOST_CLASSES}")
    targets = np.where(known, np.searchsorted(ids, np.where(known, whole, ids[0])), UNLABELLED)
    return targets.astype(np.int16), tuple(int(number) for number in ids)


def _named(ids: Sequence[int], names: Sequence[str] | None) -> tuple[str, ...]:
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
    told = f"{height}×{width} pixels, {bands} bands"
    return (told if targets is None else f"{told}; {int((targets >= 0).sum()):,} pixels are labelled",)


def _absolute(address: str) -> str:
    """The same from any folder of this machine; the variable's name stays."""
    file, mark, variable = address.partition("#")
    return str(Path(file).expanduser().absolute()) + mark + variable
