"""`predict … --map`: from a cube to maps that a person can look at, and a copy that other programs can read."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.files import atomic
from pennyweight.core.heap import keeping_memory
from pennyweight.core.run import Run
from pennyweight.data.scenes.envi import PLACE_FIELDS, write_envi
from pennyweight.data.scenes.geotiff import write_geotiff
from pennyweight.data.scenes.open import open_scene
from pennyweight.data.scenes.scene import Scene
from pennyweight.report import maps
from pennyweight.runtime.scene_bundle import SceneBundle
from pennyweight.runtime.scene_mapper import MASKED
from pennyweight.verbs.scenes.load import load_mapper

__all__ = ["Mapped", "predict_scene"]


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """What was written, and how the pixels fall."""

    files: tuple[str, ...]
    pixels: dict[str, int]
    """Of each class."""
    masked: int
    mean_confidence: float
    right: int | None
    """Labelled pixels that are answered rightly, training pixels too; None where nothing is known."""
    labelled: int | None
    unknown: tuple[int, ...]
    """Ids of the label map that the network does not know; their pixels are not judged."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return asdict(self)


@keeping_memory()
@sharing_cores()
def predict_scene(
    run_or_bundle: str | os.PathLike[str] | Run | SceneBundle,
    source: str | os.PathLike[str] | Scene,
    *,
    map: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    background: int = 0,
    bfloat16: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> Mapped:
    """Write the class map of a cube to `map` (.png), its confidence and, where labels are known, its errors beside it.

    Of an ENVI or GeoTIFF cube a copy of the map follows, at the same place on earth, with the ids that the label map
    of training had (one more where 0 is one of them), and 0 where the cube has no numbers. Nothing that exists is
    overwritten. Raises InputError for other bands than the network knows, SourceError for a label map of which it
    knows no class.
    """
    path = Path(map)
    if not path.name:
        raise InputError(f"--map {path} names no file; map.png would do")
    if path.suffix.lower() != ".png":
        raise InputError(f"--map {path} is not a .png; {path.with_suffix('.png')} would do")
    mapper = load_mapper(run_or_bundle, bfloat16=bfloat16)
    scene = open_scene(source, labels, background=background)
    beside = {part: path.with_name(f"{path.stem}-{part}.png") for part in ("confidence", "errors")}
    copies = {"envi": path.with_suffix(".img"), "geotiff": path.with_suffix(".tif")}
    wanted = [path, *beside.values()]
    if scene.raster.kind in copies:
        wanted.append(copies[scene.raster.kind])
    if scene.raster.kind == "envi":
        wanted.append(path.with_suffix(".hdr"))  # the header of the copy; the cube's own may lie there
    if taken := [file for file in wanted if file.exists()]:
        raise InputError(f"{taken[0]} exists already; nothing is overwritten: name another --map")
    if not path.absolute().parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.absolute().parent}")
    truth, unknown = (None, ()) if scene.targets is None else _as_known(scene, mapper.ids)
    mapped = mapper.map(scene.cube, advance=advance)
    classes = np.where(mapped.classes == MASKED, -1, mapped.classes.astype(np.int16))
    name = scene.name + (" (synthetic)" if scene.synthetic else "")
    files = [
        _save(path, maps.class_map(classes, mapper.labels, title=f"{name}: classes")),
        _save(beside["confidence"], maps.confidence_map(mapped.confidence, title=f"{name}: confidence")),
    ]
    if truth is not None:
        files.append(_save(beside["errors"], maps.error_map(classes, truth, title=f"{name}: errors")))
    if scene.raster.kind in copies:
        files.append(_copy(copies[scene.raster.kind], scene, classes, mapper.ids))
    known = classes >= 0
    return Mapped(
        files=tuple(files),
        pixels={label: int((classes == number).sum()) for number, label in enumerate(mapper.labels)},
        masked=mapped.masked,
        mean_confidence=float(mapped.confidence[known].mean()) if known.any() else 0.0,
        right=None if truth is None else int((classes == truth)[truth >= 0].sum()),
        labelled=None if truth is None else int((truth >= 0).sum()),
        unknown=unknown,
    )


def _as_known(scene: Scene, ids: tuple[int, ...]) -> tuple[NDArray[np.int16], tuple[int, ...]]:
    """The scene's truth in the network's class numbers, and the ids that it does not know: those pixels are not judged.

    Raises SourceError where it knows none.
    """
    unknown = tuple(sorted(set(scene.ids) - set(ids)))
    if len(unknown) == len(scene.ids):
        raise SourceError(
            f"the network knows no class of the label map of {scene.name} ({', '.join(map(str, unknown))}); it knows "
            f"{', '.join(map(str, ids))}"
        )
    numbers = np.array([-1 if number in unknown else ids.index(number) for number in scene.ids], np.int16)
    return np.where(scene.truth >= 0, numbers[scene.truth], np.int16(-1)), unknown


def _save(path: Path, picture: Image.Image) -> str:
    with atomic(path) as temporary:
        picture.save(temporary, "png")
    return str(path)


def _copy(path: Path, scene: Scene, classes: NDArray[np.int16], ids: tuple[int, ...]) -> str:
    """The map as the cube came: ids of the label map, 0 where nothing is known."""
    kinds = (np.uint8, np.uint16, np.uint32)
    kind = next(kind for kind in kinds if max(ids) + (0 in ids) <= np.iinfo(kind).max)
    # Where 0 is a class, every id is one more, because 0 says that nothing is known.
    values = np.where(classes >= 0, np.array(ids)[classes] + (0 in ids), 0).astype(kind)
    if scene.raster.kind == "geotiff":
        write_geotiff(path, values, dict(scene.raster.place))
    else:
        write_envi(path, values, {key: value for key, value in scene.raster.place.items() if key in PLACE_FIELDS})
    return str(path)
