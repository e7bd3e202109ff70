"""End of a `fit` on pictures: score the test split, write the report, mark the run as complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.run import Run
from pennyweight.data.checks.view import view_through
from pennyweight.report.run_page import Mistake, run_page
from pennyweight.scoring import Evaluation, score, worst_mistakes
from pennyweight.train import Epoch
from pennyweight.verbs.fitting.leaks import leaks_of, score_shortcuts, twins_in_training
from pennyweight.verbs.fitting.learning_curve import curve_of
from pennyweight.verbs.fitting.least_typical import Measured, Part, show_least_typical
from pennyweight.verbs.fitting.open import PictureFit
from pennyweight.verbs.fitting.session import RunSession
from pennyweight.verbs.load import restore
from pennyweight.verbs.network_inputs import for_page, show_inputs
from pennyweight.verbs.weigh import weigh

__all__ = ["finish", "keep_curve"]


def finish(
    session: RunSession, best: Epoch, probabilities: Any, fitting: PictureFit, odd: Mapping[Part, Measured]
) -> Run:
    """Score the `probabilities` (N, classes) of `fitting.scored`, and seal the run with them and its report.

    The report shows the least typical pictures of `odd`.
    """
    test, source = fitting.scored, fitting.source
    folds = fitting.folds if fitting.folds > 1 else None
    evaluation = score(
        probabilities,
        test.targets,
        labels=source.labels,
        source=source.name,
        split="test" if folds is None else "out-of-fold",
        twins=twins_in_training(fitting, test.samples),
        moments=data.moments_of(source, fitting.twins, test.samples),
        units=data.number_groups(source, fitting.twins, test.samples),
        folds=folds,
    )
    sizes = [each.upright for each in fitting.headers if each is not None and each.height and each.width]
    view = view_through(test.preprocess, sizes) if sizes else None
    score_shortcuts(fitting, evaluation, view, session)
    mistakes = [
        _mistake(test, number, evaluation, probabilities[number])
        for number in worst_mistakes(probabilities, test.targets)
    ]
    height, width, channels = test.preprocess.shape
    run_so_far = Run(session.files.folder)
    network = restore(run_so_far)
    held_out = None if run_so_far.typicality is None else run_so_far.typicality[1]

    def report(run: Mapping[str, Any], epochs: Any) -> str:
        cost = weigh(network, (channels, height, width)).to_dict()
        return run_page(
            run=run,
            epochs=epochs,
            evaluation=evaluation.to_dict(),
            cost=cost,
            mistakes=mistakes,
            leaks=leaks_of(fitting),
            inputs=show_inputs(
                fitting.pictures,
                fitting.plan.recipe,
                seed=fitting.plan.seed,
                labels=source.labels,
                network=fitting.plan.model["name"],
                view=view,
                reasons=run.get("why") or (),
            ),
            odd=show_least_typical(odd, source.labels, held_out),
        )

    return session.seal(best, evaluation.to_dict(), report)


def keep_curve(session: RunSession, parts: Sequence[tuple[int, NDArray[np.bool_]]], fitting: PictureFit) -> None:
    """Record the learning curve of a training in folds, and note the accuracy to expect from more pictures.

    Args:
        session: Run, whose record gets `learning_curve`.
        parts: Number of training pictures, and a mask (N,) of the right answers, of each part.
        fitting: The pictures and their twins.
    """
    scored, source = fitting.scored, fitting.source
    moments = data.moments_of(source, fitting.twins, scored.samples)
    curve = curve_of(parts, moments, scored.targets, source.labels)
    session.amend(learning_curve=curve)
    for line in [] if curve is None else curve["lines"]:
        session.shown.note(line)


def _mistake(pictures: data.Pictures, number: int, evaluation: Evaluation, probabilities: Any) -> Mistake:
    """Return a wrong answer with its picture, as the network saw it."""
    sample = pictures.samples[number]
    answered = int(probabilities.argmax())
    return Mistake(
        image=for_page(pictures.pixels(np.array([number]))[0]),
        source=sample.name,
        truth=evaluation.labels[sample.label],
        predicted=evaluation.labels[answered],
        probability=float(probabilities[answered]),
        truth_probability=float(probabilities[sample.label]),
    )
