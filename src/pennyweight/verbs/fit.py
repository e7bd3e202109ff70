"""`fit`: from a source of pictures to a run."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from shutil import rmtree
from time import perf_counter
from typing import Any, Literal, Never, get_args

import torch
from rich.console import Console

from pennyweight import data, zoo
from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.formats import allow_pixels
from pennyweight.core.heap import keeping_memory
from pennyweight.core.images import MAX_PIXELS
from pennyweight.core.run import Run, write_record
from pennyweight.core.signals import deferring_signals
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.data.scenes.open import is_scene
from pennyweight.nn import Network
from pennyweight.report.progress import TrainingProgress
from pennyweight.train import Checkpointer, Checkpoints, Ranks, Recipe
from pennyweight.train.out_of_memory import explaining_out_of_memory
from pennyweight.train.trackers import check_tracker, open_tracker
from pennyweight.verbs.evaluate import answer
from pennyweight.verbs.fitting.arguments import refuse_unknown
from pennyweight.verbs.fitting.auto_width import WIDTHS
from pennyweight.verbs.fitting.choose_recipe import AUTO
from pennyweight.verbs.fitting.estimate import estimate
from pennyweight.verbs.fitting.finish import finish
from pennyweight.verbs.fitting.first_weights import LARGE_MODEL, as_begun, is_named
from pennyweight.verbs.fitting.modes import Work, train_by_mode
from pennyweight.verbs.fitting.plan import Plan, make_plan
from pennyweight.verbs.fitting.prepare import open_teacher, prepare
from pennyweight.verbs.fitting.replan import refitting, work_of
from pennyweight.verbs.fitting.resume import (
    FEATURES,
    digests,
    features_saved,
    finished_run,
    noting_how_to_resume,
    record_before,
    recorded_recipe,
    resume_note,
    with_replanned_epochs,
)
from pennyweight.verbs.fitting.run_folder import claiming_run_folder
from pennyweight.verbs.fitting.run_record import record_of
from pennyweight.verbs.load import load
from pennyweight.verbs.scenes.fit import fit_scene
from pennyweight.verbs.training_pictures import training_digests_of, without_training_pictures

__all__ = ["Speed", "fit"]

Speed = Literal["auto", "fixed"]
NAMED_AT_A_STOP = 20
"""Of pictures that cannot be read, where they are too many to go on: all may be, for one reason."""


@keeping_memory()
@sharing_cores()
def fit(
    source: str | os.PathLike[str] | data.Source,
    model: str = "auto",
    *,
    out: str | os.PathLike[str] | None = None,
    recipe: Recipe | Mapping[str, Any] | str | None = None,
    input_size: int | None = None,
    stem: zoo.Stem | None = None,
    config: Mapping[str, Any] | None = None,
    weights: str | os.PathLike[str] | None = None,
    teacher: str | os.PathLike[str] | None = None,
    minutes: float | None = None,
    speed: Speed | None = None,
    preflight: bool | None = None,
    resume: bool = False,
    save_minutes: float = 5.0,
    log: str | None = None,
    scene: Mapping[str, Any] | None = None,
    seed: int = 0,
    group_by: str | None = None,
    read_as: data.ReadAs | Mapping[str, Any] | None = None,
    channels: int | None = None,
    max_pixels: int | None = None,
    progress: bool = True,
    **unknown: Never,
) -> Run:
    """Train a network on `source`, choose its best weights on validation, score them once on test; a run folder.

    `recipe` is a whole Recipe, the name of one, or fields to change in the one that suits the source (among them
    "name"); its `mode` says what is trained: everything, the last layer, or first that and then everything. `config`
    changes fields of the network's Config. What is left out is chosen by the source, and said. `weights` (a file, a
    run, or a published tag) are what training starts from, and choose their own input, stem and Config instead. "none"
    takes none; None, or "auto", takes published ones for photographs where `model` is "auto", which may fetch them.
    `teacher` (a run, or a name with published weights) is what a smaller network learns from. With `minutes` the
    schedule fits the time; `speed` "auto" measures the quickest way to step ("fixed" unless there are `minutes`);
    `preflight` checks first what would make a long training worthless (by default where it is long). `group_by` keeps
    pictures in one split, and `read_as` says what the files of a source do not, as `data.open` takes both;
    `channels` are those of the input, by default what the pictures have (transparency needs 4). Pictures of more than
    `max_pixels` (by default 80 million) are left out and named.

    `out` must not exist; by default it is runs/SOURCE-MODEL-N. With `resume` it may: the same call goes on where that
    run stopped. Its state is saved every `save_minutes` and every epoch. `log` names a tracker. Nothing is written
    before every picture was read and the network made; pictures that cannot be read are left out and named, until too
    little is left. A scene (`scene:NAME`, or a cube's file) takes `scene`, fields of SceneOptions. `progress` is shown
    on standard error. Raises a PennyweightError for anything that cannot be used.
    """
    refuse_unknown(unknown, fit)
    if not save_minutes >= 0:
        raise InputError(f"save_minutes must be at least 0, not {save_minutes}")
    if is_scene(source) or scene is not None:
        of_pictures: dict[str, Any] = {"input_size": input_size, "stem": stem, "weights": weights, "teacher": teacher}
        of_pictures |= {"minutes": minutes, "speed": speed, "preflight": preflight, "log": log}
        of_pictures |= {"group_by": group_by, "read_as": read_as, "channels": channels, "max_pixels": max_pixels}
        for name, value in of_pictures.items():
            if value is not None:
                raise InputError(f"{name} is for pictures, not for a scene; a scene takes a window: --window 25")
        return fit_scene(
            source,  # type: ignore[arg-type]  # what is_scene says
            model,
            out=out,
            recipe={"name": recipe} if isinstance(recipe, str) else recipe,
            scene=scene,
            config=config,
            resume=resume,
            save_minutes=save_minutes,
            seed=seed,
            progress=progress,
        )
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"minutes must be above 0 and finite, not {minutes}")
    if speed not in (None, *get_args(Speed)):
        raise InputError(f"speed is {' or '.join(get_args(Speed))}, not '{speed}'")
    started = perf_counter()
    check_tracker(log)
    ranks = Ranks()
    allow_pixels(max_pixels)
    opened = data.open(source, group_by=group_by, read_as=read_as)
    opened = opened if channels is None else replace(opened, channels=channels)
    if opened.streamed and max_pixels is not None:
        raise InputError(
            f"max_pixels is for pictures that are read alone; of shards up to {MAX_PIXELS:,} pixels are read"
        )
    before = training_digests_of(weights if is_named(weights) else None, teacher)
    splits = without_training_pictures(data.split(opened), before)
    if resume and model == AUTO:
        model, weights = as_begun(record_before(out, opened.name, (*WIDTHS, LARGE_MODEL)), weights)
    plan = make_plan(
        opened,
        model,
        pictures=len(splits.train),
        used=data.used_levels(opened, splits.train, max_pixels=max_pixels),
        recipe=recipe,
        input_size=input_size,
        stem=stem,
        config=config or {},
        weights=weights,
        seed=seed,
        minutes=minutes,
        speed=speed,
        ranks=ranks,
        taught=teacher is not None,
    )
    plan = replace(plan, preprocess=replace(plan.preprocess, max_pixels=max_pixels))
    asked = plan.asked(
        opened,
        weights=plan.weights,
        teacher=teacher,
        minutes=minutes,
        speed=speed,
        group_by=opened.group_by,
        read_as=dict(opened.read_as) or None,
        sha256=digests(weights=plan.weights, teacher=teacher),
        split=splits.fingerprint,  # equal pictures are split otherwise where their groups are others
        **({} if max_pixels is None else {"max_pixels": max_pixels}),
    )
    taken = claiming_run_folder(out, f"{opened.name}-{plan.model['name']}", resume=resume, asked=asked, ranks=ranks)
    console = None if progress and not ranks.number else Console(quiet=True)
    if teacher is not None and plan.recipe.mode == "head":
        raise InputError(
            "mode head trains on features, and a teacher needs pictures: --mode scratch or finetune has both"
        )
    first = not ranks.number
    network, adapted = plan.make()
    network.to(ranks.device)
    # What cannot be used is said before the pictures are read, which may take minutes.
    if isinstance(network, Network):
        network.check(torch.empty(1, opened.channels, plan.preprocess.size, plan.preprocess.size, device="meta"))
    first_seen, taught = plan.preprocess, open_teacher(teacher, opened, plan.preprocess, ranks.device)
    pictures = data.parts(opened, splits, plan.preprocess, rank=ranks.number, world=ranks.count)
    unreadable = list(opened.unreadable)
    with taken as (folder, record), TrainingProgress(plan.epochs, console) as shown:
        if record is not None and record["status"] == "complete":
            return finished_run(folder, shown.note)
        for note in (*opened.notes, *splits.notes, *plan.why, *adapted):
            shown.note(note)
        with shown.phase("reading pictures", len(opened.samples)) as phase:
            for part in pictures.values():
                unreadable += part.read(phase.advance)
        named = len(unreadable)
        try:
            data.require_enough(opened, unreadable, *pictures.values())
        except SourceError:
            named = NAMED_AT_A_STOP
            raise
        finally:
            for left_out in unreadable[:named]:
                shown.note(f"left out: {left_out.reason}")
        for note in data.remarks(opened, unreadable):
            shown.note(note)
        counts = {name: len(part) for name, part in pictures.items()}
        shown.note("pictures: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))
        balance = data.Balance.of(
            pictures["train"].targets, len(opened.labels), plan.recipe.balance, streamed=opened.streamed
        )
        pictures["train"].balance = balance
        plan = _with_statistics(plan, pictures)
        for line in dict.fromkeys(filter(None, (*(part.note for part in pictures.values()), balance.note))):
            shown.note(line)
        if plan.preprocess != first_seen:
            taught = open_teacher(teacher, opened, plan.preprocess, ranks.device)
        checkpoints = Checkpoints(folder / "checkpoints", shown.note)
        if record is None:
            left_s = None if minutes is None else minutes * 60 - (perf_counter() - started)
            with explaining_out_of_memory(plan.recipe.batch, plan.recipe.accumulate):
                plan, measured, deadline = prepare(
                    plan, network, pictures, ranks=ranks, teacher=taught, left_s=left_s, speed=speed,
                    preflight=preflight, note=shown.note,
                )  # fmt: skip
                if progress and deadline is None:
                    shown.note(estimate(plan, network, pictures, ranks=ranks, teacher=taught))
        else:
            recipe = with_replanned_epochs(recorded_recipe(record, ranks, shown.note), checkpoints.latest())
            plan, measured, deadline = replace(plan, recipe=recipe), record["speed"], None
            record["recipe"] = recipe.to_dict()
        alone = plan.epochs - plan.recipe.epochs  # of the last layer
        shown.expect(plan.epochs, apart=alone, work=work_of(measured, plan.recipe, plan.preprocess.size))
        begins = record is None or (checkpoints.latest() is None and not features_saved(folder))
        for note in (plan.note, f"run {folder}" + resume_note(resume, begins=begins)):
            shown.note(note)
        with noting_how_to_resume(folder, shown.note):
            if record is None:
                record = record_of(folder, opened, splits, counts, plan, unreadable, ranks) | {
                    "asked": asked,
                    "speed": measured,
                }
                if first:
                    training_digests = data.digests_of_samples(splits.train, splits.val)
                    training_digests = TrainingDigests.of(
                        training_digests.marks, *(each.marks for each in before.values())
                    )
                    training_digests.save(folder / "seen.npy")
                    write_record(folder / "run.json", record, folder / "seen.npy")
            opening = open_tracker(log if first else None, folder.name, folder, record["recipe"], shown.note)
            with deferring_signals() as stop, closing(opening) as tracker:
                spent_s = perf_counter() - started
                checkpointer = Checkpointer(checkpoints, every_s=save_minutes * 60, stop=stop, spent_s=spent_s)
                work = Work(
                    folder=folder, network=network, pictures=pictures, plan=plan, shown=shown,
                    checkpointer=checkpointer, ranks=ranks, teacher=taught, tracker=tracker, labels=opened.labels,
                    refit=refitting(deadline, folder / "run.json", record, shown, ranks),
                    trained_on={"name": opened.name, "fingerprint": opened.fingerprint, "group_by": opened.group_by},
                )  # fmt: skip
                best = train_by_mode(work)
            ranks.end_others()
            write_record(folder / "run.json", record, folder / "weights.safetensors")  # the weights that are scored
            run = Run(folder)
            with shown.phase("scoring the test split", len(splits.test)) as phase:
                probabilities = answer(load(run), pictures["test"], phase.advance)
            record["seconds"] = round(checkpointer.spent_s, 1)
            run = finish(run, record, best, probabilities, pictures["test"], opened)
            rmtree(folder / FEATURES, ignore_errors=True)
            return run


def _with_statistics(plan: Plan, pictures: Mapping[data.Split, data.Pictures]) -> Plan:
    """The plan with the mean and deviation of pictures that are neither grey nor RGB, which have no usual ones."""
    if plan.preprocess.channels in (1, 3):
        return plan
    mean, std = data.channel_statistics(pictures["train"])
    preprocess = replace(plan.preprocess, mean=mean, std=std)
    for part in pictures.values():
        part.preprocess = preprocess
    return replace(plan, preprocess=preprocess)
