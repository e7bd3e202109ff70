"""`fit` on pictures: open, read, settle the schedule, train, score."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from time import perf_counter

from pennyweight import data
from pennyweight.core.run import Run
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.train import Epoch
from pennyweight.train.trackers import open_tracker
from pennyweight.verbs.answered_source import answer
from pennyweight.verbs.fitting.check_augmentation import check_augmentation
from pennyweight.verbs.fitting.finish import finish
from pennyweight.verbs.fitting.left_out import note_left_out, record_left_out
from pennyweight.verbs.fitting.modes import Work, train_by_mode
from pennyweight.verbs.fitting.open import PictureFit, open_fit
from pennyweight.verbs.fitting.reading import read_pictures
from pennyweight.verbs.fitting.replan import replanning
from pennyweight.verbs.fitting.request import FitRequest
from pennyweight.verbs.fitting.run_record import make_record
from pennyweight.verbs.fitting.session import RunSession, Terms, opening_run
from pennyweight.verbs.fitting.settle import Settled, settle_schedule
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
        best = _train(fitting, session, settled)
        test = fitting.pictures["test"]
        with session.shown.phase("scoring the test split", len(fitting.splits.test)) as phase:
            probabilities = answer(load(Run(session.files.folder)), test, phase.advance)
        return finish(session, best, probabilities, fitting)


def _begin(fitting: PictureFit, session: RunSession, settled: Settled) -> None:
    """Write the record of a new run, and the digests of the pictures that it and its first weights learn from."""
    if not fitting.ranks.number:
        own = data.digests_of_samples(fitting.splits.train, fitting.splits.val)
        digests = TrainingDigests.of(own.marks, *(each.marks for each in fitting.learned.values()))
        digests.save(session.files.seen_path)
    session.begin(make_record(session.files, fitting, settled.measured), session.files.seen_path)


def _train(fitting: PictureFit, session: RunSession, settled: Settled) -> Epoch:
    """Train as the recipe's mode says, and return the best epoch, whose weights are in the run's folder."""
    source, files = fitting.source, session.files
    log = None if fitting.ranks.number else fitting.request.log
    tracker = open_tracker(log, files.folder.name, files.folder, session.record.recipe, session.shown.note)
    with session.training() as checkpointer, closing(tracker):
        checkpointer.before = partial(record_left_out, fitting, session)
        work = Work(
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
            },
            replan=replanning(settled.deadline, fitting.plan.recipe, session),
        )
        best = train_by_mode(work)
    note_left_out(fitting, session)
    return best
