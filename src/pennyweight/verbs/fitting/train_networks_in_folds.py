"""Train the whole network in folds: once without each fold, which that training answers, and once with all pictures."""

from __future__ import annotations

import copy
from dataclasses import replace
from shutil import rmtree

import numpy as np
import torch
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.errors import RunError
from pennyweight.core.figures import several
from pennyweight.core.files import atomic
from pennyweight.core.reading import reason_of
from pennyweight.deploy.graph import TorchEngine
from pennyweight.nn.weights import read_weights, take_weights
from pennyweight.runtime import Classifier
from pennyweight.train.trackers import Tracker
from pennyweight.verbs.answered_source import answer
from pennyweight.verbs.fitting.modes import Work, train_by_mode
from pennyweight.verbs.fitting.session import RunSession
from pennyweight.verbs.fitting.train_in_folds import FoldedAnswers

__all__ = ["train_networks_in_folds"]

CHECKED = 64
"""Pictures that the kept network answers, which shows weights that are not finite."""


class _Answers:
    """Answers to the pictures of a fold, and what its training showed."""

    def __init__(self, probabilities: NDArray[np.float32], scores: NDArray[np.float64], seconds: float) -> None:
        self.probabilities = probabilities
        """(n, classes)."""
        self.scores = scores
        """(epochs, 2): loss and accuracy of every epoch on the fold, which no epoch is chosen by."""
        self.seconds = seconds

    @classmethod
    def read(cls, session: RunSession) -> _Answers | None:
        """Return the answers of a training that was finished; None before, and for a damaged file."""
        try:
            with session.files.answers_path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                return cls(kept["probabilities"], kept["scores"], float(kept["seconds"]))
        except Exception:  # each array has a CRC-32; a training whose file is damaged is trained again
            return None

    def write(self, session: RunSession) -> None:
        """Keep the answers, and remove what the training resumed from."""
        files = session.files
        try:
            with atomic(files.answers_path) as temporary, temporary.open("wb") as file:
                np.savez(file, probabilities=self.probabilities, scores=self.scores, seconds=np.array(self.seconds))
        except OSError as error:
            raise RunError(f"cannot save the answers in {files.folder}: {reason_of(error)}") from error
        for path in (files.checkpoints_path, files.features_path):
            rmtree(path, ignore_errors=True)
        files.weights_path.unlink(missing_ok=True)


def train_networks_in_folds(work: Work, folds: NDArray[np.int64]) -> FoldedAnswers:
    """Train once without each fold and once with all pictures; the weights of the latter are in the run's folder.

    Every training begins with the same weights, has the same epochs, and keeps the last. Its part of the run's folder
    has its checkpoints. A signal ends the training after the step, and a killed one resumes at its checkpoint.

    Args:
        work: The run.
        folds: (N,) fold of each picture.
    """
    session, pictures = work.session, work.pictures["train"]
    numbers = np.unique(folds).tolist()
    parts = [session.part(str(fold + 1)) for fold in numbers]
    if session.checkpointer.latest() is None:
        session.checkpointer.earlier_s = sum(map(_spent_s, parts))
    first = {name: value.clone() for name, value in work.network.state_dict().items()}
    probabilities = np.zeros((len(folds), len(work.labels)), np.float32)
    scores = []
    for fold, part in zip(numbers, parts, strict=True):
        own = folds == fold
        answers = _Answers.read(part)
        if answers is None:
            taught = several(int((~own).sum()), "picture")
            session.shown.note(f"training {fold + 1} of {len(parts) + 1}: {taught}, without fold {fold + 1}")
            session.shown.earlier = fold * work.plan.epochs
            split: dict[data.Split, data.Pictures] = {"train": pictures.part(~own), "val": pictures.part(own)}
            answers = _without(replace(work, session=part, pictures=split, tracker=Tracker(), in_folds=True), first)
        probabilities[own] = answers.probabilities
        scores.append(answers.scores * own.sum())
    session.shown.note(f"training {len(parts) + 1} of {len(parts) + 1}: {several(len(folds), 'picture')}, to keep")
    session.shown.earlier = len(parts) * work.plan.epochs
    known = tuple(map(tuple, (np.sum(scores, axis=0) / len(folds)).tolist()))
    work.network.load_state_dict(first)
    history = train_by_mode(replace(work, in_folds=True, known=known))
    _answer(work, pictures.part(np.arange(len(folds)) < CHECKED))
    return FoldedAnswers(history[-1], probabilities, [])


def _without(work: Work, first: dict[str, torch.Tensor]) -> _Answers:
    """Train without a fold, and return the answers to its pictures."""
    work.network.load_state_dict(first)
    history = train_by_mode(work)
    scores = np.array([(epoch.val_loss, epoch.val_accuracy) for epoch in history])
    answers = _Answers(_answer(work, work.pictures["val"]), scores, work.session.checkpointer.spent_s)
    answers.write(work.session)
    if work.session.checkpointer.stop.asked is not None:
        work.session.checkpointer.stop.end()
    return answers


def _answer(work: Work, pictures: data.Pictures) -> NDArray[np.float32]:
    """Return the probabilities (n, classes) by the weights in the training's folder, as a test split is scored."""
    path, network = work.session.files.weights_path, copy.deepcopy(work.network)
    take_weights(network, read_weights(path), name=str(path))
    classifier = Classifier(TorchEngine(network, work.plan.preprocess), tuple(work.labels), work.plan.preprocess)
    with work.session.shown.phase("scoring the fold", len(pictures)) as phase:
        return answer(classifier, pictures, phase.advance)


def _spent_s(part: RunSession) -> float:
    """Return the seconds that earlier processes spent on the training without a fold."""
    if (answers := _Answers.read(part)) is not None:
        return answers.seconds
    part.checkpointer.latest()
    return part.checkpointer.earlier_s or 0.0
