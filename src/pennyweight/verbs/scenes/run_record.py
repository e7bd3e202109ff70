"""Content of run.json when a training on a scene begins."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pennyweight.core.machine import versions
from pennyweight.core.run_folder import RunFolder
from pennyweight.core.run_record import DataRecord, RunRecord, SceneRecord
from pennyweight.data.scenes.scene import Scene
from pennyweight.data.scenes.splits import SceneSplit
from pennyweight.scoring.leakage import measure_leakage
from pennyweight.train import Ranks
from pennyweight.verbs.scenes.plan import ScenePlan

__all__ = ["make_scene_record"]


def make_scene_record(
    files: RunFolder, scene: Scene, split: SceneSplit, plan: ScenePlan, asked: Mapping[str, Any]
) -> RunRecord:
    """Return the record of a new run on a scene."""
    return RunRecord(
        name=files.folder.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        status="training",
        seed=plan.seed,
        model=plan.model,
        data=DataRecord(
            source=scene.name,
            address=scene.address,
            labels=list(scene.labels),
            ids=list(scene.ids),
            names=None if scene.address["cube"].startswith("scene:") else list(scene.labels),
            counts=split.counts,
            notes=_notes(scene, split, plan),
            fingerprint=scene.fingerprint,
        ),
        scene=SceneRecord(
            window=plan.options.window,
            options=plan.options.to_dict(),
            synthetic=scene.synthetic,
            bands=str(scene.choice),
            cube_bands=scene.choice.total,
            cube_fingerprint=scene.cube_fingerprint,
            leakage=measure_leakage(scene.truth, split.share, split.test, window=plan.options.window).to_dict(),
        ),
        recipe=plan.recipe.to_record(),
        machine=Ranks().machine,
        versions=versions(),
        asked=asked,
    )


def _notes(scene: Scene, split: SceneSplit, plan: ScenePlan) -> list[str]:
    """Return lines for a person about the scene, its split and the pixels that are left out."""
    notes = [*scene.notes, *split.notes(scene.labels, scene.truth)]
    if scene.masked:
        notes.append(f"{scene.masked:,} pixels without numbers are masked: neither trained on nor scored")
    if plan.options.protocol == "paper":
        notes.append("protocol paper: scaling and components were fitted on the whole scene, test pixels too")
    return notes
