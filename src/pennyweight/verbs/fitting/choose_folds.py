"""Choose whether the pictures of a training are scored in folds, and in how many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pennyweight import data
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.figures import several
from pennyweight.core.run_record import RunRecord
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.train import Ranks, Recipe
from pennyweight.train.logistic_head import LEAST_FOLDS

__all__ = [
    "FOLDS",
    "LEAST_TEST",
    "MOST_FOLDS",
    "check_folds",
    "choose_folds",
    "require_suited",
    "split_or_all",
    "usual_folds",
]

FOLDS = 5
MOST_FOLDS = 20
MOST_USUAL = 8
"""Most folds that `fit` chooses: more raise the score by less than a point (docs/measured/few-pictures.md)."""
LEAST_TEST = 100
"""Pictures of a test split below which `fit` scores in folds: their interval is about 20 points wide."""


def check_folds(folds: Any) -> None:
    """Raise InputError for a number of folds that nothing can be scored in."""
    whole = folds is None or (isinstance(folds, int) and not isinstance(folds, bool))
    if not whole or not (folds in (None, 1) or LEAST_FOLDS <= folds <= MOST_FOLDS):
        raise InputError(
            f"folds must be {LEAST_FOLDS} to {MOST_FOLDS}, or 1 for a test split, not {folds!r}; {FOLDS} is usual"
        )


def choose_folds(
    asked: int | None,
    source: data.Source,
    splits: data.Splits,
    recipe: Recipe,
    *,
    learned: Mapping[str, TrainingDigests],
    clusters: Mapping[str, str],
    seed: int,
    ranks: Ranks,
    begun: RunRecord | None,
) -> tuple[int, str]:
    """Return the number of folds, 1 for a test split, and the reason of an automatic choice of folds, else nothing.

    Args:
        asked: Number that the user asked for; None to choose.
        source: The source.
        splits: Its splits.
        recipe: Recipe of the training.
        learned: Pictures that the first weights have learned from, by their run's folder.
        clusters: Name of the cluster of each picture with twins, by its digest.
        seed: Seed of the division.
        ranks: Processes of the training.
        begun: Record of the run that resumes, whose choice stays; None for a new run.

    Raises:
        InputError: Folds were asked for, and this training cannot have them.
        SourceError: Folds were asked for, and a class has too few pictures.
    """
    if asked is None and begun is not None:
        asked = begun.data.folds or 1
    regression = recipe.optimizer == "lbfgs"
    if asked is None and recipe.mode != "head":
        return 1, ""
    obstacle = "--folds 1 has none" if asked == 1 else _obstacle(source, recipe, learned, ranks)
    if regression and obstacle:
        raise InputError(f"logistic regression chooses its penalty in folds, and {obstacle}; --recipe probe needs none")
    if asked == 1 or (asked is None and not regression and (obstacle or len(splits.test) >= LEAST_TEST)):
        return 1, ""
    if obstacle:
        raise InputError(f"--folds {asked}: {obstacle}; --folds 1 scores the test split")
    try:
        folds = asked or usual_folds(source.samples, seed=seed, clusters=clusters)
        data.assign_folds(source.samples, folds, seed=seed, clusters=clusters, labels=source.labels)
    except SourceError:
        if asked is None and not regression and splits.test:
            return 1, ""
        raise
    if asked is not None or regression:
        return folds, ""
    held = several(len(splits.test), "picture")
    return folds, f"folds {folds}: a test split would have {held}, too few for a score; --folds 1 keeps it"


def split_or_all(
    divide: Callable[[], data.Splits], source: data.Source, asked: int | None
) -> tuple[data.Splits, SourceError | None]:
    """Return the splits; all pictures and the error where a class has too few for splits, and folds may take them.

    Args:
        divide: Function that divides the source.
        source: The source.
        asked: Number of folds that the user asked for.

    Raises SourceError where a class has too few pictures, and folds are impossible too.
    """
    try:
        return divide(), None
    except SourceError as error:
        if asked == 1 or source.streamed or len({sample.split for sample in source.samples} - {None}) > 1:
            raise
        return data.in_folds(source, None, "keep", FOLDS), error


def usual_folds(samples: Sequence[data.Sample], *, seed: int, clusters: Mapping[str, str]) -> int:
    """Return the usual number of folds: as many as the smallest class has different pictures, from 3 to MOST_USUAL.

    Every fold then has a part of each class. A class of six in five folds would lack two of its pictures where another
    class lacks one, and would be recognized less than by the network that is kept.
    """
    classes = len({sample.label for sample in samples})
    for count in range(MOST_USUAL, LEAST_FOLDS, -1):
        try:
            numbers = data.assign_folds(samples, count, seed=seed, clusters=clusters)
        except SourceError:  # fewer pictures than folds
            continue
        if (
            len({(sample.label, fold) for sample, fold in zip(samples, numbers.tolist(), strict=True)})
            == count * classes
        ):
            return count
    return LEAST_FOLDS


def require_suited(recipe: Recipe, folds: int) -> None:
    """Raise InputError for a field of the recipe that needs a validation split, which folds do not have."""
    if folds > 1 and recipe.patience:
        raise InputError(
            f"recipe field 'patience' ({recipe.patience}) stops by a validation split, which folds do not have: "
            "--folds 1 has one"
        )


def _obstacle(source: data.Source, recipe: Recipe, learned: Mapping[str, TrainingDigests], ranks: Ranks) -> str:
    """Return the reason for which this training has no folds; empty without one."""
    if len({sample.split for sample in source.samples} - {None}) > 1:
        return f"{source.name} has splits of its own, which stay"
    if source.streamed:
        return f"{source.name} is streamed, and folds need pictures that are read alone"
    if learned:
        return f"{next(iter(learned))} has learned from other pictures, which no fold can keep apart"
    if ranks.count > 1:
        return f"one process trains in folds, and there are {ranks.count}"
    return ""
