"""`predict`: from pictures, folders, archives and tables to predictions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Unpack

from pennyweight import data
from pennyweight.core.errors import InputError, PennyweightError, received
from pennyweight.core.picture_content import is_one_picture, name_of_picture
from pennyweight.core.prediction import Failure, Prediction
from pennyweight.core.reading import reason_of
from pennyweight.core.usage import Usage
from pennyweight.runtime import Classifier, NamedPicture
from pennyweight.verbs.addresses import fetched
from pennyweight.verbs.execution import Execution
from pennyweight.verbs.inputs import pictures_given, with_content
from pennyweight.verbs.load import Trained, classifier_of, open_trained
from pennyweight.verbs.ranks import WAIT_MINUTES, take_turns

__all__ = ["pictures_of", "predict"]


def predict(
    run_or_bundle_or_name: str | os.PathLike[str] | Trained | Classifier,
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | data.AnySource,
    *,
    top: int = 5,
    weights: str | os.PathLike[str] | None = None,
    read_as: data.ReadAs | Mapping[str, Any] | None = None,
    max_pixels: int | None = None,
    engine: str | None = None,
    threads: int | None = None,
    precision: str | None = None,
    strangers: str | None = None,
    least_typical: float | None = None,
    wait: float = WAIT_MINUTES,
    note: Callable[[str], None] = lambda line: None,
    **usage: Unpack[Usage],
) -> Iterator[Prediction | Failure]:
    """Classify the pictures at `paths`, one after another, in bounded memory.

    Args:
        run_or_bundle_or_name: Anything that `pw.load` takes, or the Classifier that it returned.
        paths: Picture files, folders, archives (.zip, .tar), tables with a column of paths (.csv, .parquet), addresses
            of pictures and of streamed shards, or "-" for a list on standard input; one or many. Also the pictures that
            a program has: an array (N, H, W, C), a list of arrays, open files or Pillow images, a DataFrame, or a data
            set of torch or Hugging Face.
        top: Labels of each prediction, at most.
        weights: Weights for a name, as `pw.load` takes them.
        read_as: Options of a table, such as {"columns": {"path": "image_id"}}; {"fetch": True} for addresses in it.
        max_pixels: Pixels of the largest picture to read; by default 80 million.
        engine: Engine, as `pw.load` takes it, as are `threads` and `precision`; a Classifier has its own.
        threads: Threads of one call.
        precision: "float32" or "bfloat16".
        strangers: Rule for pictures that are unlike anything the network was taught, as `Classifier.with_strangers`
            takes it: "flag", "refuse" or "ignore"; by default that of the Classifier, or "flag".
        least_typical: Largest `typical` of a stranger; by default that of the Classifier, or 0.01 or what few held-out
            pictures can tell.
        wait: Minutes for which a rank under torchrun waits for the others; the ranks share the pictures.
        note: Callback that is given a line about skipped files, the fastest engine, or one that gives no `typical`.
        usage: Usage of the weights, as `pw.load` takes it: stem, input_size, config, mean, std, labels.

    Returns:
        An iterator with a Prediction for each picture, in the order of the paths, or a Failure with `source` and
        `error` for one that cannot be read, or is refused.

    Raises:
        InputError: There is no run, bundle or network of that name, "-" was given twice, or `top` is below 1.
        RunError: The run is incomplete or damaged.
        BundleError: The bundle is damaged.
    """
    pictures = map(with_content, pictures_of(paths, read_as, note))  # ranks list some before they share them
    if isinstance(run_or_bundle_or_name, Classifier):
        if (engine, threads, precision) != (None, None, None):
            raise InputError("a Classifier has its engine, threads and precision; give them to pw.load")
        classifier = run_or_bundle_or_name.with_max_pixels(max_pixels)
    else:
        execution = Execution(engine, threads, precision, note)
        trained = open_trained(run_or_bundle_or_name, weights, execution=execution, **usage)
        classifier = classifier_of(trained, execution, max_pixels)
    classifier = _with_rule(classifier, strangers, least_typical, note)
    return take_turns(wait, pictures, lambda own: classifier.stream_named(fetched(own), top))


def _with_rule(
    classifier: Classifier, strangers: str | None, least_typical: float | None, note: Callable[[str], None]
) -> Classifier:
    """Return the classifier with another rule for strangers; None keeps its own. Note an engine that knows none."""
    own = classifier.stranger_rule
    name = own.strangers if strangers is None else strangers
    least = own.least_typical if least_typical is None and name != "ignore" else least_typical
    if (name, least) != (own.strangers, own.least_typical):
        classifier = classifier.with_strangers(name, least)
    if classifier.no_typicality is not None and name != "ignore":
        note(classifier.no_typicality)
    return classifier


def pictures_of(
    given: Any, read_as: data.ReadAs | Mapping[str, Any] | None, note: Callable[[str], None]
) -> Iterator[NamedPicture | Failure]:
    """Return the pictures of paths, or those that a program passed, each with its name."""
    if isinstance(given, (str, os.PathLike)):
        return pictures_given([os.fspath(given)], note, read_as=read_as)
    if isinstance(given, (list, tuple)) and _all_paths(given):
        return pictures_given([os.fspath(each) for each in given], note, read_as=read_as)
    found = data.pictures_of_given(given, data.ReadAs.of(read_as), note)
    if found is None and is_one_picture(given):
        found = iter([given])
    if found is None and not isinstance(given, Iterable):
        raise InputError(f"pictures were expected: paths, open files, arrays or Pillow images, not {received(given)}")
    listed = [] if found is not None else list(given)
    if not _all_paths(listed):
        found = iter(listed)
    if found is not None:
        return map(_named, found, count())
    return pictures_given([os.fspath(each) for each in listed], note, read_as=read_as)


def _all_paths(given: Sequence[Any]) -> bool:
    return all(isinstance(each, (str, os.PathLike)) for each in given)


def _named(picture: Any, number: int) -> NamedPicture | Failure:
    """Return a picture that a program passed with its name; the reason for one that cannot be read."""
    name = name_of_picture(picture) or f"picture {number}"
    try:
        return NamedPicture(name, picture.read() if hasattr(picture, "where") and hasattr(picture, "read") else picture)
    except (PennyweightError, OSError) as error:
        return Failure(source=name, error=f"cannot read {name}: {reason_of(error)}")
