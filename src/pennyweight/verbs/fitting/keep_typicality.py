"""Keep with a run how its training features lie, and how far from them held-out pictures are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pennyweight import data
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.figures import number
from pennyweight.core.run import Run
from pennyweight.core.typicality import MOST_KEPT, HeldOut, Training, save_typicality
from pennyweight.deploy import TorchEngine
from pennyweight.train.linear_probe import Features, find_last_linear
from pennyweight.train.typicality import LEAST_HELD_OUT, MOST_TAUGHT, LeftOut, fit_training, strangeness_left_out
from pennyweight.verbs.fitting.least_typical import Measured, Part
from pennyweight.verbs.fitting.open import PictureFit
from pennyweight.verbs.fitting.session import RunSession
from pennyweight.verbs.fitting.train_in_folds import FoldedAnswers
from pennyweight.verbs.load import restore

__all__ = ["keep_typicality", "keep_typicality_of_folds", "measure_typicality", "parts_to_hold_out"]

BATCH = 32
HELD_OUT_PARTS = 20
"""Parts that are left out in turn: with 5, a calibration is too cautious (docs/measured/strangers.md)."""
TAUGHT_PARTS = 5
"""Parts of the training pictures, each of which is measured by the directions of the others."""
Rows = NDArray[np.float32]


class Answers(NamedTuple):
    """Features (N, F) and logits (N, classes) of pictures."""

    features: Rows
    logits: Rows

    def take(self, rows: NDArray[np.int64]) -> Answers:
        """Return the answers to some of the pictures."""
        return Answers(self.features[rows], self.logits[rows])


def keep_typicality(session: RunSession, fitting: PictureFit, computed: Mapping[str, Features]) -> dict[Part, Measured]:
    """Fit on training pictures, calibrate on validation pictures, and write both to the run's folder.

    A stream's training pictures are not read again: half of the validation pictures take their place. A network
    without a last linear layer, or few validation pictures, leave the run without typicality.

    Args:
        session: The run, whose weights are written.
        fitting: The training.
        computed: Features of the frozen trunk, "train" and "val", which are not computed again.

    Returns:
        `typical` of pictures of training and validation; empty for a run without typicality.
    """
    train, val = fitting.pictures["train"], fitting.pictures["val"]
    if not _are_enough(session, len(val), "validation pictures"):
        return {}
    rows = {"train": _some(len(train)), "val": np.arange(len(val))}
    if isinstance(train, data.Stream):
        draw = np.random.default_rng(0).permutation(len(val))
        rows = {"train": draw[::2], "val": draw[1::2]}
        train = val
        if not _are_enough(session, len(rows["val"]), "validation pictures"):
            return {}
    network = restore(Run(session.files.folder))
    if fitting.plan.recipe.mode == "head" and len(computed) > 1 and train is not val:
        views = fitting.plan.recipe.views
        features = computed["train"].unshuffled(fitting.plan.seed) if views else computed["train"]
        taught = _by_layer(network, features.values[0][rows["train"]])
        held = _by_layer(network, computed["val"].values[0])
    else:
        engine = TorchEngine(network.to(session.ranks.device), fitting.plan.preprocess)
        with session.shown.phase("features of training", sum(map(len, rows.values()))) as phase:
            try:
                taught = _by_engine(engine, train, rows["train"], phase.advance)
                held = _by_engine(engine, val, rows["val"], phase.advance)
            except InputError as error:
                session.shown.note(f"typicality is not kept: {error}")
                return {}
    training = fit_training(*taught)
    strangeness = training.strangeness(*held)
    held_out = HeldOut.of_pictures(strangeness, "validation pictures")
    _keep(session, training, held_out)
    found: dict[Part, Measured] = {"validation": Measured(val, rows["val"], held_out.typical_of_members(strangeness))}
    if train is not val:
        typical = held_out.typical(_without_themselves(taught))
        found = {"training": Measured(train, rows["train"], typical), **found}
    return found


def measure_typicality(
    network: nn.Module, train: data.Pictures, val: data.Pictures, note: Callable[[str], None]
) -> tuple[Training, HeldOut] | None:
    """Return typicality of a network, fitted on training pictures and calibrated on validation pictures.

    None, of which `note` is given the reason, for a stream's training pictures, too few validation pictures, or a
    network without a last linear layer.
    """
    if isinstance(train, data.Stream):
        note("typicality is not kept: the training pictures of a stream are not read again")
        return None
    if (too_few := _too_few(len(val), "validation pictures")) is not None:
        note(too_few)
        return None
    engine = TorchEngine(network, val.preprocess)
    try:
        taught, held = (
            _by_engine(engine, *part, lambda count: None)
            for part in ((train, _some(len(train))), (val, np.arange(len(val))))
        )
    except InputError as error:
        note(f"typicality is not kept: {error}")
        return None
    training = fit_training(*taught)
    return training, HeldOut.of_pictures(training.strangeness(*held), "validation pictures")


def parts_to_hold_out(
    samples: Sequence[data.Sample], folds: NDArray[np.int64], *, seed: int, clusters: Mapping[str, str]
) -> list[NDArray[np.bool_]]:
    """Return parts of the pictures that are left out in turn to calibrate on, (N,) each, of MOST_KEPT in all.

    A part is so small that the directions and the head of the others are nearly those of all pictures: one of
    HELD_OUT_PARTS, where there are as many units, which stay whole, and otherwise a fold.
    """
    try:
        numbers = data.assign_folds(samples, HELD_OUT_PARTS, seed=seed, clusters=clusters)
    except SourceError:
        numbers = folds
    parts, count = [], 0
    for part in np.unique(numbers):
        if count < MOST_KEPT:
            parts.append(numbers == part)
            count += int(parts[-1].sum())
    return parts


def keep_typicality_of_folds(
    session: RunSession, answers: FoldedAnswers, pictures: data.Pictures
) -> dict[Part, Measured]:
    """Calibrate on pictures that were left out, fit on all, and write both to the run's folder.

    Whole networks, whose features differ from fold to fold, leave the run without typicality.

    Args:
        session: The run, whose weights are written.
        answers: Answers of heads that have not seen a picture, to features of the frozen trunk.
        pictures: All pictures.

    Returns:
        `typical` of the pictures that were left out; empty for a run without typicality.
    """
    features, logits = answers.features, answers.logits
    if features is None or logits is None:
        session.shown.note("typicality is not kept: whole networks in folds have no features in common")
        return {}
    if not _are_enough(session, len(features), "pictures"):
        return {}
    strangeness = strangeness_left_out(features, logits, answers.held_out)
    held_out = HeldOut.of_pictures(strangeness, "out-of-fold pictures")
    _keep(session, fit_training(features, logits), held_out)
    rows = np.concatenate([np.flatnonzero(each.pictures) for each in answers.held_out])
    return {"out_of_fold": Measured(pictures, rows, held_out.typical_of_members(strangeness))}


def _without_themselves(taught: Answers) -> Rows:
    """Return the strangeness of training pictures by the directions of the others, which lie in other parts."""
    parts = np.random.default_rng(0).permutation(len(taught.features)) % TAUGHT_PARTS
    found = np.empty(len(parts), np.float32)
    for part in range(TAUGHT_PARTS):
        own = parts == part
        if own.any():
            found[own] = strangeness_left_out(*taught, [LeftOut(own, taught.logits[own])])
    return found


def _keep(session: RunSession, training: Training, held_out: HeldOut) -> None:
    path = session.files.typicality_path
    save_typicality(path, training, held_out)
    session.write(path)
    session.shown.note(f"typicality {held_out.in_words}")


def _are_enough(session: RunSession, count: int, what: str) -> bool:
    """Return True if there are enough held-out pictures to tell 5%; otherwise note that there are too few."""
    if (too_few := _too_few(count, what)) is not None:
        session.shown.note(too_few)
    return too_few is None


def _too_few(count: int, what: str) -> str | None:
    """Return the line on held-out pictures that cannot tell 5%; None for enough of them."""
    if count >= LEAST_HELD_OUT:
        return None
    return f"typicality is not kept: {number(count)} {what} are too few to tell 5%, which takes {LEAST_HELD_OUT}"


def _some(count: int) -> NDArray[np.int64]:
    """Return the numbers of all pictures, or of MOST_TAUGHT drawn at random, in ascending order."""
    if count <= MOST_TAUGHT:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, MOST_TAUGHT, replace=False))


def _by_layer(network: nn.Module, features: Rows) -> Answers:
    """Return features with the logits that the last layer makes of them."""
    with torch.inference_mode():
        logits: Rows = find_last_linear(network)(torch.from_numpy(features)).numpy()
    return Answers(features, logits)


def _by_engine(
    engine: TorchEngine, pictures: data.Pictures, rows: NDArray[np.int64], advance: Callable[[int], None]
) -> Answers:
    """Return the answers to the pictures of these numbers. Raises InputError for a network without a linear layer."""
    found = []
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        outputs, features = engine.with_features(np.asarray(pictures.pixels(part)))
        found.append((features, outputs.logits))
        advance(len(part))
    return Answers(*(np.concatenate(each) for each in zip(*found, strict=True)))
