"""`evaluate`: how good a run, a bundle or a published network is on pictures, or a run on its scene."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.errors import InputError, PennyweightError, SourceError
from pennyweight.core.formats import allow_pixels
from pennyweight.core.heap import keeping_memory
from pennyweight.core.labels import numbers_of
from pennyweight.core.offline import only_said
from pennyweight.core.run import Run
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.core.usage import Usage
from pennyweight.runtime import Bundle, Classifier
from pennyweight.scoring import Evaluation, score
from pennyweight.verbs.load import Trained, load, open_trained
from pennyweight.verbs.scenes.load import is_scene_run
from pennyweight.verbs.training_pictures import training_digests_of

if TYPE_CHECKING:
    from pennyweight.scoring.scene import SceneEvaluation

__all__ = ["answer", "evaluate"]

BATCH = 64
MANY_CLASSES = 100


@keeping_memory()
@sharing_cores()
def evaluate(
    run_or_bundle_or_name: str | os.PathLike[str] | Trained,
    source: str | data.Source | None = None,
    *,
    split: data.Split = "test",
    rename: Mapping[str, str] | None = None,
    read_as: data.ReadAs | Mapping[str, Any] | None = None,
    weights: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
    advance: Callable[[int], None] = lambda count: None,
    left_out: Callable[[data.Unreadable], None] = lambda unreadable: None,
    note: Callable[[str], None] = lambda line: None,
    **usage: Unpack[Usage],
) -> Evaluation | SceneEvaluation:
    """Score a run, a bundle or a name with `weights` on a split of `source`; by default what the run was trained on.

    Pictures that a run was trained or selected on are never part of its test, wherever they lie, nor of its bundle's;
    `note` is told where that cannot be known. `read_as` says what the files of the source do not, as `data.open` takes
    it. A source without split folders that the run was not trained on is scored whole (and its split is called "all");
    it may have one class alone, or be a folder of pictures that is called as a class is. `rename` maps classes of the
    source to those of the network: {"cats": "Cats"}. A network of ImageNet knows folders by their synsets (n01440764)
    too. Two evaluations of the same files are identical. Pictures of more than `max_pixels` (80 million) are left out.
    `advance(n)` is called after every n pictures, `left_out` with each that cannot be read, `note` with what is to be
    known of how `source` was read; `usage` is what `load` takes of weights. A scene's run maps its scene again, and is
    scored on the test pixels. Raises SourceError for classes that the network does not know.
    """
    if split not in data.SPLITS:
        raise InputError(f"unknown split '{split}'; there are {', '.join(data.SPLITS)}")
    trained = open_trained(run_or_bundle_or_name, weights, **usage)
    if isinstance(trained, Run) and is_scene_run(trained):
        if max_pixels is not None:
            raise InputError(f"max_pixels is for pictures; {trained.folder} was trained on a scene")
        if source is not None or split != "test" or rename:
            raise InputError(
                f"{trained.folder} is scored on the test pixels of its own scene, not on {source or f'split {split}'}; "
                f"another cube is for predict {trained.folder} CUBE --labels MAP --map map.png"
            )
        from pennyweight.verbs.scenes.evaluate import evaluate_scene  # torch, which a bundle does without

        return evaluate_scene(trained, advance=advance)
    allow_pixels(max_pixels)
    classifier = load(trained, max_pixels=max_pixels)
    origin = _origin(trained)
    opened = _open(source, origin, read_as)
    for line in opened.notes if source is not None else ():
        note(line)
    same = opened.fingerprint == origin.fingerprint
    if source is None and not same and not (isinstance(trained, Run) and opened.address == origin.address):
        # What is known by its name alone may be another folder of that name.
        raise SourceError(
            f"'{origin.address}' here is not what {origin.where} was trained on; say what to score: "
            f"evaluate {origin.where} SOURCE"
        )
    own = same or opened.address == origin.address
    if own and origin.group_by and not isinstance(source, data.Source):
        opened = data.open(
            opened.address, group_by=origin.group_by, read_as=opened.read_as, least_classes=1
        )  # the same groups, for the same splits
    if own or opened.has_splits:
        samples: Sequence[data.Sample] = data.split(opened)[split]
        name: str = split
    else:
        samples, name = opened.samples, "all"
    numbers = numbers_of(opened.labels, classifier.labels, source=opened.name, rename=rename or {})
    if split == "test":
        training_digests = _learnt(trained)
        if training_digests is not None:
            samples = _unseen(origin.where, training_digests, samples, opened.name, left_out)
        elif not same:
            note(f"{origin.where} does not say which pictures it learnt from: some of {opened.name} may be among them")
    pictures = data.pictures(opened, samples, classifier.preprocess, cache=data.DecodedCache())
    unreadable = (*opened.unreadable, *pictures.read())
    for each in unreadable:
        left_out(each)
    data.require_enough(replace(opened, samples=tuple(pictures.samples)), unreadable, pictures)
    probabilities = answer(classifier, pictures, advance)
    targets = np.asarray(numbers)[pictures.targets]
    asked = np.arange(len(classifier.labels))
    if len(asked) > MANY_CLASSES:  # of a thousand, those that are neither in the source nor answered show nothing
        asked = np.union1d(numbers, probabilities.argmax(axis=1))
    return score(
        probabilities[:, asked],
        np.searchsorted(asked, targets),
        labels=[classifier.labels[number] for number in asked],
        source=opened.name,
        split=name,
    )


def _learnt(trained: Trained) -> TrainingDigests | None:
    """Return what something trained has learnt from; None where that is not known."""
    if isinstance(trained, (Run, Bundle)):
        return trained.training_digests
    return next(iter(training_digests_of(trained.origin).values()), None)


def _unseen(
    where: str,
    training_digests: TrainingDigests,
    samples: Sequence[data.Sample],
    name: str,
    left_out: Callable[[data.Unreadable], None],
) -> Sequence[data.Sample]:
    """Return the samples without what was learnt from. Raises SourceError where that leaves nothing."""
    others = data.unseen(samples, training_digests)
    count = len(samples) - len(others)
    if count and not others:
        raise SourceError(f"{where} was trained on every picture of {name}, so that none can score it")
    if count:
        left_out(data.Unreadable(name, f"{count} pictures of {name} that {where} was trained or selected on"))
    return others


class Origin(NamedTuple):
    """What something trained says of its training pictures; None where it says nothing."""

    where: str
    address: str | None = None
    fingerprint: str | None = None
    group_by: str | None = None
    read_as: Mapping[str, Any] | None = None


def _origin(trained: Trained) -> Origin:
    if isinstance(trained, Run):
        known = trained.record["data"]
        return Origin(
            str(trained.folder), known["address"], known["fingerprint"], known.get("group_by"), known.get("read_as")
        )
    if isinstance(trained, Bundle):
        known = trained.manifest.data or {}
        return Origin(str(trained.path), known.get("name"), known.get("fingerprint"), known.get("group_by"))
    known = trained.data or {}
    return Origin(trained.model["name"], known.get("name"), known.get("fingerprint"), known.get("group_by"))


def _address(source: str | os.PathLike[str]) -> str:
    """Return what `data.open` calls the address of a path."""
    path = Path(source).expanduser()
    return str(path.resolve()) if path.exists() else os.fspath(source)


def answer(
    classifier: Classifier, pictures: data.Pictures, advance: Callable[[int], None] = lambda count: None
) -> NDArray[np.float32]:
    """What the classifier says of every picture, in order: probabilities (N, classes)."""
    rows = []
    for batch in pictures.in_order(BATCH):
        assert isinstance(batch.pixels, np.ndarray)
        rows.append(classifier.probabilities(batch.pixels))
        if not np.isfinite(rows[-1]).all():
            raise PennyweightError(
                "the network answers with NaN in place of numbers, which no score can be made of: its weights are "
                "damaged, or its training diverged"
            )
        advance(len(batch.targets))
    return np.concatenate(rows)


def _open(
    source: str | data.Source | None, origin: Origin, read_as: data.ReadAs | Mapping[str, Any] | None
) -> data.Source:
    """Open the source to score on: that of the training as it was read then, unless `read_as` says otherwise."""
    if source is not None:
        if read_as is None and isinstance(source, (str, os.PathLike)) and _address(source) == origin.address:
            read_as = origin.read_as
        return _scored(source, read_as)
    if origin.address is None:
        raise InputError(f"{origin.where} does not say what it was trained on; say what to score: SOURCE")
    try:
        with only_said(origin.where, origin.address, ask=f"evaluate {origin.where} {origin.address}"):
            return data.open(origin.address, read_as=origin.read_as if read_as is None else read_as)
    except SourceError as error:
        raise SourceError(
            f"the pictures that {origin.where} was trained on are not here ({origin.address}); "
            f"name others: evaluate {origin.where} SOURCE"
        ) from error


def _scored(
    source: str | os.PathLike[str] | data.Source, read_as: data.ReadAs | Mapping[str, Any] | None
) -> data.Source:
    """Open what is to be scored: a source of any number of classes, or a folder of pictures that is a class."""
    try:
        return data.open(source, read_as=read_as, least_classes=1)
    except SourceError:
        lone = data.read_class_folder(Path(source)) if isinstance(source, (str, os.PathLike)) else None
        if lone is None:
            raise
        return lone
