"""`evaluate`: the scores of a run, a bundle or a published network on pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.accuracy_line import in_folds
from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.formats import allow_pixels
from pennyweight.core.heap import keeping_memory
from pennyweight.core.labels import match_labels
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.core.usage import Usage
from pennyweight.runtime import Bundle, Classifier
from pennyweight.scoring import Evaluation, score
from pennyweight.verbs.answered_source import answer_share, answered, join
from pennyweight.verbs.execution import Execution
from pennyweight.verbs.load import Trained, classifier_of, open_trained
from pennyweight.verbs.ranks import WAIT_MINUTES, share_work
from pennyweight.verbs.scenes.scene_run import refuse_scene_run
from pennyweight.verbs.scored_source import Origin, open_scored_source, origin_of, split_as_trained
from pennyweight.verbs.training_pictures import training_digests_of
from pennyweight.verbs.twins_in_training import find_twins_in_training, twins_within

__all__ = ["evaluate", "samples_to_score"]

MANY_CLASSES = 100


@keeping_memory()
@sharing_cores()
def evaluate(
    run_or_bundle_or_name: str | os.PathLike[str] | Trained,
    source: data.AnySource | None = None,
    *,
    split: data.Split = "test",
    rename: Mapping[str, str] | None = None,
    read_as: data.ReadAs | Mapping[str, Any] | None = None,
    weights: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
    engine: str | None = None,
    threads: int | None = None,
    precision: str | None = None,
    wait: float = WAIT_MINUTES,
    advance: Callable[[int], None] = lambda count: None,
    left_out: Callable[[data.Unreadable], None] = lambda unreadable: None,
    note: Callable[[str], None] = lambda line: None,
    **usage: Unpack[Usage],
) -> Evaluation:
    """Score a network on pictures: accuracy with its 95% interval, and precision, recall and F1 of each class.

    Pictures that a run, or a bundle of it, was trained or selected on never score its test split, wherever they lie.

    Args:
        run_or_bundle_or_name: Folder that `pw.fit` made, file that `pw.export` made, either opened, or a network's
            name with `weights`.
        source: Pictures to score, as `pw.fit` takes them, or a folder with the name of a class; by default those of the
            training. Another source without split folders is scored whole, as the split "all".
        split: "train", "val" or "test".
        rename: Classes of the source and the labels of the network that they stand for, such as {"cats": "Cats"}.
        read_as: Columns, folder, ending and label_from of a source whose files do not say them.
        weights: Weights for a name, as `pw.load` takes them.
        max_pixels: Pixels of the largest picture to score; by default 80 million. Larger ones are left out.
        engine: Engine, as `pw.load` takes it, as are `threads` and `precision`.
        threads: Threads of one call.
        precision: "float32" or "bfloat16".
        wait: Minutes for which a rank under torchrun waits for the others; the ranks share the pictures.
        advance: Callback that is given the number of pictures after each batch.
        left_out: Callback that is given each picture that cannot be read, and the pictures that training has seen.
        note: Callback that is given a line about the reading of the source, and about pictures that may be known.
        usage: Usage of the weights, as `pw.load` takes it: stem, input_size, config, mean, std, labels.

    Returns:
        The evaluation: `accuracy` and `accuracy_interval` (0 to 1), `images`, `per_class`, `confusion` and more.

    Raises:
        InputError: There is no run, bundle or network of that name, or it was trained on a scene.
        SourceError: The source is not here, has classes that the network does not know, or has no picture left.
        RunError, BundleError: The run is incomplete or damaged; the bundle is damaged.
    """
    execution = Execution(engine, threads, precision, note)
    trained = open_trained(run_or_bundle_or_name, weights, execution=execution, **usage)
    classifier = _classifier(trained, split, execution, max_pixels)
    opened = _open_source(source, trained, origin := origin_of(trained), read_as, note)
    numbers = match_labels(opened.labels, classifier.labels, source=opened.name, rename=rename or {})
    twins = twins_within(opened, origin, max_pixels=max_pixels, note=note)
    samples, name = samples_to_score(trained, opened, origin, split, twins, left_out=left_out, note=note)
    _note_cut(classifier.preprocess, samples, opened, origin, note)
    shares = share_work(wait, samples, lambda own: answer_share(opened, own, classifier, advance))
    alike = _alike(trained, answered(samples, shares), name, opened, origin, twins, max_pixels, note)
    return _score(*join(shares, opened, left_out), numbers, classifier.labels, opened.name, name, alike)


def _classifier(trained: Trained, split: str, execution: Execution, max_pixels: int | None) -> Classifier:
    """Return the classifier, and allow `max_pixels` everywhere. Raises InputError for a run of a scene, or a split."""
    if split not in data.SPLITS:
        raise InputError(f"unknown split '{split}'; there are {', '.join(data.SPLITS)}")
    if isinstance(trained, Run):
        refuse_scene_run(trained, "evaluate")
    allow_pixels(max_pixels)
    return classifier_of(trained, execution, max_pixels)


def _open_source(
    source: data.AnySource | None,
    trained: Trained,
    origin: Origin,
    read_as: data.ReadAs | Mapping[str, Any] | None,
    note: Callable[[str], None],
) -> data.Source:
    """Open the source to score, and note what its reading left open, unless training has noted it."""
    opened = open_scored_source(source, trained, origin, read_as)
    for line in opened.notes if source is not None else ():
        note(line)
    return opened


class _Alike(NamedTuple):
    """Twins of the pictures that are scored, as `score` takes them."""

    in_training: data.TwinsInTraining | None
    moments: NDArray[np.int64] | None
    units: NDArray[np.int64] | None


def _alike(
    trained: Trained,
    samples: Sequence[data.Sample],
    split: str,
    opened: data.Source,
    origin: Origin,
    twins: data.Twins | None,
    max_pixels: int | None,
    note: Callable[[str], None],
) -> _Alike:
    """Find the twins of the scored pictures, in training and among themselves."""
    known = _training_digests(trained) if split in ("test", "all") else None
    found = find_twins_in_training(samples, opened, origin, known, twins, max_pixels=max_pixels, note=note)
    return _Alike(found, data.moments_of(opened, twins, samples), data.number_groups(opened, twins, samples))


def samples_to_score(
    trained: Trained,
    opened: data.Source,
    origin: Origin,
    split: data.Split,
    twins: data.Twins | None,
    *,
    left_out: Callable[[data.Unreadable], None],
    note: Callable[[str], None],
) -> tuple[Sequence[data.Sample], str]:
    """Return the samples to score and the name of their split, in test without those that training has seen."""
    if origin.is_source(opened):
        samples, name = _own_samples(opened, origin, split, twins), str(split)
    elif opened.has_splits:
        samples, name = data.split(opened)[split], str(split)
    else:
        samples, name = opened.samples, "all"
    if split != "test":
        return samples, name
    seen = _training_digests(trained)
    if seen is not None:
        return _unseen(origin.where, seen, samples, opened.name, left_out, origin.folds), name
    if not origin.has_content_of(opened):
        note(f"{origin.where} does not record its training pictures: some of {opened.name} may be among them")
    return samples, name


def _own_samples(
    opened: data.Source, origin: Origin, split: data.Split, twins: data.Twins | None
) -> Sequence[data.Sample]:
    """Return the samples of a split of the training; after folds only pictures that came later are in test.

    Raises SourceError for the validation split of a training in folds, which has none.
    """
    if origin.folds is None or split == "train":
        return split_as_trained(opened, twins, origin)[split]
    if split == "val":
        raise SourceError(
            f"{origin.where} was scored in {origin.folds} folds and has no validation split; its evaluation.json has "
            "the score of every picture, and --split train scores what it learned from"
        )
    return opened.samples


def _note_cut(
    preprocess: Preprocess,
    samples: Sequence[data.Sample],
    opened: data.Source,
    origin: Origin,
    note: Callable[[str], None],
) -> None:
    """Note the share that the network's crop cuts away, if that is much of these pictures; `fit` notes its own."""
    if origin.is_source(opened):
        return
    framing = data.Framing(preprocess.size, preprocess.frame)
    if line := data.cut_note(data.aspects_of(samples), framing, f"{opened.name} is scored on the rest"):
        note(line)


def _score(
    probabilities: NDArray[np.float32],
    targets: NDArray[np.int64],
    numbers: Sequence[int],
    labels: Sequence[str],
    source: str,
    split: str,
    alike: _Alike,
) -> Evaluation:
    """Score the answers (N, classes); `numbers` are the network's classes, in the order of the source's."""
    classes: NDArray[np.int64] = np.arange(probabilities.shape[1])
    if len(classes) > MANY_CLASSES:  # score those in the source and those that were answered
        classes = np.union1d(numbers, probabilities.argmax(axis=1))
    return score(
        probabilities[:, classes],
        np.searchsorted(classes, np.asarray(numbers)[targets]),
        labels=[labels[number] for number in classes],
        source=source,
        split=split,
        twins=alike.in_training,
        moments=alike.moments,
        units=alike.units,
    )


def _training_digests(trained: Trained) -> TrainingDigests | None:
    """Return the digests of the pictures that training has seen; None where they are not recorded."""
    if isinstance(trained, (Run, Bundle)):
        return trained.training_digests
    return next(iter(training_digests_of(trained.origin).values()), None)


def _unseen(
    where: str,
    training_digests: TrainingDigests,
    samples: Sequence[data.Sample],
    name: str,
    left_out: Callable[[data.Unreadable], None],
    folds: int | None,
) -> Sequence[data.Sample]:
    """Return the samples without those that training has seen. Raises SourceError where none is left."""
    others = data.exclude_seen(samples, training_digests)
    count = len(samples) - len(others)
    if count and not others:
        score = "" if folds is None else f"; its score is that of {in_folds(folds)}"
        raise SourceError(f"{where} was trained on every picture of {name}, so that none can score it{score}")
    if count:
        left_out(data.Unreadable(name, f"{count} pictures of {name} that {where} was trained or selected on"))
    return others
