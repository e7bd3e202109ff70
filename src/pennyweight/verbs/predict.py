"""`predict`: from pictures, folders, archives and tables to predictions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Unpack

from pennyweight import data
from pennyweight.core.prediction import Failure, Prediction
from pennyweight.core.usage import Usage
from pennyweight.runtime import Classifier
from pennyweight.verbs.inputs import pictures_given
from pennyweight.verbs.load import Trained, load
from pennyweight.verbs.ranks import WAIT_MINUTES, take_turns

__all__ = ["predict"]


def predict(
    run_or_bundle_or_name: str | os.PathLike[str] | Trained | Classifier,
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    top: int = 5,
    weights: str | os.PathLike[str] | None = None,
    read_as: data.ReadAs | Mapping[str, Any] | None = None,
    max_pixels: int | None = None,
    wait: float = WAIT_MINUTES,
    note: Callable[[str], None] = lambda line: None,
    **usage: Unpack[Usage],
) -> Iterator[Prediction | Failure]:
    """Classify the pictures that paths stand for, one after another, in bounded memory.

    Args:
        run_or_bundle_or_name: Anything that `pw.load` takes, or the Classifier that it returned.
        paths: Picture files, folders, archives (.zip, .tar), tables with a column of paths (.csv, .parquet), or "-"
            for a list on standard input; one or many.
        top: Labels of each prediction, at most.
        weights: Weights for a name, as `pw.load` takes them.
        read_as: Columns, folder and ending of a table, such as {"columns": {"path": "image_id"}}.
        max_pixels: Pixels of the largest picture to read; by default 80 million.
        wait: Minutes for which a rank under torchrun waits for the others; the ranks share the pictures.
        note: Callback that is given a line for files that were passed over.
        usage: Usage of the weights, as `pw.load` takes it: stem, input_size, config, mean, std, labels.

    Returns:
        An iterator with a Prediction for each picture, in the order of the paths, or a Failure with `source` and
        `error` for one that cannot be read.

    Raises:
        InputError: There is no run, bundle or network of that name, "-" was given twice, or `top` is below 1.
        RunError: The run is incomplete or damaged.
        BundleError: The bundle is damaged.
    """
    given = [os.fspath(paths)] if isinstance(paths, (str, os.PathLike)) else [os.fspath(path) for path in paths]
    pictures = pictures_given(given, note, read_as=read_as)
    if isinstance(run_or_bundle_or_name, Classifier):
        classifier = run_or_bundle_or_name.with_max_pixels(max_pixels)
    else:
        classifier = load(run_or_bundle_or_name, weights=weights, max_pixels=max_pixels, **usage)
    return take_turns(wait, pictures, lambda own: classifier.stream_named(own, top))
