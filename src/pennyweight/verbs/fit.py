"""`fit`: from a source of pictures to a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Unpack

from pennyweight import data
from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.frame import Size
from pennyweight.core.heap import keeping_memory
from pennyweight.core.run import Run
from pennyweight.train import Recipe
from pennyweight.verbs.fitting.arguments import refuse_scene, refuse_unknown
from pennyweight.verbs.fitting.pictures import fit_pictures
from pennyweight.verbs.fitting.request import FitOptions, FitRequest, Speed

__all__ = ["FitOptions", "Speed", "fit"]


@keeping_memory()
@sharing_cores()
def fit(
    source: data.AnySource,
    model: str = "auto",
    *,
    out: str | os.PathLike[str] | None = None,
    recipe: Recipe | Mapping[str, Any] | str | None = None,
    weights: str | os.PathLike[str] | None = None,
    teacher: str | os.PathLike[str] | None = None,
    config: Mapping[str, Any] | None = None,
    input_size: Size | str | None = None,
    minutes: float | None = None,
    resume: bool = False,
    seed: int = 0,
    progress: bool = True,
    **options: Unpack[FitOptions],
) -> Run:
    """Train a network on pictures, choose its best epoch on validation, and score that once on a held-out test split.

    `fit` chooses what is left out by the source, and notes each choice with its reason. Unreadable pictures are left
    out and named. Nothing is written before the network is made.

    Args:
        source: Path or name, or what a program has, as `data.open` takes it: arrays (images, labels), a table, a set.
        model: Name of a network, or "auto".
        out: New folder for the run; by default runs/SOURCE-MODEL-N.
        recipe: Recipe, the name of one, or fields to change in the suitable one, such as "name" and "mode".
        weights: File, folder of files to try, run, published tag or "none" to start from; None: chosen for photographs.
        teacher: Run, or name with published weights, from which a smaller network learns (distillation).
        config: Fields to change in the network's Config.
        input_size: Pixels a side of the network's input, or (height, width).
        minutes: Minutes for the whole run; the number of epochs follows.
        resume: Continue the run at `out`, which the same call began, from its checkpoint.
        seed: Seed of the first weights and of every random choice.
        progress: Show progress on standard error.
        **options: Rarer ones. `stem`: "imagenet" or "cifar". `speed`: "auto" measures the quickest way to step (the
            default with `minutes`), "fixed" does not. `preflight`: check first what would spoil a training (the default
            for long ones). `augment`: "check" leaves out changes of pictures that contradict the labels, "keep" none.
            `save_minutes`: minutes between checkpoints, 5. `log`: tensorboard, mlflow or wandb. `group_by` and
            `read_as`: as `data.open` takes them. `twins`: "group" keeps pictures that show the same moment in one
            split, "keep" splits them, "drop" leaves all but one out. `frame`: "crop" cuts out the middle of a picture,
            "pad" shows all of it, "stretch" changes its shape; "auto" chooses. `channels`: of the input; 4 keep
            transparency. `max_pixels`: of the largest picture that is read, 80 million. `shuffle_buffer`: memory in
            which streamed shards are mixed, in bytes or as "256MB", the default. `trust`: begin on streamed shards
            without decoding every picture first; what cannot be read is left out. `wait`: minutes to wait for the other
            ranks, 5. `folds`: number of folds in which every picture is scored once; 1: a test split.

    Returns:
        The finished run, whose folder holds record, metrics, weights, scores and report.

    Raises:
        PennyweightError: Something cannot be used; the line names the value, the rule and the nearest thing that works.
    """
    refuse_scene(source, options)
    refuse_unknown(options, fit, FitOptions.__annotations__)
    return fit_pictures(
        FitRequest(
            source=source, model=model, out=out, recipe=recipe, weights=weights, teacher=teacher, config=config,
            input_size=input_size, minutes=minutes, resume=resume, seed=seed, progress=progress, **options,
        )
    )  # fmt: skip
