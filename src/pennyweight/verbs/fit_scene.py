"""`fit` for a scene: from a cube with its label map to a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import nn

from pennyweight.core.files import read_lines, write_json, write_lines, write_text
from pennyweight.core.machine import machine, versions
from pennyweight.core.run import Run, new_run_folder
from pennyweight.core.settings import override
from pennyweight.data.scene import Scene
from pennyweight.data.scene_splits import SceneSplit
from pennyweight.data.scenes import open_scene
from pennyweight.nn.weights import save_weights
from pennyweight.report.progress import TrainingProgress
from pennyweight.report.scene_page import scene_page
from pennyweight.runtime.scene_mapper import MASKED, map_scene
from pennyweight.scoring.leakage import leakage
from pennyweight.train import Epoch, Recipe
from pennyweight.verbs.baselines import baselines
from pennyweight.verbs.evaluate_scene import judge
from pennyweight.verbs.learn_scene import learn
from pennyweight.verbs.load_scene import PROJECTION, load_mapper
from pennyweight.verbs.scene_plan import SceneOptions, ScenePlan, make_scene_plan, split_of
from pennyweight.verbs.weigh import weigh

__all__ = ["fit_scene"]


def fit_scene(
    source: str | os.PathLike[str] | Scene,
    model: str = "auto",
    *,
    out: str | os.PathLike[str] | None = None,
    recipe: Recipe | Mapping[str, Any] | None = None,
    scene: SceneOptions | Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    with_baselines: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> Run:
    """Train a network on the labelled pixels of a scene, map all of it, and score the test pixels; a run folder.

    `source` is `scene:NAME`, a cube's file (with `scene={"labels": FILE}`) or a Scene; `scene` are fields of
    SceneOptions. `with_baselines` puts four simpler classifiers into the same table. Everything else is as in `fit`.
    Raises a PennyweightError for anything that cannot be used.
    """
    started = perf_counter()
    options = scene if isinstance(scene, SceneOptions) else override(SceneOptions(), scene or {}, what="scene")
    opened = open_scene(source, options.labels, background=options.background)
    split = split_of(opened, options, seed)
    plan = make_scene_plan(opened, split, model, options, recipe=recipe, config=config or {}, seed=seed)
    plan.make()  # what the network refuses is refused before anything is written
    folder = new_run_folder(out, f"{opened.name}-{plan.model['name']}")
    record = _record(folder, opened, split, plan)
    with TrainingProgress(plan.recipe.epochs, None if progress else Console(quiet=True)) as shown:
        for note in (*record["data"]["notes"], plan.note, f"run {folder}"):
            shown.note(note)
        made = [parent for parent in folder.parents if not parent.exists()]
        folder.mkdir(parents=True)
        try:
            write_json(folder / "run.json", record)
            write_json(folder / PROJECTION, plan.projection.to_dict())
            run = Run(folder)
            network, best = _train(run, opened, split, plan, shown)
        except BaseException:
            # Before its first weights a run holds nothing that anyone could miss.
            if not (folder / "weights.safetensors").exists():
                shutil.rmtree(folder)
                for parent in made:
                    with suppress(OSError):  # another run is in it by now
                        parent.rmdir()
            raise
        with shown.phase("mapping the scene", opened.known.size) as phase:
            mapped = map_scene(load_mapper(run).engine, opened.cube, advance=phase.advance)
        evaluation = judge(opened, split, mapped.classes, options.window).to_dict()
        if with_baselines:
            evaluation["baselines"] = baselines(
                opened, split, options, seed=seed, shown=shown, besides=str(plan.model["name"])
            )
    write_json(run.evaluation_path, evaluation)
    record |= {"status": "complete", "best": best.to_dict(), "seconds": round(perf_counter() - started, 1)}
    write_json(run.record_path, record)
    shape = (plan.projection.channels, options.window, options.window)
    html = scene_page(
        run=record,
        epochs=read_lines(run.metrics_path),
        evaluation=evaluation,
        cost=weigh(network, shape).to_dict(),
        classes=np.where(mapped.classes == MASKED, -1, mapped.classes.astype(np.int16)),
        truth=opened.truth,
        confidence=mapped.confidence,
    )
    write_text(run.report_path, html)
    return Run(folder)


def _record(folder: Path, scene: Scene, split: SceneSplit, plan: ScenePlan) -> dict[str, Any]:
    """What run.json says at the start."""
    notes = [*scene.notes, *split.notes(scene.labels, scene.truth)]
    if scene.masked:
        notes.append(f"{scene.masked:,} pixels without numbers are masked: neither trained on nor scored")
    if plan.options.protocol == "paper":
        notes.append("protocol paper: scaling and components were fitted on the whole scene, test pixels too")
    return {
        "name": folder.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "status": "training",
        "seed": plan.seed,
        "model": plan.model,
        "weights": None,
        "data": {
            "source": scene.name,
            "address": scene.address,
            "labels": list(scene.labels),
            "ids": list(scene.ids),
            "names": None if scene.address["cube"].startswith("scene:") else list(scene.labels),
            "counts": split.counts,
            "notes": notes,
            "fingerprint": scene.fingerprint,
        },
        "scene": {
            "window": plan.options.window,
            "options": plan.options.to_dict(),
            "synthetic": scene.synthetic,
            "leakage": leakage(scene.truth, split.share, split.test, window=plan.options.window).to_dict(),
        },
        "recipe": plan.recipe.to_dict(),
        "machine": machine() | {"threads": torch.get_num_threads()},
        "versions": versions(),
    }


def _train(
    run: Run, scene: Scene, split: SceneSplit, plan: ScenePlan, shown: TrainingProgress
) -> tuple[nn.Module, Epoch]:
    """The network of the best epoch; its weights are in the run's folder."""

    lines: list[dict[str, Any]] = []

    def keep(network: nn.Module, epoch: Epoch, best: bool) -> None:
        if best:
            save_weights(run.weights_path, network, {"name": str(plan.model["name"]), "epoch": str(epoch.epoch)})
        lines.append(epoch.to_dict())
        write_lines(run.metrics_path, lines)

    return learn(scene, split, plan, watcher=shown, after_epoch=keep)
