"""`fit`: from a source of pictures to a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from rich.console import Console
from torch import nn

from pennyweight import data, zoo
from pennyweight.core.errors import InputError
from pennyweight.core.files import append_line, read_lines, write_json, write_text
from pennyweight.core.machine import machine, versions
from pennyweight.core.run import Run, new_run_folder
from pennyweight.data.scenes import is_scene
from pennyweight.nn.weights import save_weights
from pennyweight.report.page import Mistake, page
from pennyweight.report.progress import TrainingProgress
from pennyweight.scoring import Evaluation, score, worst_mistakes
from pennyweight.train import Epoch, Recipe, train
from pennyweight.verbs.evaluate import answer
from pennyweight.verbs.fit_scene import fit_scene
from pennyweight.verbs.load import load, restore
from pennyweight.verbs.plan import Plan, make_plan
from pennyweight.verbs.weigh import weigh

__all__ = ["fit"]


def fit(
    source: str | os.PathLike[str] | data.Source,
    model: str = "auto",
    *,
    out: str | os.PathLike[str] | None = None,
    recipe: Recipe | Mapping[str, Any] | None = None,
    input_size: int | None = None,
    stem: zoo.Stem | None = None,
    config: Mapping[str, Any] | None = None,
    weights: str | os.PathLike[str] | None = None,
    scene: Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Run:
    """Train a network on `source`, choose its best weights on validation, score them once on test; a run folder.

    `recipe` is a whole Recipe, or fields to change in the one that suits the source; `config` changes fields of the
    network's Config. What is left out is chosen by the source: `input_size` in pixels, the small-image stem below
    96 of them. `weights` (a file, a run, or a published tag) are what training starts from, and choose their own input,
    stem and Config instead. `out` must not exist; by default it is runs/SOURCE-MODEL-N. Nothing is written before every
    picture was read and the network made. A scene (`scene:NAME`, or a cube's file) takes `scene`, fields of
    SceneOptions, in place of `input_size`, `stem` and `weights`. `progress` is shown on standard error. Raises a
    PennyweightError for anything that cannot be used.
    """
    if is_scene(source) or scene is not None:
        for name, value in (("input_size", input_size), ("stem", stem), ("weights", weights)):
            if value is not None:
                raise InputError(f"{name} is for pictures, not for a scene; a scene takes a window: --window 25")
        return fit_scene(
            source,  # type: ignore[arg-type]  # what is_scene says
            model,
            out=out,
            recipe=recipe,
            scene=scene,
            config=config,
            seed=seed,
            progress=progress,
        )
    assert isinstance(source, (str, os.PathLike, data.Source))
    started = perf_counter()
    opened = source if isinstance(source, data.Source) else data.open(source)
    splits = data.split(opened)
    plan = make_plan(
        opened, model, recipe=recipe, input_size=input_size, stem=stem, config=config or {}, weights=weights, seed=seed
    )
    folder = new_run_folder(out, f"{opened.name}-{plan.model['name']}")
    network, adapted = plan.make()
    pictures = {name: data.Pictures(splits[name], plan.preprocess) for name in data.SPLITS}
    with TrainingProgress(plan.recipe.epochs, None if progress else Console(quiet=True)) as shown:
        for note in (*opened.notes, *splits.notes, plan.note, *adapted, f"run {folder}"):
            shown.note(note)
        with shown.phase("reading pictures", len(opened.samples)) as phase:
            for part in pictures.values():
                part.read(phase.advance)
        made = [parent for parent in folder.parents if not parent.exists()]
        folder.mkdir(parents=True)
        try:
            record = _record(folder, opened, splits, plan)
            write_json(folder / "run.json", record)
            run = Run(folder)
            best = _train(run, network, pictures, plan, shown)
        except BaseException:
            # Before its first weights a run holds nothing that anyone could miss.
            if not (folder / "weights.safetensors").exists():
                shutil.rmtree(folder)
                for parent in made:
                    with suppress(OSError):  # another run is in it by now
                        parent.rmdir()
            raise
        with shown.phase("scoring the test split", len(splits.test)) as phase:
            probabilities = answer(load(run), pictures["test"], phase.advance)
    targets = pictures["test"].targets
    evaluation = score(probabilities, targets, labels=opened.labels, source=opened.name, split="test")
    mistakes = [
        _mistake(pictures["test"], number, evaluation, probabilities[number])
        for number in worst_mistakes(probabilities, targets)
    ]
    write_json(run.evaluation_path, evaluation.to_dict())
    record |= {"status": "complete", "best": best.to_dict(), "seconds": round(perf_counter() - started, 1)}
    write_json(run.record_path, record)
    height, width, channels = plan.preprocess.shape
    html = page(
        run=record,
        epochs=read_lines(run.metrics_path),
        evaluation=evaluation.to_dict(),
        cost=weigh(restore(run), (channels, height, width)).to_dict(),
        mistakes=mistakes,
    )
    write_text(run.report_path, html)
    return Run(folder)


def _record(folder: Path, source: data.Source, splits: data.Splits, plan: Plan) -> dict[str, Any]:
    """What run.json says at the start."""
    return {
        "name": folder.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "status": "training",
        "seed": plan.seed,
        "model": plan.model,
        "weights": None if plan.checkpoint is None else plan.checkpoint.name,
        "data": {
            "source": source.name,
            "address": source.address,
            "labels": list(source.labels),
            "counts": splits.counts,
            "notes": [*source.notes, *splits.notes],
            "fingerprint": source.fingerprint,
        },
        "preprocess": plan.preprocess.to_dict(),
        "recipe": plan.recipe.to_dict(),
        "machine": machine() | {"threads": torch.get_num_threads()},
        "versions": versions(),
    }


def _train(
    run: Run,
    network: nn.Module,
    pictures: Mapping[data.Split, data.Pictures],
    plan: Plan,
    shown: TrainingProgress,
) -> Epoch:
    """The best epoch; its weights are in the run's folder."""
    said = plan.describe(run.labels)

    def keep(epoch: Epoch, best: bool) -> None:
        if best:
            save_weights(run.weights_path, network, said | {"epoch": str(epoch.epoch)})
        append_line(run.metrics_path, epoch.to_dict())

    return train(
        network,
        training=pictures["train"],
        validation=pictures["val"],
        recipe=plan.recipe,
        seed=plan.seed,
        watcher=shown,
        after_epoch=keep,
    )


def _mistake(pictures: data.Pictures, number: int, evaluation: Evaluation, probabilities: Any) -> Mistake:
    """A wrong answer with its picture, as the network saw it."""
    sample = pictures.samples[number]
    answered = int(probabilities.argmax())
    return Mistake(
        image=pictures.preprocess(sample.picture),
        source=sample.name,
        truth=evaluation.labels[sample.label],
        predicted=evaluation.labels[answered],
        probability=float(probabilities[answered]),
        truth_probability=float(probabilities[sample.label]),
    )
