"""The end of a `fit`: what the test split says, the report, and the word that the run is complete."""

from __future__ import annotations

from typing import Any

import numpy as np

from pennyweight import data
from pennyweight.core.busy_wait import how_threads_waited
from pennyweight.core.files import read_lines, write_json, write_text
from pennyweight.core.images import Pixels
from pennyweight.core.run import Run, write_record
from pennyweight.report.page import Mistake, page
from pennyweight.scoring import Evaluation, score, worst_mistakes
from pennyweight.train import Epoch
from pennyweight.verbs.load import restore
from pennyweight.verbs.weigh import weigh

__all__ = ["finish"]


def finish(
    run: Run, record: dict[str, Any], best: Epoch, probabilities: Any, test: data.Pictures, source: data.Source
) -> Run:
    """Write what the test split and the report say; run.json, which calls the run complete, comes last."""
    evaluation = score(probabilities, test.targets, labels=source.labels, source=source.name, split="test")
    mistakes = [
        _mistake(test, number, evaluation, probabilities[number])
        for number in worst_mistakes(probabilities, test.targets)
    ]
    write_json(run.evaluation_path, evaluation.to_dict())
    record |= {"status": "complete", "best": best.to_dict(), "waiting": how_threads_waited()}
    height, width, channels = test.preprocess.shape
    html = page(
        run=record,
        epochs=read_lines(run.metrics_path),
        evaluation=evaluation.to_dict(),
        cost=weigh(restore(run), (channels, height, width)).to_dict(),
        mistakes=mistakes,
    )
    write_text(run.report_path, html)
    write_record(run.record_path, record, run.evaluation_path)
    return Run(run.folder)


def _mistake(pictures: data.Pictures, number: int, evaluation: Evaluation, probabilities: Any) -> Mistake:
    """A wrong answer with its picture, as the network saw it."""
    sample = pictures.samples[number]
    answered = int(probabilities.argmax())
    return Mistake(
        image=_shown(pictures.pixels(np.array([number]))[0]),
        source=sample.name,
        truth=evaluation.labels[sample.label],
        predicted=evaluation.labels[answered],
        probability=float(probabilities[answered]),
        truth_probability=float(probabilities[sample.label]),
    )


def _shown(pixels: Pixels) -> Pixels:
    """As a page can show it: the first three bands of many, the first of two."""
    return pixels if pixels.shape[2] in (1, 3) else pixels[..., : 3 if pixels.shape[2] > 3 else 1]
