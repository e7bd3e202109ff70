"""`fit` on pictures: open, read, settle the schedule, train, score."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from time import perf_counter

import numpy as np

from pennyweight import data
from pennyweight.core.frame import Size
from pennyweight.core.run import Run
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.train import Epoch
from pennyweight.train.callbacks import best_of
from pennyweight.train.linear_probe import Features
from pennyweight.train.trackers import open_tracker
from pennyweight.verbs.answered_source import answer_and_measure
from pennyweight.verbs.fitting.check_augmentation import check_augmentation
from pennyweight.verbs.fitting.finish import finish, keep_curve
from pennyweight.verbs.fitting.keep_typicality import keep_typicality, keep_typicality_of_folds, parts_to_hold_out
from pennyweight.verbs.fitting.learning_curve import parts_of
from pennyweight.verbs.fitting.least_typical import Measured
from pennyweight.verbs.fitting.left_out import note_left_out, record_left_out
from pennyweight.verbs.fitting.modes import Work, train_by_mode
from pennyweight.verbs.fitting.network_trial import label_of
from pennyweight.verbs.fitting.open import PictureFit, open_fit
from pennyweight.verbs.fitting.reading import read_pictures
from pennyweight.verbs.fitting.replan import replanning
from pennyweight.verbs.fitting.request import FitRequest
from pennyweight.verbs.fitting.run_record import make_record
from pennyweight.verbs.fitting.session import RunSession, Terms, opening_run
from pennyweight.verbs.fitting.settle import Settled, settle_schedule
from pennyweight.verbs.fitting.train_in_folds import Division, FoldedAnswers, Other, train_in_folds
from pennyweight.verbs.fitting.train_networks_in_folds import train_networks_in_folds
from pennyweight.verbs.load import load

__all__ = ["fit_pictures"]


def fit_pictures(request: FitRequest) -> Run:
    """Train a network on pictures and score it, as `fit` documents; nothing is written before the network is made."""
    started = perf_counter()
    fitting = open_fit(request, started)
    terms = Terms(
        out=request.out,
        resume=request.resume,
        save_minutes=request.save_minutes,
        progress=request.progress,
        started=started,
        ranks=fitting.ranks,
    )
    with opening_run(fitting.run_name, terms, asked=fitting.asked, epochs=fitting.plan.epochs) as session:
        if session.is_complete:
            return session.finished()
        read_pictures(fitting, session)
        check_augmentation(fitting, session)
        settled = settle_schedule(fitting, session)
        session.announce(fitting.plan.note)
        if session.begins:
            _begin(fitting, session, settled)
        if fitting.folds > 1:
            answers = _train_in_folds(fitting, session)
            keep_curve(session, answers.curve, fitting)
            odd = keep_typicality_of_folds(session, answers, fitting.scored)
            return finish(session, answers.best, answers.probabilities, fitting, odd)
        best, computed = _train(fitting, session, settled)
        odd = keep_typicality(session, fitting, computed)
        with session.shown.phase("scoring the test split", len(fitting.splits.test)) as phase:
            probabilities, typical = answer_and_measure(load(Run(session.files.folder)), fitting.scored, phase.advance)
        if typical is not None:
            odd["test"] = Measured(fitting.scored, np.arange(len(typical)), typical)
        return finish(session, best, probabilities, fitting, odd)


def _begin(fitting: PictureFit, session: RunSession, settled: Settled) -> None:
    """Write the record of a new run, and the digests of the pictures that it and its first weights learn from."""
    if not fitting.ranks.number:
        own = data.digests_of_samples(fitting.splits.train, fitting.splits.val)
        digests = TrainingDigests.of(own.marks, *(each.marks for each in fitting.learned.values()))
        digests.save(session.files.seen_path)
    session.begin(make_record(session.files, fitting, settled.measured), session.files.seen_path)


def _train(fitting: PictureFit, session: RunSession, settled: Settled) -> tuple[Epoch, dict[str, Features]]:
    """Train as the recipe's mode says; return the best epoch, whose weights are in the run's folder, and features."""
    with session.training() as checkpointer, _working(fitting, session) as work:
        checkpointer.before = partial(record_left_out, fitting, session)
        replan = replanning(settled.deadline, fitting.plan.recipe, session)
        best = best_of(train_by_mode(replace(work, replan=replan)))
    assert best is not None
    note_left_out(fitting, session)
    return best, work.computed


def _train_in_folds(fitting: PictureFit, session: RunSession) -> FoldedAnswers:
    """Train in folds, and return the answers to every picture; the weights in the run's folder learned from all."""
    with session.training(), _working(fitting, session) as work:
        if fitting.networks_in_folds:
            return train_networks_in_folds(work, fitting.fold_numbers)
        clusters = data.clusters_of(fitting.source, fitting.twins, fitting.rule)
        regression = fitting.plan.recipe.optimizer == "lbfgs"
        samples = fitting.scored.samples
        seed, folds = fitting.plan.seed, fitting.fold_numbers
        division = Division(
            folds=folds,
            others=[*_inputs_of_folds(fitting), *_networks_of_folds(fitting)],
            parts=parts_of(samples, seed=seed, clusters=clusters) if regression else (),
            held_out=parts_to_hold_out(samples, folds, seed=seed, clusters=clusters),
        )
        return train_in_folds(work, division)


def _networks_of_folds(fitting: PictureFit) -> list[Other]:
    """Return the folds that chose another network than the plan's, with all pictures in its input."""
    rest = []
    for row in fitting.networks:
        folds = row["folds"]
        if not folds:
            continue
        other = fitting.fold_networks[folds[0]]
        pictures = data.make_pictures(fitting.source, fitting.scored.samples, other.plan.preprocess, margin=True)
        rest.append(Other(folds, pictures, other.network, label_of(row, fitting.networks)))
    return rest


def _inputs_of_folds(fitting: PictureFit) -> list[Other]:
    """Return the folds that chose another input than the plan's, with all pictures in that input."""
    found: dict[Size, list[int]] = {}
    for fold, preprocess in enumerate(fitting.fold_inputs):
        if fold not in fitting.fold_networks and preprocess.size != fitting.plan.preprocess.size:
            found.setdefault(preprocess.size, []).append(fold)
    usual = fitting.plan.preprocess
    return [
        Other(
            folds,
            data.make_pictures(
                fitting.source,
                fitting.scored.samples,
                replace(fitting.fold_inputs[folds[0]], mean=usual.mean, std=usual.std),
                margin=True,
            ),
        )
        for folds in found.values()
    ]


@contextmanager
def _working(fitting: PictureFit, session: RunSession) -> Iterator[Work]:
    """Give what a training needs, with the tracker that was asked for."""
    source, files = fitting.source, session.files
    log = None if fitting.ranks.number else fitting.request.log
    tracker = open_tracker(log, files.folder.name, files.folder, session.record.recipe, session.shown.note)
    with closing(tracker):
        yield Work(
            session=session,
            network=fitting.network,
            pictures=fitting.pictures,
            plan=fitting.plan,
            teacher=fitting.teacher,
            tracker=tracker,
            labels=source.labels,
            trained_on={
                "name": source.name,
                "fingerprint": source.fingerprint,
                "group_by": source.group_by,
                "twins": fitting.rule,
                **({"folds": fitting.folds} if fitting.folds > 1 else {}),
            },
        )
