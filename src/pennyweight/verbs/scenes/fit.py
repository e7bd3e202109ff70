"""`fit` for a scene: from a cube with its label map to a run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console
from torch import nn

from pennyweight.core.busy_wait import how_threads_waited, sharing_cores
from pennyweight.core.files import read_lines, write_json, write_lines, write_text
from pennyweight.core.labels import names_in
from pennyweight.core.machine import versions
from pennyweight.core.run import Run, write_record
from pennyweight.core.settings import override
from pennyweight.core.signals import deferring_signals
from pennyweight.data.scenes.open import open_scene
from pennyweight.data.scenes.scene import Scene
from pennyweight.data.scenes.splits import SceneSplit
from pennyweight.nn.weights import read_weights, save_weights
from pennyweight.report.progress import TrainingProgress
from pennyweight.report.scene_page import scene_page
from pennyweight.runtime.scene_mapper import MASKED, map_scene
from pennyweight.scoring.leakage import leakage
from pennyweight.train import Checkpointer, Checkpoints, Epoch, Ranks, Recipe
from pennyweight.verbs.fitting.resume import finished_run, noting_how_to_resume, recorded_recipe, resume_note
from pennyweight.verbs.fitting.run_folder import claiming_run_folder
from pennyweight.verbs.scenes.baselines import baseline_plans, baselines
from pennyweight.verbs.scenes.evaluate import judge
from pennyweight.verbs.scenes.load import PROJECTION, load_mapper
from pennyweight.verbs.scenes.plan import SceneOptions, ScenePlan, make_scene_plan, split_of
from pennyweight.verbs.scenes.train import learn
from pennyweight.verbs.weigh import weigh

__all__ = ["fit_scene"]


@sharing_cores()
def fit_scene(
    source: str | os.PathLike[str] | Scene,
    model: str = "auto",
    *,
    out: str | os.PathLike[str] | None = None,
    recipe: Recipe | Mapping[str, Any] | None = None,
    scene: SceneOptions | Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    with_baselines: bool = False,
    resume: bool = False,
    save_minutes: float = 5.0,
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
    names = names_in(options.names) if options.names else None
    opened = open_scene(source, options.labels, background=options.background, names=names)
    split = split_of(opened, options, seed)
    plan = make_scene_plan(opened, split, model, options, recipe=recipe, config=config or {}, seed=seed)
    plan.make()  # what the network refuses is refused before anything is written
    besides = str(plan.model["name"])
    others = baseline_plans(opened, split, options, seed=seed, besides=besides) if with_baselines else {}
    asked = _asked(opened, plan, with_baselines)
    name = f"{opened.name}-{plan.model['name']}"
    console = None if progress else Console(quiet=True)
    with (
        claiming_run_folder(out, name, resume=resume, asked=asked, ranks=Ranks()) as (folder, record),
        TrainingProgress(plan.recipe.epochs, console) as shown,
    ):
        if record is not None and record["status"] == "complete":
            return finished_run(folder, shown.note)
        begins = record is None
        record = record or _record(folder, opened, split, plan) | {"asked": asked}
        checkpoints = Checkpoints(folder / "checkpoints", shown.note)
        anew = begins or checkpoints.latest() is None
        for note in (*record["data"]["notes"], plan.note, f"run {folder}" + resume_note(resume, begins=anew)):
            shown.note(note)
        if not begins:
            recorded_recipe(record, Ranks(), shown.note)
        with noting_how_to_resume(folder, shown.note):
            if begins:
                write_json(folder / PROJECTION, plan.projection.to_dict())
                write_record(folder / "run.json", record, folder / PROJECTION)
            run = Run(folder)
            with deferring_signals() as stop:
                spent_s = perf_counter() - started
                checkpointer = Checkpointer(checkpoints, every_s=save_minutes * 60, stop=stop, spent_s=spent_s)
                note = shown.note if begins and progress else None
                network, best = _train(run, opened, split, plan, shown, checkpointer, note)
            write_record(run.record_path, record, run.weights_path)  # the weights that are scored
            run = Run(folder)
            with shown.phase("mapping the scene", opened.known.size) as phase:
                mapped = map_scene(load_mapper(run).engine, opened.cube, advance=phase.advance)
            evaluation = judge(opened, split, mapped.classes, options.window).to_dict()
            if with_baselines:
                evaluation["baselines"] = baselines(opened, split, others, window=options.window, shown=shown)
        record |= {"status": "complete", "best": best.to_dict(), "seconds": round(checkpointer.spent_s, 1)}
        record["waiting"] = how_threads_waited()
        html = scene_page(
            run=record,
            epochs=read_lines(run.metrics_path),
            evaluation=evaluation,
            cost=weigh(network, (plan.projection.channels, options.window, options.window)).to_dict(),
            classes=np.where(mapped.classes == MASKED, -1, mapped.classes.astype(np.int16)),
            truth=opened.truth,
            confidence=mapped.confidence,
        )
        write_json(run.evaluation_path, evaluation)
        write_text(run.report_path, html)
        write_record(run.record_path, record, run.evaluation_path)  # comes last: it calls the run complete
        return Run(folder)


def _asked(scene: Scene, plan: ScenePlan, with_baselines: bool) -> dict[str, Any]:
    """What two commands must have alike for one to go on where the other stopped, as JSON keeps it."""
    asked = {
        "data": scene.fingerprint,
        "model": plan.model,
        "scene": plan.options.to_dict(),
        "recipe": plan.recipe.to_dict(),
        "seed": plan.seed,
        "baselines": with_baselines,
    }
    plain: dict[str, Any] = json.loads(json.dumps(asked))
    return plain


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
        "machine": Ranks().machine,
        "versions": versions(),
    }


def _train(
    run: Run,
    scene: Scene,
    split: SceneSplit,
    plan: ScenePlan,
    shown: TrainingProgress,
    checkpointer: Checkpointer,
    note: Callable[[str], None] | None,
) -> tuple[nn.Module, Epoch]:
    """The network of the best epoch; its weights are in the run's folder."""

    def keep(network: nn.Module, epochs: Sequence[Epoch], best: bool) -> None:
        if best:
            save_weights(run.weights_path, network, {"name": str(plan.model["name"]), "epoch": str(len(epochs))})
        write_lines(run.metrics_path, [epoch.to_dict() for epoch in epochs])

    kept = read_weights(run.weights_path) if run.weights_path.exists() else None
    return learn(scene, split, plan, callback=shown, after_epoch=keep, checkpointer=checkpointer, kept=kept, note=note)
