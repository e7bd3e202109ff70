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
from pennyweight.data.scenes.bands import choose_bands
from pennyweight.data.scenes.envi import has_header
from pennyweight.data.scenes.fixed_maps import join_maps, read_split_map
from pennyweight.data.scenes.label_maps import LabelMap, read_label_map
from pennyweight.data.scenes.places import require_same_place
from pennyweight.data.scenes.published import SCENES, File
from pennyweight.data.scenes.rasters import SUFFIXES, Raster, read_array
from pennyweight.data.scenes.scene import Scene
from pennyweight.data.scenes.synthetic import synthetic

__all__ = ["SCENES", "is_scene", "open_scene"]

PREFIX = "scene:"
OF_FILES = "--labels, --test-labels, --names and --background go with a cube's file"


def is_scene(source: object) -> TypeGuard[str | os.PathLike[str] | Scene]:
    """Return whether a source is a scene: `scene:NAME`, a Scene, or a file of a kind that holds cubes."""
    if isinstance(source, Scene):
        return True
    if not isinstance(source, (str, os.PathLike)):
        return False
    text = os.fspath(source)
    path = Path(text.partition("#")[0])
    return text.startswith(PREFIX) or (
        not Path(text).is_dir() and (path.suffix.lower() in SUFFIXES or has_header(path))
    )


def open_scene(
    source: str | os.PathLike[str] | Scene,
    labels: str | os.PathLike[str] | None = None,
    *,
    background: int = 0,
    names: Sequence[str] | None = None,
    bands: str | BandChoice | None = None,
    ignore_place: bool = False,
    test_labels: str | os.PathLike[str] | None = None,
    split_map: str | os.PathLike[str] | None = None,
) -> Scene:
    """Open `scene:NAME`, or a cube's file with the file of its label map.

    Args:
        source: `scene:NAME`, a Scene, or the file of a cube (H, W, bands); FILE#VARIABLE names an array of a .mat.
        labels: File of the label map (H, W), of ids or soft abundances.
        background: Id of unlabeled pixels; negative ids and NaN are unlabeled, too.
        names: Names of the classes in the order of their ids; by default those of an ENVI map, else "class N".
        bands: Bands to keep, such as "1-129,136-224"; by default all but bad and empty ones (see `choose_bands`).
        ignore_place: True joins a cube and a label map whose georeferences differ.
        test_labels: File of the label map of the test pixels; `labels` is then that of the training pixels.
        split_map: File of a raster (H, W) of codes: 1 training, 2 test, 3 validation.

    Returns:
        The scene; its cube may be memory-mapped.

    Raises:
        SourceError: A name or a file that cannot be opened; the message says what to give.
    """
    if isinstance(source, Scene) or os.fspath(source).startswith(PREFIX):
        text = source.name if isinstance(source, Scene) else os.fspath(source)
        if labels is not None or test_labels is not None or names is not None or background:
            raise SourceError(f"{text} has its own label map and names; {OF_FILES}")
        return _with_split_map(_complete(source, bands), split_map)
    text = os.fspath(source)
    name = Path(text.partition("#")[0]).stem
    raster = choose_bands(_three(read_array(text, _is_cube, "a cube of height×width×bands"), name), bands, name=name)
    address = {"cube": _absolute(text)}
    if labels is None:
        _require_no_test(test_labels, split_map)
        return Scene(name=name, address=address, raster=raster, notes=_notes(raster, None))
    address["labels"] = _absolute(os.fspath(labels))
    if background:
        address["background"] = str(background)
    found, parts = _labels(name, (text, raster), labels, test_labels, background, ignore_place)
    if test_labels is not None:
        address["test_labels"] = _absolute(os.fspath(test_labels))
    made = Scene(
        name=name,
        address=address,
        raster=raster,
        targets=found.targets,
        labels=_class_names(found.ids, names or found.names),
        ids=found.ids,
        parts=parts,
        notes=(*_notes(raster, found.targets), *found.notes),
    )
    return _with_split_map(made, split_map)


def _require_no_test(*paths: str | os.PathLike[str] | None) -> None:
    if any(path is not None for path in paths):
        raise SourceError("a map of test pixels goes with that of the training pixels: --labels FILE")


def _complete(source: str | os.PathLike[str] | Scene, bands: str | BandChoice | None) -> Scene:
    """Open a scene that has its own label map."""
    if not isinstance(source, Scene):
        return _published(os.fspath(source).removeprefix(PREFIX), bands)
    if bands is None:
        return source
    return replace(source, raster=choose_bands(source.raster, bands, name=source.name))


def _labels(
    name: str,
    cube: tuple[str, Raster],
    labels: str | os.PathLike[str],
    test_labels: str | os.PathLike[str] | None,
    background: int,
    ignore_place: bool,
) -> tuple[LabelMap, NDArray[np.int8] | None]:
    """Read the label map of a cube, or its training and test maps with the part of each pixel."""
    height, width = cube[1].values.shape[:2]
    found = []
    for path, what in ((labels, "label map"), (test_labels, "test map")):
        if path is not None:
            read = read_label_map(path, background=background, shape=(height, width), cube=cube)
            if not ignore_place:
                require_same_place(name, cube[1], read.raster, what)
            found.append(read)
    return (found[0], None) if len(found) == 1 else join_maps(found[0], found[1], name)


def _with_split_map(scene: Scene, path: str | os.PathLike[str] | None) -> Scene:
    if path is None:
        return scene
    address = {**scene.address, "split_map": _absolute(os.fspath(path))}
    return replace(scene, parts=read_split_map(path, scene.shape), address=address)


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
    found = read_label_map(_find(name, row.labels), shape=(height, width))
    targets, ids = found.targets, found.ids
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


def _class_names(ids: Sequence[int], names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return tuple(f"class {number}" for number in ids)
    if len(names) != len(ids) or len(set(names)) != len(ids):
        raise SourceError(
            f"{len(names)} class names for {len(ids)} classes ({', '.join(map(str, ids))}); give one name for each, "
            f"all different{'; --background -1 makes 0 a class' if len(names) == len(ids) + 1 and 0 not in ids else ''}"
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
