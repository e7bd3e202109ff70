"""A scene's run or bundle, ready to make maps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pennyweight.core.errors import BundleError, InputError, SourceError
from pennyweight.core.files import read_json
from pennyweight.core.offline import only_said
from pennyweight.core.run import Run
from pennyweight.core.run_fields import require_fields
from pennyweight.core.spectral import Projection
from pennyweight.data.scenes.open import open_scene
from pennyweight.data.scenes.scene import Scene
from pennyweight.runtime.scene_bundle import SceneBundle
from pennyweight.runtime.scene_mapper import SceneEngine

__all__ = ["PROJECTION", "Mapper", "is_scene_run", "load_mapper", "projection_of", "reopen"]

PROJECTION = "projection.json"
"""In a run's folder: scaling and components."""


@dataclass(frozen=True)
class Mapper:
    """An engine for scenes, with what its answers mean."""

    engine: SceneEngine
    labels: tuple[str, ...]
    ids: tuple[int, ...]


def is_scene_run(run: Run) -> bool:
    """Whether a run was trained on a scene."""
    return "scene" in run.record


def projection_of(run: Run) -> Projection:
    """The scaling and components of a scene's run."""
    return Projection.from_dict(read_json(run.whole(run.folder / PROJECTION)))


def load_mapper(run_or_bundle: str | os.PathLike[str] | Run | SceneBundle, *, bfloat16: bool = False) -> Mapper:
    """A mapper from a scene's run, or from its bundle, which needs no torch.

    `bfloat16` computes a run's products with 16 bits. Raises InputError for what was not trained on a scene.
    """
    what = run_or_bundle
    if isinstance(what, (str, os.PathLike)):
        path = Path(what)
        if not path.exists():
            raise InputError(f"no run or bundle at {path}; give a folder that `fit` made of a scene, or its bundle")
        what = Run(path) if path.is_dir() else SceneBundle(path)
    if isinstance(what, SceneBundle):
        if bfloat16:
            raise BundleError(f"{what.path} computes with 32 bits; --bfloat16 is for a run")
        return Mapper(what.engine, what.manifest.labels, what.manifest.ids)
    require_fields(what.record, what.record_path)
    if not is_scene_run(what):
        raise InputError(f"{what.folder} was trained on pictures; a map needs a run of a scene: fit scene:NAME")
    from pennyweight.deploy.scene_graph import torch_scene_engine  # torch, which a bundle does without
    from pennyweight.verbs.load import restore

    record = what.record
    engine = torch_scene_engine(restore(what), projection_of(what), window=record["scene"]["window"], bfloat16=bfloat16)
    return Mapper(engine, tuple(what.labels), tuple(record["data"]["ids"]))


def reopen(run: Run) -> Scene:
    """The scene that a run was trained on. Raises SourceError when it is not here, or is another by now."""
    known: Mapping[str, Any] = run.record["data"]
    address = known["address"]
    ask = f"predict {run.folder} {address['cube']} --map map.png"
    with (
        only_said(run.folder, address.get("labels", ""), ask=ask),
        only_said(run.folder, address["cube"], ask=ask),
    ):
        scene = open_scene(
            address["cube"],
            address.get("labels"),
            background=int(address.get("background", 0)),
            names=known.get("names"),
        )
    if scene.fingerprint != known["fingerprint"]:
        raise SourceError(f"'{address['cube']}' here is not what {run.folder} was trained on: its content has changed")
    return scene
