"""Train the last layer in folds: a head for each fold, which answers it unseen, and one of all pictures to keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pennyweight import data
from pennyweight.core.errors import InputError
from pennyweight.core.frame import show_size
from pennyweight.nn.weights import save_weights
from pennyweight.train import Checkpointer, Epoch, Recipe, train
from pennyweight.train.callbacks import NullCallback
from pennyweight.train.linear_probe import Features, find_last_linear
from pennyweight.train.logistic_head import Head, answer_in_folds, answer_left_out, count_heads, learn_in_folds
from pennyweight.train.phase import Phase
from pennyweight.train.typicality import LeftOut
from pennyweight.verbs.fitting.modes import Work, features_of, head_part

__all__ = ["Division", "FoldedAnswers", "Other", "train_in_folds"]

Folds = NDArray[np.int64]


class Other(NamedTuple):
    """Folds that are answered in another input, or by another network."""

    folds: Sequence[int]
    pictures: data.Pictures
    """All pictures in that input."""
    network: nn.Module | None = None
    name: str = ""
    """Name of the other network."""


@dataclass(frozen=True, kw_only=True)
class Division:
    """Folds of a training, and what is computed in them."""

    folds: Folds
    """(N,) numbers."""
    others: Sequence[Other] = ()
    """Folds that chose another input, or another network, than the kept head has."""
    parts: Sequence[NDArray[np.bool_]] = ()
    """Pictures (N,) that teach at a point of the learning curve, which logistic regression has."""
    held_out: Sequence[NDArray[np.bool_]] = ()
    """Pictures (N,) that are left out together to calibrate typicality by; small parts of all."""


class FoldedAnswers(NamedTuple):
    """End of a training in folds."""

    best: Epoch
    """The last epoch of the head that is kept; its validation figures are those of the folds."""
    probabilities: NDArray[np.float32]
    """(N, classes): of each picture, by the head that had not seen its fold."""
    curve: list[tuple[int, NDArray[np.bool_]]]
    """Number of pictures that taught, and those (N,) that were then answered correctly, in the kept input; all of
    the pictures come last. Empty for heads of gradient steps and of augmented views."""
    features: NDArray[np.float32] | None = None
    """(N, F) of the frozen trunk, in the kept input; None for whole networks, whose trunks differ."""
    logits: NDArray[np.float32] | None = None
    """(N, classes), whose softmax is `probabilities`; None for whole networks."""
    held_out: Sequence[LeftOut] = ()
    """Answers to the pictures of `Division.held_out`, in the kept input and by the kept network. A logistic regression
    learned from all other pictures, and a head of gradient steps from those of the other folds."""


class _Trained(NamedTuple):
    head: Head
    logits: NDArray[np.float32]
    history: list[Epoch]
    curve: list[tuple[int, NDArray[np.bool_]]]
    features: NDArray[np.float32]
    held_out: Sequence[LeftOut]


def train_in_folds(work: Work, division: Division) -> FoldedAnswers:
    """Train on the features of all pictures, and write weights and metrics to the run's folder.

    A signal ends the training after the head that is being trained. What is not written by then is computed again.

    Raises:
        InputError: The last layer has no bias, and logistic regression was asked for.
    """
    session, folds = work.session, division.folds
    found = _learn(work, work.pictures["train"], division, "")
    for other in division.others:
        size = show_size(other.pictures.preprocess.size)
        chose, at = f"input {size}", f" at {size} pixels"
        if other.network is not None:
            chose, at = other.name, f" of {other.name.replace(':', ' ')}"
        numbers = ", ".join(str(fold + 1) for fold in other.folds)
        session.shown.note(f"folds {numbers} chose {chose} by the other pictures")
        answered, how = np.isin(folds, other.folds), replace(work, network=other.network or work.network)
        found.logits[answered] = _learn(how, other.pictures, Division(folds=folds), at).logits[answered]
    _put(find_last_linear(work.network), found.head)
    said = work.plan.describe(work.labels, work.trained_on)
    save_weights(session.files.weights_path, work.network, said | {"epoch": str(len(found.history))})
    session.keep_metrics(found.history)
    for epoch in found.history:
        work.tracker.epoch(epoch.to_dict())
    odds = np.exp(found.logits - found.logits.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    return FoldedAnswers(found.history[-1], probabilities, found.curve, found.features, found.logits, found.held_out)


def _learn(work: Work, pictures: data.Pictures, division: Division, at: str) -> _Trained:
    """Compute the features of all pictures, and learn the heads from them; `at` names their input."""
    session, recipe = work.session, work.plan.recipe
    plain = features_of(work, f"train{at}", pictures, 0)
    views = plain
    if recipe.views:
        views = features_of(work, f"views{at}", pictures, recipe.views).unshuffled(work.plan.seed)
    regression, folds = recipe.optimizer == "lbfgs", len(np.unique(division.folds))
    learn = _by_regression if regression else _by_steps
    parts = division.parts if views is plain else ()
    heads = folds + 1
    if regression:
        heads = count_heads(folds) + len(parts) * (count_heads(folds) - 1) + len(division.held_out)
    with session.shown.phase(f"heads of the last layer{at}", heads) as phase:

        def advance(count: int) -> None:
            phase.advance(count)
            if session.checkpointer.stop.asked is not None:
                session.checkpointer.stop.end()

        return learn(work, plain, views, replace(division, parts=parts), advance)


def _by_regression(
    work: Work, plain: Features, views: Features, division: Division, advance: Callable[[int], None]
) -> _Trained:
    """Learn logistic regressions, and note the penalties that were chosen."""
    started, targets = perf_counter(), plain.targets[0]
    if find_last_linear(work.network).bias is None:
        raise InputError("the last layer has no bias, which logistic regression fits; --recipe probe does without")
    weights = work.class_weights
    if weights is None and plain.sampled:  # a regression has no epochs to repeat pictures in
        weights = data.Balance.of(targets, len(work.labels), "weights").weights
    shared: dict[str, Any] = {"classes": len(work.labels), "class_weights": weights, "advance": advance}
    rows, folds = plain.values[0], division.folds
    seen: dict[str, Any] = {**shared, "views": None if views is plain else views.values}
    found = learn_in_folds(rows, targets, folds, **seen)
    low, high = min(found.strengths), max(found.strengths)
    spread = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    work.session.shown.note(f"inverse penalty {found.strength:g}, chosen in folds; without each fold {spread}")
    loss, accuracy = _figures(found.head.logits(plain.values[0]), targets)
    out_loss, out_accuracy = _figures(found.logits, targets)
    seconds = perf_counter() - started
    epoch = Epoch(
        epoch=1, train_loss=loss, train_accuracy=accuracy, val_loss=out_loss, val_accuracy=out_accuracy, lr=0.0,
        seconds=seconds, images_per_s=len(targets) / seconds, loader_share=0.0,
    )  # fmt: skip
    curve = [
        (int(part.sum()), answer_in_folds(rows, targets, folds, part, **shared).argmax(axis=1) == targets)
        for part in division.parts
    ]
    if curve:
        curve.append((len(targets), found.logits.argmax(axis=1) == targets))
    unseen = answer_left_out(rows, targets, division.held_out, strength=found.strength, **seen)
    held_out = list(map(LeftOut, division.held_out, unseen))
    return _Trained(found.head, found.logits, [epoch], curve, rows, held_out)


def _by_steps(
    work: Work, plain: Features, views: Features, division: Division, advance: Callable[[int], None]
) -> _Trained:
    """Train the layer by the recipe's steps, once without each fold and once with all; every epoch is trained."""
    layer, targets, folds = find_last_linear(work.network), plain.targets[0], division.folds
    first = {name: value.clone() for name, value in layer.state_dict().items()}
    logits = np.zeros((len(targets), len(work.labels)), np.float32)
    histories = []
    for fold in np.unique(folds).tolist():
        own = folds == fold
        histories.append((int(own.sum()), _steps(work, layer, views.rows(~own), plain.rows(own))))
        logits[own] = _head_of(layer).logits(plain.values[0, own])
        layer.load_state_dict(first)
        advance(1)
    kept, head = _steps(work, layer, views, plain), _head_of(layer)
    layer.load_state_dict(first)
    advance(1)
    history = []
    for number, epoch in enumerate(kept):
        loss, accuracy = (
            sum(count * getattr(epochs[number], name) for count, epochs in histories) / len(targets)
            for name in ("val_loss", "val_accuracy")
        )
        history.append(replace(epoch, val_loss=loss, val_accuracy=accuracy))
    held_out = [LeftOut(own, logits[own]) for own in division.held_out]
    return _Trained(head, logits, history, [], plain.values[0], held_out)


def _steps(work: Work, layer: nn.Linear, training: Features, validation: Features) -> list[Epoch]:
    """Train every epoch, which `validation` does not choose, and leave the last weights (of `ema` their average)."""
    recipe: Recipe = head_part(work.plan.recipe)
    last: dict[str, torch.Tensor] = {}

    def keep(epochs: list[Epoch], best: bool) -> None:
        last.update({name: value.clone() for name, value in layer.state_dict().items()})

    history = train(
        layer, training=training, validation=validation, recipe=recipe, seed=work.plan.seed,
        callback=NullCallback(), after_epoch=keep, preprocess=None, class_weights=work.class_weights,
        checkpointer=Checkpointer(stop=work.session.checkpointer.stop), ranks=work.session.ranks,
        phase=Phase(name="head"),
    )  # fmt: skip
    layer.load_state_dict(last)
    return history


def _head_of(layer: nn.Linear) -> Head:
    """Return the weights of the layer; a layer without bias has zeros."""
    weight = layer.weight.detach().cpu().numpy().copy()
    bias = np.zeros(len(weight), np.float32) if layer.bias is None else layer.bias.detach().cpu().numpy().copy()
    return Head(weight, bias)


@torch.no_grad()
def _put(layer: nn.Linear, head: Head) -> None:
    layer.weight.copy_(torch.from_numpy(head.weight))
    if layer.bias is not None:
        layer.bias.copy_(torch.from_numpy(head.bias))


def _figures(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy."""
    values = torch.from_numpy(logits)
    loss = nn.functional.cross_entropy(values, torch.from_numpy(targets)).item()
    return loss, float((logits.argmax(axis=1) == targets).mean())
