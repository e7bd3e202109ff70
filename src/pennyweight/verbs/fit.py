"""`fit`: from a source of pictures to a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import nn

from pennyweight import data, zoo
from pennyweight.core.files import append_line, read_lines, write_json, write_text
from pennyweight.core.images import Pixels
from pennyweight.core.machine import machine, versions
from pennyweight.core.run import Run, new_run_folder
from pennyweight.nn.weights import save_weights
from pennyweight.report.downloads import Downloads
from pennyweight.report.page import Mistake, page
from pennyweight.report.progress import TrainingProgress
from pennyweight.scoring import Evaluation, score, worst_mistakes
from pennyweight.train import Epoch, Recipe, train
from pennyweight.verbs.evaluate import answer
from pennyweight.verbs.load import load, restore
from pennyweight.verbs.plan import Plan, make_plan
from pennyweight.verbs.weigh import weigh

__all__ = ["fit"]

WATCHED_EPOCH = 2
"""The first epoch also warms up."""
MOST_WAITING = 0.3
"""Share of an epoch's time spent waiting for pictures from which that is said."""


def fit(
    source: str | os.PathLike[str] | data.Source,
    model: str = "auto",
    *,
    out: str | os.PathLike[str] | None = None,
    recipe: Recipe | Mapping[str, Any] | None = None,
    input_size: int | None = None,
    stem: zoo.Stem | None = None,
    config: Mapping[str, Any] | None = None,
    seed: int = 0,
    group_by: str | None = None,
    channels: int | None = None,
    progress: bool = True,
) -> Run:
    """Train a network on `source`, choose its best weights on validation, score them once on test; a run folder.

    `recipe` is a whole Recipe, or fields to change in the one that suits the source; `config` changes fields of the
    network's Config. What is left out is chosen by the source: `input_size` in pixels, the small-image stem below
    96 of them. `out` must not exist; by default it is runs/SOURCE-MODEL-N. Nothing is written before every
    picture was read and the network made; pictures that cannot be read are left out and named, until too little
    is left. `group_by` keeps pictures in one split, as `data.open` says; `channels` are those of the input, by default
    what the pictures have (transparency needs 4). `progress` is shown on standard error. Raises a PennyweightError for
    anything that cannot be used.
    """
    started = perf_counter()
    opened = source if isinstance(source, data.Source) else _opened(source, group_by, progress)
    opened = opened if channels is None else replace(opened, channels=channels)
    splits = data.split(opened)
    plan = make_plan(opened, model, recipe=recipe, input_size=input_size, stem=stem, config=config or {}, seed=seed)
    folder = new_run_folder(out, f"{opened.name}-{plan.model['name']}")
    network = plan.make()
    cache = data.DecodedCache()
    pictures = {
        name: data.Pictures(splits[name], plan.preprocess, cache=cache, margin=name == "train") for name in data.SPLITS
    }
    unreadable = list(opened.unreadable)
    with TrainingProgress(plan.recipe.epochs, None if progress else Console(quiet=True)) as shown:
        for note in (*opened.notes, *splits.notes, plan.note, f"run {folder}"):
            shown.note(note)
        with shown.phase("reading pictures", len(opened.samples)) as phase:
            for part in pictures.values():
                unreadable += part.read(phase.advance)
        for left_out in unreadable:
            shown.note(f"left out: {left_out.reason}")
        data.require_enough(opened, unreadable, *pictures.values())
        balance = data.Balance.of(pictures["train"].targets, len(opened.labels), plan.recipe.balance)
        pictures["train"].balance = balance
        plan = _with_statistics(plan, pictures)
        for line in dict.fromkeys(filter(None, (*(part.note for part in pictures.values()), balance.note))):
            shown.note(line)
        made = [parent for parent in folder.parents if not parent.exists()]
        folder.mkdir(parents=True)
        try:
            record = _record(folder, opened, splits, plan, unreadable)
            record["data"]["group_by"] = group_by
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


def _opened(source: str | os.PathLike[str], group_by: str | None, progress: bool) -> data.Source:
    with Downloads(None if progress else Console(quiet=True)) as downloads:
        return data.open(source, group_by=group_by, advance=downloads.advance)


def _with_statistics(plan: Plan, pictures: Mapping[data.Split, data.Pictures]) -> Plan:
    """The plan with the mean and deviation of pictures that are neither grey nor RGB, which have no usual ones."""
    if plan.preprocess.channels in (1, 3):
        return plan
    mean, std = data.channel_statistics(pictures["train"])
    preprocess = replace(plan.preprocess, mean=mean, std=std)
    for part in pictures.values():
        part.preprocess = preprocess
    return replace(plan, preprocess=preprocess)


def _record(
    folder: Path, source: data.Source, splits: data.Splits, plan: Plan, unreadable: Sequence[data.Unreadable]
) -> dict[str, Any]:
    """What run.json says at the start."""
    return {
        "name": folder.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "status": "training",
        "seed": plan.seed,
        "model": plan.model,
        "data": {
            "source": source.name,
            "address": source.address,
            "labels": list(source.labels),
            "counts": splits.counts,
            "notes": [*source.notes, *splits.notes, *_left_out(unreadable)],
            "fingerprint": source.fingerprint,
            "split_fingerprint": splits.fingerprint,
            "unreadable": [{"name": name, "reason": reason} for name, reason in unreadable],
            "channels": source.channels,
        },
        "preprocess": plan.preprocess.to_dict(),
        "recipe": plan.recipe.to_dict(),
        "machine": machine() | {"threads": torch.get_num_threads()},
        "versions": versions(),
    }


def _left_out(unreadable: Sequence[data.Unreadable]) -> Sequence[str]:
    """A note, if there is anything to note."""
    count = len(unreadable)
    return [f"{count} pictures cannot be read and are left out, such as {unreadable[0].name}"] if count else []


def _train(
    run: Run,
    network: nn.Module,
    pictures: Mapping[data.Split, data.Pictures],
    plan: Plan,
    shown: TrainingProgress,
) -> Epoch:
    """The best epoch; its weights are in the run's folder."""

    def keep(epoch: Epoch, best: bool) -> None:
        if best:
            save_weights(run.weights_path, network, {"network": plan.model["name"], "epoch": str(epoch.epoch)})
        append_line(run.metrics_path, epoch.to_dict())
        if epoch.epoch == WATCHED_EPOCH and pictures["train"].waited_s > MOST_WAITING * epoch.seconds:
            shown.note(_loader_bound(pictures["train"], epoch))

    return train(
        network,
        training=pictures["train"],
        validation=pictures["val"],
        recipe=plan.recipe,
        seed=plan.seed,
        watcher=shown,
        after_epoch=keep,
    )


def _loader_bound(pictures: data.Pictures, epoch: Epoch) -> str:
    """That training waits for its pictures, and what would change it."""
    kept = "" if pictures.kept else "room for decoded pictures (a larger disk at $PENNYWEIGHT_CACHE), "
    policy = "--set policy=none, " if pictures.heavy else ""
    return (
        f"loading holds training back: {pictures.waited_s:.1f} of {epoch.seconds:.1f} s went by waiting for pictures; "
        f"what helps: {kept}{policy}more cores, or a smaller --input"
    )


def _mistake(pictures: data.Pictures, number: int, evaluation: Evaluation, probabilities: Any) -> Mistake:
    """A wrong answer with its picture, as the network saw it."""
    sample = pictures.samples[number]
    answered = int(probabilities.argmax())
    return Mistake(
        image=_shown(pictures.pixels(np.array([number]))[0]),
        source=sample.name,
        truth=evaluation.labels[sample.label],
        predicted=evaluation.labels[answered],
        probability=float(probabilities[answered]),
        truth_probability=float(probabilities[sample.label]),
    )


def _shown(pixels: Pixels) -> Pixels:
    """As a page can show it: the first three bands of many, the first of two."""
    return pixels if pixels.shape[2] in (1, 3) else pixels[..., : 3 if pixels.shape[2] > 3 else 1]
