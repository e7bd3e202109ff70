"""`fit` on a scene: from a cube with its label map to a run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from shlex import quote
from time import perf_counter
from typing import Any

import numpy as np
from torch import nn

from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.errors import InputError, nearest, received
from pennyweight.core.files import write_json
from pennyweight.core.labels import read_class_names
from pennyweight.core.run import Run
from pennyweight.core.settings import override
from pennyweight.data.readers.open import is_known
from pennyweight.data.scenes.open import is_scene, open_scene
from pennyweight.data.scenes.scene import Scene
from pennyweight.data.scenes.splits import SceneSplit
from pennyweight.nn.weights import read_weights, save_weights
from pennyweight.report.scene_page import scene_page
from pennyweight.runtime.scene_mapper import MASKED, SceneMap, map_scene
from pennyweight.train import Epoch, Ranks, Recipe
from pennyweight.verbs.fitting.request import check_save_minutes
from pennyweight.verbs.fitting.resume import note_changed_machine
from pennyweight.verbs.fitting.session import RunSession, Terms, opening_run
from pennyweight.verbs.scenes.baselines import baseline_plans, baselines
from pennyweight.verbs.scenes.evaluate import judge
from pennyweight.verbs.scenes.load import load
from pennyweight.verbs.scenes.names import names
from pennyweight.verbs.scenes.plan import SceneOptions, ScenePlan, make_scene_plan, split_of
from pennyweight.verbs.scenes.run_record import make_scene_record
from pennyweight.verbs.scenes.train import learn
from pennyweight.verbs.weigh import weigh

__all__ = ["fit"]

NO_TYPICALITY = (
    "typicality is not kept: the validation windows overlap those of training, and calibrated on them it would flag "
    "too many windows elsewhere (docs/scenes.md)"
)


@sharing_cores()
def fit(
    source: str | os.PathLike[str] | Scene,
    model: str = "auto",
    *,
    out: str | os.PathLike[str] | None = None,
    recipe: Recipe | Mapping[str, Any] | str | None = None,
    scene: SceneOptions | Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    with_baselines: bool = False,
    resume: bool = False,
    save_minutes: float = 5.0,
    wait: float = 5.0,
    seed: int = 0,
    progress: bool = True,
) -> Run:
    """Train a network on the labeled pixels of a scene, map the whole scene, and score the test pixels.

    Args:
        source: `scene:NAME`, a cube's file (with `scene={"labels": FILE}`), or a Scene.
        model: Name of a network, or "auto".
        out: New folder for the run; by default runs/SCENE-MODEL-N.
        recipe: Recipe, the name of one, or fields to change in the suitable one.
        scene: Fields of SceneOptions: label map, split, window, components.
        config: Fields to change in the network's Config.
        with_baselines: Score four simpler classifiers on the same pixels.
        resume: Continue the run at `out`, which the same call began, from its checkpoint.
        save_minutes: Minutes from one checkpoint to the next.
        wait: Minutes to wait for the other ranks.
        seed: Seed of the split, the first weights and every random choice.
        progress: Show progress on standard error.

    Returns:
        The finished run, whose folder holds record, metrics, weights, scores and report.

    Raises:
        PennyweightError: Something cannot be used; the line names the value, the rule and the nearest thing that works.
    """
    terms = Terms(
        out=out,
        resume=resume,
        save_minutes=save_minutes,
        progress=progress,
        started=perf_counter(),
        ranks=Ranks(wait),
    )
    check_save_minutes(save_minutes)
    _require_scene(source)
    options = scene if isinstance(scene, SceneOptions) else override(SceneOptions(), scene or {}, what="scene")
    recipe = {"name": recipe} if isinstance(recipe, str) else recipe
    opened = _open(source, options)
    split = split_of(opened, options, seed)
    plan = make_scene_plan(opened, split, model, options, recipe=recipe, config=config or {}, seed=seed)
    return _SceneFit(opened, split, plan, with_baselines).run(terms)


def _open(source: str | os.PathLike[str] | Scene, options: SceneOptions) -> Scene:
    return open_scene(
        source,
        options.labels,
        background=options.background,
        names=read_class_names(options.names) if options.names else None,
        bands=options.bands,
        ignore_place=options.ignore_place,
        test_labels=options.test_labels,
        split_map=options.split_map,
    )


def _require_scene(source: object) -> None:
    """Raise InputError for anything that is not a scene, with the command and the function for pictures."""
    if is_scene(source):
        return
    rule = "a scene is scene:NAME (`pennyweight scene names` lists them), or a cube's file with its label map"
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"{rule}, not {received(source)}")
    text = os.fspath(source)
    if not is_known(text):
        raise InputError(f"there is no scene '{text}'{nearest(text, names(), otherwise=f'; {rule}')}")
    where = f"pennyweight fit {quote(text)}, or pw.fit"
    raise InputError(f"{text} is no scene: {rule}; train on pictures with: {where}")


class _SceneFit:
    """Training on a scene: the cube with its split and its plan."""

    def __init__(self, scene: Scene, split: SceneSplit, plan: ScenePlan, with_baselines: bool) -> None:
        self.scene, self.split, self.plan = scene, split, plan
        plan.make()  # what the network refuses is refused before anything is written
        self.baselines: dict[str, ScenePlan] | None = None
        if with_baselines:
            besides = str(plan.model["name"])
            self.baselines = baseline_plans(scene, split, plan.options, seed=plan.seed, besides=besides)

    def run(self, terms: Terms) -> Run:
        """Train, map the scene, score its test pixels, and write the report."""
        name, epochs = f"{self.scene.name}-{self.plan.model['name']}", self.plan.recipe.epochs
        with opening_run(name, terms, asked=self._settings(), epochs=epochs) as session:
            if session.is_complete:
                return session.finished()
            self._begin(session)
            network, best = self._train(session)
            session.shown.note(NO_TYPICALITY)
            with session.shown.phase("mapping the scene", self.scene.known.size) as phase:
                engine = load(Run(session.files.folder)).engine
                mapped = map_scene(engine, self.scene.cube, advance=phase.advance)
            return self._finish(session, network, best, mapped)

    def _settings(self) -> dict[str, Any]:
        """Return the settings that run.json keeps, and that a resumed run is compared by."""
        settings = {
            "data": self.scene.fingerprint,
            "model": self.plan.model,
            "scene": self.plan.options.to_dict(),
            "recipe": self.plan.recipe.to_record(),
            "seed": self.plan.seed,
            "baselines": self.baselines is not None,
        }
        plain: dict[str, Any] = json.loads(json.dumps(settings))
        return plain

    def _begin(self, session: RunSession) -> None:
        """Note the scene and the plan; write the record and the projection of a new run."""
        files, asked = session.files, self._settings()
        record = (
            make_scene_record(files, self.scene, self.split, self.plan, asked) if session.begins else session.record
        )
        session.announce(*(record.data.notes or ()), self.plan.note)
        if not session.begins:
            note_changed_machine(record, session.ranks, session.shown.note)
            return
        if not session.ranks.number:
            write_json(files.projection_path, self.plan.projection.to_dict())
        session.begin(record, files.projection_path)

    def _train(self, session: RunSession) -> tuple[nn.Module, Epoch]:
        """Return the network of the best epoch, whose weights are in the run's folder, and that epoch."""
        weights = session.files.weights_path

        def keep(network: nn.Module, epochs: Sequence[Epoch], best: bool) -> None:
            if session.ranks.number:
                return
            if best:
                save_weights(weights, network, {"name": str(self.plan.model["name"]), "epoch": str(len(epochs))})
            session.keep_metrics(epochs)

        with session.training() as checkpointer:
            return learn(
                self.scene,
                self.split,
                self.plan,
                callback=session.shown,
                after_epoch=keep,
                checkpointer=checkpointer,
                kept=read_weights(weights) if weights.exists() else None,
                note=session.shown.note if session.begins and session.terms.progress else None,
            )

    def _finish(self, session: RunSession, network: nn.Module, best: Epoch, mapped: SceneMap) -> Run:
        """Score the map, and the baselines where they are wanted; seal the run with them and its report."""
        scene, window = self.scene, self.plan.options.window
        evaluation = judge(scene, self.split, mapped.classes, window).to_dict()
        if self.baselines is not None:
            evaluation["baselines"] = baselines(scene, self.split, self.baselines, window=window, shown=session.shown)

        def report(run: Mapping[str, Any], epochs: Any) -> str:
            return scene_page(
                run=run,
                epochs=epochs,
                evaluation=evaluation,
                cost=weigh(network, (self.plan.projection.channels, window, window)).to_dict(),
                classes=np.where(mapped.classes == MASKED, -1, mapped.classes.astype(np.int16)),
                truth=scene.truth,
                test=self.split.test,
                confidence=mapped.confidence,
            )

        return session.seal(best, evaluation, report)
