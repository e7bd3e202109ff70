"""Prune the network of a run, and fine-tune it on the pictures of its training, with the whole network as teacher."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn

from pennyweight import data
from pennyweight.core.errors import InputError, ParityError, SourceError
from pennyweight.core.figures import several, share
from pennyweight.core.pruning_line import fewer_macs
from pennyweight.core.run import Run
from pennyweight.deploy import MAX_DROP, Pruned, TorchEngine, prune, require_torch_pruning
from pennyweight.nn import FromPixels
from pennyweight.runtime import Classifier
from pennyweight.scoring import score
from pennyweight.train import Epoch, Ranks, Recipe, train
from pennyweight.train.callbacks import NullCallback
from pennyweight.train.distillation import make_teacher
from pennyweight.verbs.answered_source import answer
from pennyweight.verbs.bundle_contents import Contents, kept_scores
from pennyweight.verbs.fitting.keep_typicality import measure_typicality
from pennyweight.verbs.scored_source import Origin, open_training_source, origin_of, splits_as_trained
from pennyweight.verbs.twins_in_training import find_twins_in_training, twins_within

__all__ = ["prune_run", "require_drop", "require_prunable"]

ROUNDING = 1e-9
"""Difference of two shares that is rounding."""
IMPORTANCE_BATCHES, IMPORTANCE_BATCH = 16, 32
"""Batches of training pictures that tell the importance of a channel, and their pictures."""
EPOCHS_SHARE = 1 / 3
"""Epochs of fine-tuning, as a share of those of the run."""
LEAST_STEPS = 300
"""Steps of fine-tuning on few pictures, for which there are more epochs."""
RATE = 0.25
"""Learning rate of fine-tuning, as a share of that of a training from scratch."""
OF_PRETRAINED = {"optimizer": "adamw", "lr": 5e-4, "weight_decay": 0.01}
"""Optimizer for a run that started from published weights, whose own recipe moves few weights, or slowly."""


def require_prunable(trained: object, share_off: object) -> tuple[Run, float]:
    """Return the run and the share to prune.

    Raises InputError for another value, or for a network without a run, and MissingPart without torch-pruning.
    """
    if isinstance(share_off, bool) or not isinstance(share_off, (int, float)) or not 0 < share_off < 1:
        raise InputError(f"prune must be a share above 0 and below 1, such as 0.3, not {share_off!r}")
    if not isinstance(trained, Run):
        raise InputError(
            "prune fine-tunes on the pictures of a run, and a name with weights has none: train it first, "
            "pennyweight fit SOURCE --model NAME --weights WEIGHTS"
        )
    if trained.info.data.folds is not None:
        raise InputError(
            f"{trained.folder} learned from all of its pictures, in folds, and prune needs some to judge by: train it "
            "again with --folds 1"
        )
    require_torch_pruning()
    return trained, float(share_off)


def require_drop(max_drop: object) -> float:
    """Return an allowed drop of accuracy, by default MAX_DROP. Raises InputError for a value that is no share."""
    allowed = MAX_DROP if max_drop is None else max_drop
    if isinstance(allowed, bool) or not isinstance(allowed, (int, float)) or not 0 <= allowed < 1:
        raise InputError(f"max_drop must be a share from 0 to below 1, such as 0.01, not {allowed!r}")
    return float(allowed)


def prune_run(
    run: Run, share_off: float, contents: Contents, note: Callable[[str], None], *, max_drop: float | None = None
) -> Contents:
    """Return the contents of a bundle with the pruned network, scored again.

    Args:
        run: The run.
        share_off: Share of the multiply-accumulates to save.
        contents: Contents with its whole network, which is not changed.
        note: Callback that is given lines on the progress.
        max_drop: Largest drop of the validation accuracy; None allows any.

    Raises:
        ParityError: The accuracy drops by more than `max_drop`.
        InputError: The network cannot be pruned, or not by as much.
        SourceError: The pictures of the training are not here, or none can be read.
    """
    origin = origin_of(run)
    opened, splits = _open(run, origin)
    note(f"pruning reads {several(len(splits.train) + len(splits.val), 'picture')} of {opened.name}")
    pictures = data.make_split_pictures(opened, splits, contents.preprocess)
    _read(pictures, opened, note)
    recipe = Recipe.from_dict(run.info.recipe)
    training = pictures["train"]
    training.balance = data.Balance.of(training.targets, len(contents.labels), recipe.balance, streamed=opened.streamed)
    batches = _batches(training, contents, recipe, run.info.seed)
    channels, height, width = (contents.preprocess.channels, *contents.preprocess.sides)
    pruned = prune(contents.network, (channels, height, width), share_off, batches)
    tuned = _recipe(recipe, training)
    record: dict[str, Any] = {
        "method": f"torch-pruning {version('torch-pruning')}",
        "share": share_off,
        **{name: list(getattr(pruned, name)) for name in ("macs", "params", "channels")},
        "tuning": {"pictures": len(training), "of": f"training split of {opened.name}", "epochs": tuned.epochs},
        "validation_pictures": len(pictures["val"]),
        "accuracy_before": _accuracy(contents, contents.network, pictures["val"]),
    }
    note(f"pruned: {fewer_macs(record)}; fine-tuning on {several(len(training), 'picture')}, {tuned.epochs} epochs")
    network = _fine_tune(pruned, contents, pictures, tuned, run.info.seed, note)
    record["accuracy"] = _accuracy(contents, network, pictures["val"])
    _require_accuracy(record, max_drop)
    scores = _score(run, contents, network, pictures["test"], opened, origin, note)
    typicality = None
    if contents.typicality is not None:
        typicality = measure_typicality(network, training, pictures["val"], note)
    return replace(
        contents,
        network=network,
        whole=contents.network.eval(),
        pruning=record,
        evaluation=scores,
        typicality=typicality,
    )


def _require_accuracy(record: Mapping[str, Any], max_drop: float | None) -> None:
    """Raise ParityError if a pruned network answers fewer validation pictures than `max_drop` allows."""
    before, after = record["accuracy_before"], record["accuracy"]
    if max_drop is not None and before - after > max_drop + ROUNDING:
        raise ParityError(
            f"pruning {share(record['share'])} of the MACs lowers the validation accuracy from {share(before)} to "
            f"{share(after)} on {several(record['validation_pictures'], 'picture')}, more than max_drop "
            f"{share(max_drop)}; prune less, or allow more; nothing was written"
        )


def _open(run: Run, origin: Origin) -> tuple[data.Source, data.Splits]:
    """Open the pictures of a training, divided as they were then. Raises SourceError where they are not here."""
    opened = open_training_source(run, origin, needed_by="prune")
    splits = splits_as_trained(opened, origin)
    known = run.training_digests
    return opened, splits if known is None else replace(splits, test=tuple(data.exclude_seen(splits.test, known)))


def _read(pictures: Mapping[data.Split, data.Pictures], opened: data.Source, note: Callable[[str], None]) -> None:
    """Read all pictures, and note those that are left out. Raises SourceError where a split has none."""
    unreadable = [each for part in pictures.values() for each in part.read()]
    if unreadable:
        note(f"prune leaves out {several(len(unreadable), 'picture')} of {opened.name}: {unreadable[0].reason}")
    for split, part in pictures.items():
        if not len(part):
            raise SourceError(f"{opened.name} has no {split} picture that can be read, which prune needs")


def _batches(training: data.Pictures, contents: Contents, recipe: Recipe, seed: int) -> list[torch.Tensor]:
    """Return the training pictures that tell the importance of a channel, changed as in training."""
    plain = replace(recipe, mixup=0.0, cutmix=0.0).augment
    from_pixels = FromPixels(contents.preprocess.mean, contents.preprocess.std)
    epoch = training.epoch(1, batch=IMPORTANCE_BATCH, seed=seed, augment=plain)
    return [from_pixels(torch.as_tensor(np.asarray(batch.pixels))) for batch in islice(epoch, IMPORTANCE_BATCHES)]


def _recipe(recipe: Recipe, training: data.Pictures) -> Recipe:
    """Return the recipe of the fine-tuning: the run's, with few epochs, a small rate, and every weight moving.

    Norms stay frozen where they were: published weights may hold the scales of their norms in the convolutions, with
    statistics of mean 0 and deviation 1 that no picture has.
    """
    least = math.ceil(LEAST_STEPS / training.steps(recipe.batch))
    moving: dict[str, Any] = {"lr": recipe.lr * RATE} if recipe.mode == "scratch" else OF_PRETRAINED
    return replace(
        recipe,
        mode="scratch",
        epochs=max(math.ceil(recipe.epochs * EPOCHS_SHARE), least),
        schedule="cosine",
        warmup_epochs=0.5,
        patience=0,
        first_size=1.0,
        drop_path=0.0,
        ema=0.0,
        views=0,
        rate_decay=1.0,
        compile=False,
        **moving,
    )


def _fine_tune(
    pruned: Pruned,
    contents: Contents,
    pictures: Mapping[data.Split, data.Pictures],
    recipe: Recipe,
    seed: int,
    note: Callable[[str], None],
) -> nn.Module:
    """Train a pruned network with the whole one as teacher, and return it with the weights of its best epoch."""
    ranks, preprocess, student = Ranks(), contents.preprocess, pruned.network.requires_grad_(True)
    best: dict[str, torch.Tensor] = {}

    def after_epoch(epochs: Sequence[Epoch], is_best: bool) -> None:
        if is_best:
            best.update({name: value.detach().clone() for name, value in student.state_dict().items()})
        note(f"fine-tuning, epoch {len(epochs)} of {recipe.epochs}: val accuracy {share(epochs[-1].val_accuracy)}")

    balance = pictures["train"].balance
    train(
        student,
        training=pictures["train"],
        validation=pictures["val"],
        recipe=recipe,
        seed=seed,
        callback=NullCallback(),
        after_epoch=after_epoch,
        preprocess=preprocess,
        class_weights=None if balance is None else balance.weights,
        teacher=make_teacher(
            copy.deepcopy(contents.network),
            theirs=preprocess,
            ours=preprocess,
            order=range(len(contents.labels)),
            device=ranks.device,
        ),
        ranks=ranks,
    )
    student.load_state_dict(best)
    return student.cpu().eval().requires_grad_(False)


def _accuracy(contents: Contents, network: nn.Module, pictures: data.Pictures) -> float:
    """Return the accuracy of a network on pictures."""
    probabilities = answer(_classifier(contents, network), pictures)
    return float((probabilities.argmax(axis=1) == pictures.targets).mean())


def _score(
    run: Run,
    contents: Contents,
    network: nn.Module,
    pictures: data.Pictures,
    opened: data.Source,
    origin: Origin,
    note: Callable[[str], None],
) -> dict[str, Any]:
    """Return the scores of a network on the test split, with and without twins, as a bundle keeps them."""
    samples, known = pictures.samples, run.training_digests
    twins = twins_within(opened, origin, max_pixels=None, note=note)
    evaluation = score(
        answer(_classifier(contents, network), pictures),
        pictures.targets,
        labels=contents.labels,
        source=opened.name,
        split="test",
        twins=find_twins_in_training(samples, opened, origin, known, twins, max_pixels=None, note=note),
        moments=data.moments_of(opened, twins, samples),
        units=data.number_groups(opened, twins, samples),
    )
    return kept_scores(evaluation.to_dict())


def _classifier(contents: Contents, network: nn.Module) -> Classifier:
    return Classifier(TorchEngine(network.eval(), contents.preprocess), contents.labels, contents.preprocess)
