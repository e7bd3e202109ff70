"""Choose the network of a linear probe: compare features of those whose weights are at hand, on the same pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pennyweight import data, zoo
from pennyweight.core.errors import InputError, PennyweightError
from pennyweight.core.figures import several, share
from pennyweight.core.run_folder import is_run_folder
from pennyweight.data.intervals import share_interval
from pennyweight.report.progress import TrainingProgress
from pennyweight.verbs.fitting.choose_recipe import AUTO
from pennyweight.verbs.fitting.decide import begun_record
from pennyweight.verbs.fitting.first_weights import LARGE_MODEL
from pennyweight.verbs.fitting.network_trial import NetworkTrial, cheapest_alike, pick_network
from pennyweight.verbs.fitting.request import FitRequest
from pennyweight.verbs.fitting.size_trial import LEAST, TrialPictures
from pennyweight.verbs.weigh import weigh

if TYPE_CHECKING:
    from pennyweight.verbs.fitting.open import PictureFit

__all__ = ["Planned", "candidates_of", "choose_network", "try_networks", "with_suitable_network"]

MOST = 500
"""Most training pictures that networks are compared on."""

Planned = Callable[[FitRequest], "PictureFit"]
"""Function that decides the plan of a request, for the pictures that are open, and makes its network."""


def candidates_of(request: FitRequest) -> list[FitRequest]:
    """Return a request for each file in the folder that `weights` names; only the request itself without such files.

    Only a network that is left to auto has several candidates.
    """
    if request.model != AUTO or request.weights is None:
        return [request]
    folder = Path(os.fspath(request.weights))
    files = [] if is_run_folder(folder) else zoo.files_of(folder)
    return [replace(request, weights=str(file)) for file in files] or [request]


def _refuse_several(candidates: Sequence[FitRequest], fitting: PictureFit) -> None:
    """Raise InputError for the files of a folder where no features choose among them."""
    if candidates:
        file = fitting.request.weights
        raise InputError(
            f"--weights {Path(str(file)).parent} holds several files, and only mode head of one process tries them, "
            f"on pictures that are no stream; name one, such as --weights {file}"
        )


def with_suitable_network(fitting: PictureFit, candidates: Sequence[FitRequest], planned: Planned) -> PictureFit:
    """Return the training of the network that suits, where several with weights are at hand and a last layer learns.

    `candidates` are those that a user named; without any, the published weights in the cache are candidates. A network
    that was asked for, or that a run began with, stays.
    """
    request, ranks = fitting.request, fitting.ranks
    if request.resume and (begun := begun_record(request, fitting.source)) is not None:
        return replace(
            fitting, networks=tuple(begun.networks or ()),
            fold_networks=_of_folds(begun.networks or (), request, planned),
        )  # fmt: skip
    if fitting.plan.recipe.mode != "head" or fitting.glances is None or ranks.count > 1 or request.model != AUTO:
        _refuse_several(candidates, fitting)
        return fitting
    if not candidates and request.weights is None and fitting.plan.weights == zoo.BEST:
        here = [each for each in zoo.cached_weights() if each[0] != LARGE_MODEL]
        candidates = [replace(request, model=network, weights=tag) for network, tag in here]
    if not candidates:
        return fitting
    with TrainingProgress(0, None if request.progress else Console(quiet=True)) as shown:
        return choose_network(fitting, candidates, planned, shown)


def choose_network(
    fitting: PictureFit, candidates: Sequence[FitRequest], planned: Planned, shown: TrainingProgress
) -> PictureFit:
    """Return the training of the network that suits; of the one at hand where there is nothing to compare.

    Networks are compared by heads on their features, which answer training pictures in folds. In a training that is
    scored in folds, no fold chooses the network that answers it: its pictures neither count nor teach there.

    Args:
        fitting: The training of a last layer, whose network and weights were left to auto.
        candidates: Requests of the other networks.
        planned: Function that returns the training of a request.
        shown: Progress of the trials.
    """
    pictures = TrialPictures(fitting, MOST)
    if len(pictures) < LEAST:
        few = f"{several(len(pictures), 'picture')} cannot tell networks apart"
        return _with_reason(fitting, f"network {fitting.plan.model['name']}: {few}, which takes {LEAST}")
    trials, fits, notes = try_networks([fitting.request, *candidates], pictures, planned, shown, fitting)
    if len(trials) < 2:
        return _with_reason(fitting, *notes)
    chosen = pick_network(trials)
    by_fold: dict[int, NetworkTrial] = {}
    if fitting.folds > 1:
        picked = {fold: pick_network(trials, fold) for fold in range(fitting.folds)}
        by_fold = {fold: trial for fold, trial in picked.items() if trial is not chosen}
    rows = [
        trial.row(kept=trial is chosen, folds=[fold for fold, other in by_fold.items() if other is trial])
        for trial in trials
    ]
    tried = f"of {several(len(trials), 'network')} with weights at hand, on {several(len(pictures), 'picture')}"
    spare = f"--model {chosen.network} --weights {chosen.weights} spares the trial"
    why = f"network {chosen.network}: {_reason(trials, chosen)}, {tried}; {spare}"
    alike = cheapest_alike(trials, chosen)
    if alike is not None:
        less = f"{alike.network} may be as good with {share(alike.macs / chosen.macs)} of the MACs"
        notes.append(f"{less}: --model {alike.network} --weights {alike.weights}")
    found = _with_reason(planned(fits[trials.index(chosen)]), why, *notes)
    return replace(found, networks=tuple(rows), fold_networks=_of_folds(rows, fitting.request, planned))


def try_networks(
    candidates: Sequence[FitRequest],
    pictures: TrialPictures,
    planned: Planned,
    shown: TrainingProgress,
    first: PictureFit | None = None,
) -> tuple[list[NetworkTrial], list[FitRequest], list[str]]:
    """Return a trial of each network that can be tried, its request, and a line on each that cannot.

    Args:
        candidates: Requests, each of a network with its weights.
        pictures: Pictures that every network answers.
        planned: Function that returns the training of a request.
        shown: Progress of the trials.
        first: Training of the first candidate, where there is one already.
    """
    trials, fits, notes = [], [], []
    for number, candidate in enumerate(candidates):
        try:
            fitting = first if first is not None and number == 0 else planned(candidate)
            trial = _try(fitting, pictures, shown)
        except PennyweightError as error:
            name = candidate.model if candidate.model != AUTO else Path(str(candidate.weights)).name
            notes.append(f"{name} is not tried: {error}")
            continue
        if trial is not None:
            trials.append(trial)
            fits.append(replace(candidate, model=trial.network, weights=trial.weights))
    return trials, fits, notes


def _try(fitting: PictureFit, trial: TrialPictures, shown: TrainingProgress) -> NetworkTrial | None:
    """Return the answers of heads on a network's features; None for too few pictures, of a class or all."""
    plan, pictures = fitting.plan, trial.read(fitting.plan.preprocess)
    if pictures is None:
        return None
    name = str(plan.model["name"])
    answers, picture_ms = trial.answer_timed(fitting, pictures, shown, f"features of {name}")
    if answers is None:
        return None
    height, width, channels = plan.preprocess.shape
    cost = weigh(fitting.network, (channels, height, width))
    moments = data.moments_of(fitting.source, fitting.twins, trial.samples)
    return NetworkTrial(
        network=name, weights=os.fspath(plan.weights or ""), size=plan.preprocess.size, correct=answers.correct,
        interval=share_interval(answers.correct, moments, folded=True), params=cost.params, macs=cost.macs,
        picture_ms=picture_ms, outside=answers.outside,
    )  # fmt: skip


def _of_folds(rows: Sequence[Mapping[str, Any]], request: FitRequest, planned: Planned) -> dict[int, PictureFit]:
    """Return the training of each fold that another network answers."""
    found: dict[int, PictureFit] = {}
    for row in rows:
        if row["folds"]:
            other = planned(replace(request, model=row["network"], weights=row["weights"], resume=False))
            found |= dict.fromkeys(row["folds"], other)
    return found


def _reason(trials: Sequence[NetworkTrial], chosen: NetworkTrial) -> str:
    """Return why a network was chosen."""
    usual = next((trial for trial in trials if trial.network == LARGE_MODEL), None)
    if chosen is usual:
        return "no other is clearly better in folds"
    against = usual or max(trials, key=lambda trial: trial.accuracy)
    if chosen.accuracy > against.accuracy:
        return f"clearly better in folds than {against.network}"
    same = chosen is against or (usual is None and chosen.accuracy == against.accuracy)
    return "the most accurate in folds" if same else f"as good in folds as {against.network}, and cheaper"


def _with_reason(fitting: PictureFit, *reasons: str) -> PictureFit:
    return replace(fitting, plan=replace(fitting.plan, why=(*fitting.plan.why, *reasons)))
