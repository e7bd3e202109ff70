"""Maps of a cube: pictures to look at, and a copy for programs that read ENVI or GeoTIFF."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.figures import fine_share, number, share
from pennyweight.core.files import atomic
from pennyweight.core.heap import keeping_memory
from pennyweight.core.run import Run
from pennyweight.core.summary import Facts, Summary
from pennyweight.data.scenes.envi import PLACE_FIELDS, write_envi
from pennyweight.data.scenes.geotiff import write_geotiff
from pennyweight.data.scenes.open import open_scene
from pennyweight.data.scenes.scene import Scene
from pennyweight.report import maps
from pennyweight.runtime.scene_bundle import SceneBundle
from pennyweight.runtime.scene_mapper import MASKED
from pennyweight.scoring.scene import PixelScores, score_pixels
from pennyweight.verbs.scenes.load import Mapper, load
from pennyweight.verbs.scenes.seen_pixels import is_cube_of_training, seen_pixels

__all__ = ["Mapped", "predict"]

SHOWN = 5
"""Classes that the description of a map names, the most frequent first."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Mapped(Summary):
    """Files of a map, and the counts of its pixels."""

    files: tuple[str, ...]
    pixels: dict[str, int]
    """Pixels of each class, by its label."""
    masked: int
    """Pixels without numbers, which have no class."""
    mean_confidence: float
    """Mean probability (0 to 1) of the answers."""
    correct: int | None
    """Labeled pixels with the correct class, training pixels included; None without a label map."""
    labeled: int | None
    """Labeled pixels; None without a label map."""
    scores: PixelScores | None
    """Scores of `evaluate` on all labeled pixels; None without a label map, or where no labeled pixel is mapped."""
    same_cube: bool | None
    """True if the network was trained on pixels of this cube; None if that is not known, or without a label map."""
    training_pixels: int | None
    """Labeled pixels that the network was trained on, validation included; None if their number is not known."""
    unknown: tuple[int, ...]
    """Ids of the label map that the network does not know; their pixels are not judged."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON keeps them."""
        return asdict(self)

    @property
    def training_note(self) -> str:
        """Words that tell how the labeled pixels relate to those of training."""
        if self.training_pixels:
            return f"{self.training_pixels:,} of the labeled pixels were trained on"
        if self.same_cube is False:
            return "the network was trained on another cube"
        if self.training_pixels == 0:
            return "none of the labeled pixels was trained on"
        known = "the network was trained on this cube" if self.same_cube else "the cube of training is not known"
        return f"{known}: training pixels may be among the labeled ones"

    def _facts(self) -> Facts:
        yield "pixels", number(sum(self.pixels.values()) + self.masked)
        if self.masked:
            yield "masked", number(self.masked)
        found = sorted(filter(itemgetter(1), self.pixels.items()), key=itemgetter(1), reverse=True)
        for label, count in found[:SHOWN]:
            yield label, f"{number(count)} pixels"
        if (more := len(found) - SHOWN) > 0:
            yield "", f"and {more:,} more"
        yield "mean confidence", share(self.mean_confidence)
        if self.labeled:
            yield "correct", f"{share((self.correct or 0) / self.labeled)} of {number(self.labeled)} labeled pixels"
        if self.scores is not None:
            yield "average accuracy", fine_share(self.scores.average_accuracy)
            yield "kappa", number(self.scores.kappa)
            yield "", self.training_note
        yield "files", ", ".join(self.files)


@keeping_memory()
@sharing_cores()
def predict(
    run_or_bundle: str | os.PathLike[str] | Run | SceneBundle,
    source: str | os.PathLike[str] | Scene,
    *,
    map: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    background: int = 0,
    ignore_place: bool = False,
    bfloat16: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> Mapped:
    """Classify every pixel of a cube, and write maps of the classes, the confidence and, with labels, the errors.

    An ENVI or GeoTIFF cube gets a copy of the map in its own format and at the same place on earth. The copy has the
    ids of the label map of training (each one more where 0 is an id), and 0 where the cube has no numbers. Nothing
    that exists is overwritten.

    Args:
        run_or_bundle: Anything that `pw.scene.load` takes.
        source: File of a cube (H, W, bands), `scene:NAME`, or a Scene.
        map: New file of the class map, a .png; the other maps are written next to it.
        labels: File of the cube's label map (H, W).
        background: Id of the unlabeled pixels of `labels`.
        ignore_place: True judges the map although the label map's georeference differs from the cube's.
        bfloat16: Multiply in bfloat16; for a run only.
        advance: Callback that is given the number of pixels after each tile.

    Returns:
        The files, the pixels of each class, and with labels the scores on all labeled pixels.

    Raises:
        InputError: The cube has other bands than the network takes, or `map` cannot be written.
        SourceError: There is no cube at `source`, or the network knows no class of the label map.
    """
    path = _require_png(Path(map))
    mapper = load(run_or_bundle, bfloat16=bfloat16)
    scene = open_scene(source, labels, background=background, bands=mapper.choice, ignore_place=ignore_place)
    maps_to, copy = _new_files(path, scene)
    truth, unknown = (None, ()) if scene.targets is None else _as_known(scene, mapper.ids)
    mapped = mapper.map(scene.cube, advance=advance)
    classes = np.where(mapped.classes == MASKED, -1, mapped.classes.astype(np.int16))
    name = scene.name + (" (synthetic)" if scene.synthetic else "")
    files = [
        _save(maps_to["classes"], maps.class_map(classes, mapper.labels).sheet(f"{name}: classes")),
        _save(maps_to["confidence"], maps.confidence_map(mapped.confidence).sheet(f"{name}: confidence")),
    ]
    if truth is not None:
        files.append(_save(maps_to["errors"], maps.error_map(classes, truth).sheet(f"{name}: errors")))
    if copy is not None:
        files.append(_copy(copy, scene, classes, mapper.ids))
    known = classes >= 0
    return Mapped(
        files=tuple(files),
        pixels={label: int((classes == number).sum()) for number, label in enumerate(mapper.labels)},
        masked=mapped.masked,
        mean_confidence=float(mapped.confidence[known].mean()) if known.any() else 0.0,
        unknown=unknown,
        **_judge(run_or_bundle, mapper, scene, classes, truth),
    )


def _judge(
    run_or_bundle: str | os.PathLike[str] | Run | SceneBundle,
    mapper: Mapper,
    scene: Scene,
    classes: NDArray[np.int16],
    truth: NDArray[np.int16] | None,
) -> dict[str, Any]:
    """Score a map (H, W) on its labeled pixels; return the fields of Mapped that need labels."""
    if truth is None:
        return dict.fromkeys(("correct", "labeled", "scores", "same_cube", "training_pixels"))
    judged = truth >= 0  # masked pixels have no truth
    same = is_cube_of_training(mapper, scene)
    return {
        "correct": int((classes == truth)[judged].sum()),
        "labeled": int(judged.sum()),
        "scores": score_pixels(classes[judged], truth[judged], labels=mapper.labels) if judged.any() else None,
        "same_cube": same,
        "training_pixels": seen_pixels(run_or_bundle, judged, same),
    }


def _require_png(path: Path) -> Path:
    """Return the file of a class map. Raises InputError for another format."""
    if not path.name:
        raise InputError(f"--map {path} names no file; map.png would do")
    if path.suffix.lower() != ".png":
        raise InputError(f"--map {path} is not a .png; {path.with_suffix('.png')} would do")
    return path


def _new_files(path: Path, scene: Scene) -> tuple[dict[str, Path], Path | None]:
    """Return the files of the maps, and of a copy in the cube's format. Raises InputError where one exists."""
    beside = {part: path.with_name(f"{path.stem}-{part}.png") for part in ("confidence", "errors")}
    copy = {"envi": path.with_suffix(".img"), "geotiff": path.with_suffix(".tif")}.get(scene.raster.kind)
    wanted = [path, *beside.values(), *([] if copy is None else [copy])]
    if scene.raster.kind == "envi":
        wanted.append(path.with_suffix(".hdr"))  # the header of the copy; the cube's own may lie there
    if taken := [file for file in wanted if file.exists()]:
        raise InputError(f"{taken[0]} exists already; nothing is overwritten: name another --map")
    if not path.absolute().parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.absolute().parent}")
    return {"classes": path, **beside}, copy


def _as_known(scene: Scene, ids: tuple[int, ...]) -> tuple[NDArray[np.int16], tuple[int, ...]]:
    """Return the label map (H, W) in the network's class numbers, and the ids that the network does not know.

    Pixels of unknown ids become -1. Raises SourceError where the network knows none of the ids.
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
    """Write the map in the cube's format: ids of the label map, 0 for a pixel without numbers. Return the file."""
    kinds = (np.uint8, np.uint16, np.uint32)
    kind = next(kind for kind in kinds if max(ids) + (0 in ids) <= np.iinfo(kind).max)
    # Where 0 is a class, every id is one more, because 0 stands for an unknown pixel.
    values = np.where(classes >= 0, np.array(ids)[classes] + (0 in ids), 0).astype(kind)
    if scene.raster.kind == "geotiff":
        write_geotiff(path, values, dict(scene.raster.place))
    else:
        write_envi(path, values, {key: value for key, value in scene.raster.place.items() if key in PLACE_FIELDS})
    return str(path)
