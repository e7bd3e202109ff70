"""Load the network of a scene's run or bundle, ready to map cubes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pennyweight.core.band_choice import BandChoice
from pennyweight.core.errors import BundleError, InputError, SourceError, received
from pennyweight.core.files import read_json
from pennyweight.core.offline import untrusted_address
from pennyweight.core.run import Run
from pennyweight.core.run_record import SceneRecord
from pennyweight.core.spectral import Projection
from pennyweight.core.summary import Facts, Summary, classes
from pennyweight.data.scenes.bands import EVERY
from pennyweight.data.scenes.open import open_scene
from pennyweight.data.scenes.scene import Scene
from pennyweight.runtime.scene_bundle import SceneBundle
from pennyweight.runtime.scene_mapper import SceneEngine, SceneMap, map_scene
from pennyweight.verbs.scenes.scene_run import require_scene_run

__all__ = [
    "Mapper",
    "choice_of",
    "load",
    "open_scene_run",
    "projection_of",
    "reopen",
]


@dataclass(frozen=True, repr=False)
class Mapper(Summary):
    """Engine for scenes, with the labels and ids of its classes."""

    engine: SceneEngine
    labels: tuple[str, ...]
    ids: tuple[int, ...]
    """Ids of the classes in the label map of training, in the order of `labels`."""
    choice: BandChoice | None = None
    """Bands of a cube that the network takes; None for all."""
    fingerprint: str = ""
    """Digest of the scene of training."""
    cube_fingerprint: str | None = None
    """Digest of the cube of training, without its labels; None for a run of an earlier version."""

    def map(self, cube: NDArray[Any], *, advance: Callable[[int], None] = lambda count: None) -> SceneMap:
        """Classify every pixel of a cube.

        Args:
            cube: Numbers (H, W, bands), of every band or of the chosen ones; NaN where a pixel is unknown;
                memory-mapped cubes are read tile by tile.
            advance: Callback that is given the number of pixels after each tile.

        Returns:
            `classes` (H, W), uint8 indexes into `labels`, 255 where the pixel is unknown; `confidence` (H, W),
            float32 probabilities of those classes.

        Raises:
            InputError: The cube has other bands than the network takes.
        """
        return map_scene(self.engine, cube, choice=self.choice, advance=advance)

    def _facts(self) -> Facts:
        yield "engine", type(self.engine).__name__
        left = "" if self.choice is None or self.choice.is_whole else f" of {self.choice.total:,} ({self.choice})"
        yield "input", f"{self.engine.bands:,} bands{left}, windows of {self.engine.window}×{self.engine.window}"
        yield classes(self.labels)


def projection_of(run: Run) -> Projection:
    """Read the scaling and components of a scene's run."""
    return Projection.from_dict(read_json(run.whole(run.projection_path)))


def load(run_or_bundle: str | os.PathLike[str] | Run | SceneBundle, *, bfloat16: bool = False) -> Mapper:
    """Load the network of a scene's run, or of its bundle (which needs no torch), ready to map cubes.

    Args:
        run_or_bundle: Folder that `pw.scene.fit` made, file that `pw.scene.export` made, or either opened.
        bfloat16: Multiply in bfloat16; for a run only.

    Returns:
        A Mapper with `map(cube)`, `labels` and `ids`.

    Raises:
        InputError: There is nothing at that path, or it was trained on pictures.
        RunError: The run is incomplete or damaged.
        BundleError: The bundle is damaged, or `bfloat16` was given for one.
    """
    what = run_or_bundle
    if isinstance(what, (str, os.PathLike)) and Path(what).is_file():
        what = SceneBundle(Path(what))
    if isinstance(what, SceneBundle):
        if bfloat16:
            raise BundleError(f"{what.path} computes in float32; --bfloat16 is for a run")
        made, data = what.manifest, what.manifest.data
        known = data.get("cube_fingerprint")
        return Mapper(what.engine, made.labels, made.ids, made.choice, str(data.get("fingerprint")), known)
    run = open_scene_run(what)
    from pennyweight.deploy.scene_graph import torch_scene_engine  # torch, which a bundle does without
    from pennyweight.verbs.load import restore

    record = run.info
    engine = torch_scene_engine(restore(run), projection_of(run), window=record.of_scene.window, bfloat16=bfloat16)
    of_scene = record.of_scene
    return Mapper(
        engine,
        tuple(run.labels),
        tuple(record.data.ids or ()),
        choice_of(of_scene, engine.bands),
        record.data.fingerprint,
        of_scene.cube_fingerprint,
    )


def choice_of(record: SceneRecord, bands: int) -> BandChoice:
    """Return the bands of a cube that the network of a run takes; an earlier version's run takes all of its `bands`."""
    if record.bands is None or record.cube_bands is None:
        return BandChoice.whole(bands)
    return BandChoice.parse(record.bands, record.cube_bands)


def open_scene_run(run: str | os.PathLike[str] | Run, command: str = "predict") -> Run:
    """Open a run that was trained on a scene, for one of the commands.

    Raises InputError for anything else, with the command on pictures for their runs; RunError for a damaged run.
    """
    if isinstance(run, (str, os.PathLike)):
        path = Path(run)
        if not path.exists():
            raise InputError(
                f"no run or bundle at {path}; give a folder that `pennyweight scene fit` made, or its bundle"
            )
        if path.is_file():
            raise InputError(f"{path} is a file; give the folder of a run that `pennyweight scene fit` made")
        run = Run(path)
    if not isinstance(run, Run):
        raise InputError(f"a scene's run was expected, not {received(run)}")
    require_scene_run(run, command)
    return run


def reopen(run: Run) -> Scene:
    """Open the scene that a run was trained on. Raises SourceError where it is not here, or its content has changed."""
    known = run.info.data
    address: Mapping[str, Any] = known.address
    ask = f"scene predict {run.folder} {address['cube']} --map map.png"
    with (
        untrusted_address(run.folder, address.get("labels", ""), ask=ask),
        untrusted_address(run.folder, address.get("test_labels", ""), ask=ask),
        untrusted_address(run.folder, address.get("split_map", ""), ask=ask),
        untrusted_address(run.folder, address["cube"], ask=ask),
    ):
        scene = open_scene(
            address["cube"],
            address.get("labels"),
            background=int(address.get("background", 0)),
            names=known.names,
            bands=run.info.of_scene.bands or EVERY,
            test_labels=address.get("test_labels"),
            split_map=address.get("split_map"),
            ignore_place=True,  # the fingerprint tells more
        )
    if scene.fingerprint != known.fingerprint:
        raise SourceError(f"'{address['cube']}' here is not what {run.folder} was trained on: its content has changed")
    return scene
