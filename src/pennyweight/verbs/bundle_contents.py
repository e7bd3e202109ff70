"""Contents of a bundle, of a run or of a network with weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from pennyweight import zoo
from pennyweight.core.errors import RunError
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.core.typicality import HeldOut, Training
from pennyweight.verbs.load import preprocess_of, restore
from pennyweight.verbs.training_pictures import training_digests_of

__all__ = ["Contents", "contents_of", "kept_scores"]

SCORES = ("split", "images", "accuracy", "accuracy_interval")
"""Fields of evaluation.json that the bundle keeps."""
NEWER_SCORES = ("effective_images", "without_twins", "unknown_twins", "folds", "predicted_accuracy", "group_interval")
"""Fields that it keeps too, which an earlier version did not write."""


def kept_scores(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an evaluation that a bundle keeps."""
    return {key: evaluation[key] for key in (*SCORES, *(key for key in NEWER_SCORES if key in evaluation))}


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Contents of a bundle: a network, and the manifest's facts about it."""

    network: nn.Module
    model: dict[str, Any]
    labels: tuple[str, ...]
    preprocess: Preprocess
    evaluation: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    training_digests: TrainingDigests | None = None
    """Digests of the training pictures; None where they are not recorded."""
    typicality: tuple[Training, HeldOut] | None = None
    """Directions of the training features and their calibration; None where `fit` kept none, or for other weights."""
    pruning: dict[str, Any] | None = None
    """Channels, costs and accuracies of a pruned network; None for a whole one."""
    whole: nn.Module | None = None
    """Network before it was pruned."""

    @property
    def for_proof(self) -> dict[str, Any]:
        """Return the arguments of `choose_proof_pictures` that come from the contents."""
        return {"preprocess": self.preprocess, "training_digests": self.training_digests}


def contents_of(trained: Run | zoo.Pretrained) -> Contents:
    """Return the contents of a bundle of a run, or of a network with weights. Raises RunError for a damaged run."""
    return _of_run(trained) if isinstance(trained, Run) else _of_name(trained)


def _of_run(run: Run) -> Contents:
    record, evaluation = run.info, run.evaluation
    try:
        return Contents(
            network=restore(run),
            model=dict(record.model),
            labels=tuple(run.labels),
            preprocess=preprocess_of(run),
            evaluation=kept_scores(evaluation),
            data={
                "name": record.data.source,
                "fingerprint": record.data.fingerprint,
                "group_by": record.data.group_by,
                "twins": record.data.twins,
                **({} if record.data.folds is None else {"folds": record.data.folds}),
            },
            training_digests=run.training_digests,
            typicality=run.typicality,
        )
    except (KeyError, TypeError) as error:
        raise RunError(f"{run.folder} is not as `fit` wrote it: {type(error).__name__} {error}") from error


def _of_name(made: zoo.Pretrained) -> Contents:
    return Contents(
        network=made.network,
        model=made.model | {"weights": made.weights},
        labels=made.labels,
        preprocess=made.preprocess,
        data=None if made.data is None else dict(made.data),
        training_digests=next(iter(training_digests_of(made.origin).values()), None),
    )
