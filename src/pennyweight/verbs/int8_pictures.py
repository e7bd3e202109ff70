"""Choose the pictures for an int8 export: some to calibrate on, others to gate on, none of a test split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight import data, zoo
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.figures import number, several, share
from pennyweight.core.images import Pixels
from pennyweight.core.labels import match_labels
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.deploy import Int8Pictures
from pennyweight.verbs.scored_source import (
    Origin,
    open_scored_source,
    open_training_source,
    origin_of,
    splits_as_trained,
)

__all__ = ["choose_int8_pictures"]

CALIBRATION, TUNING = 300, 2_000
"""Most pictures to calibrate on, and to fine-tune on."""
GATE, GATE_BYTES = 2_000, 300 << 20
"""Most pictures to gate on, and the most bytes that they take."""
BATCH = 64


class _Parts(NamedTuple):
    """Samples to calibrate and to gate on, and the names of the two parts."""

    calibration: Sequence[data.Sample]
    gate: Sequence[data.Sample]
    names: tuple[str, str]


def choose_int8_pictures(
    trained: Run | zoo.Pretrained,
    calibrate: data.AnySource | None,
    *,
    preprocess: Preprocess,
    labels: tuple[str, ...],
    training_digests: TrainingDigests | None,
    max_drop: float,
    tune: bool,
    note: Callable[[str], None],
) -> Int8Pictures:
    """Read the pictures for calibration and gate.

    They are the training and validation split of the run. A source that the network was not trained on is divided by
    its own train and val splits or, without these, into halves by content.

    Args:
        trained: The run, or a network with weights.
        calibrate: Source of the pictures; None for the one of the run's training.
        preprocess: Preprocessing of the network.
        labels: Labels of the network.
        training_digests: Pictures that the network was trained on, which gate nothing; None if they are not recorded.
        max_drop: Largest allowed drop, for a note about too few pictures.
        tune: True reads more pictures, for fine-tuning.
        note: Callback that is given a line about what was assumed or left out.

    Raises:
        InputError: A network without a run comes without `calibrate`.
        SourceError: The source is not here, or has no picture for one of the two parts.
    """
    opened, origin = _open(trained, calibrate)
    for line in opened.notes if calibrate is not None else ():
        note(line)
    calibration, gate, names = _parts(opened, origin, training_digests)
    numbers = _match(opened, labels, note)
    most = max(1, min(GATE, GATE_BYTES // int(np.prod(preprocess.shape))))
    first, _ = _read(opened, _evenly(calibration, min(TUNING, most) if tune else CALIBRATION), preprocess, note)
    second, targets = _read(opened, sorted(gate, key=lambda sample: sample.place)[:most], preprocess, note)
    if len(gate) > most:
        note(f"int8 is gated on {most:,} of {len(gate):,} pictures, chosen by content")
    if len(second) * max_drop < 1:
        note(
            f"one of the {several(len(second), 'picture')} that gate int8 is {share(1 / len(second))}, more than the "
            f"allowed drop of {share(max_drop)}: no net loss of a picture is allowed"
        )
    return Int8Pictures(
        calibration=first[:CALIBRATION],
        tuning=first,
        calibrated_on=f"{names[0]} of {opened.name}",
        gate=second,
        targets=None if numbers is None else np.asarray(numbers, np.int64)[targets],
        gated_on=f"{names[1]} of {opened.name}",
    )


def _open(trained: Run | zoo.Pretrained, calibrate: data.AnySource | None) -> tuple[data.Source, Origin]:
    origin = origin_of(trained)
    if calibrate is not None:
        return open_scored_source(calibrate, trained, origin, None), origin
    if not isinstance(trained, Run):
        raise InputError(f"int8 is calibrated on pictures, and {origin.where} has none: name a source with --calibrate")
    otherwise = "; or name a source with --calibrate"
    return open_training_source(trained, origin, needed_by="int8", otherwise=otherwise), origin


def _parts(opened: data.Source, origin: Origin, training_digests: TrainingDigests | None) -> _Parts:
    """Return the samples of both parts. Raises SourceError where one would be empty."""
    own = origin.is_source(opened)
    calibration, gate, names = _own_splits(opened, origin) if own else _divide(opened)
    if not calibration or not gate:
        raise SourceError(
            "int8 takes at least two pictures that are not of a test split, one to calibrate and one to gate on; "
            f"{opened.name} has {number(len(calibration) + len(gate))}"
        )
    if training_digests is not None and not own and not (gate := data.exclude_seen(gate, training_digests)):
        raise SourceError(
            f"{origin.where} was trained on every picture of {opened.name} that could gate int8; name other pictures "
            "with --calibrate"
        )
    return _Parts(calibration, gate, names)


def _own_splits(opened: data.Source, origin: Origin) -> _Parts:
    """Return training and validation split as in the training; of a training in folds, parts of its pictures."""
    if origin.folds is not None:
        by_content = sorted({sample.digest: sample for sample in opened.samples}.values(), key=lambda each: each.place)
        gate = by_content[:: origin.folds]
        kept = {sample.digest for sample in gate}
        calibration = [sample for sample in by_content if sample.digest not in kept]
        return _Parts(calibration, gate, ("other training pictures", f"one in {origin.folds} training pictures"))
    splits = splits_as_trained(opened, origin)
    return _Parts(splits.train, splits.val, ("training split", "validation split"))


def _divide(opened: data.Source) -> _Parts:
    """Return the source's train and val splits, or halves of all but its test split; no picture is in both parts."""
    pool = {sample.digest: sample for sample in opened.samples if sample.split != "test"}
    train = [sample for sample in pool.values() if sample.split == "train"]
    val = [sample for sample in pool.values() if sample.split == "val"]
    if train and val:
        return _Parts(train, val, ("train split", "val split"))
    by_content = sorted(pool.values(), key=lambda sample: sample.place)
    return _Parts(by_content[::2], by_content[1::2], ("half", "the other half"))


def _match(opened: data.Source, labels: tuple[str, ...], note: Callable[[str], None]) -> list[int] | None:
    """Return the network's class of each class of the source; None, with a note, where it has other classes."""
    try:
        return match_labels(opened.labels, labels, source=opened.name)
    except SourceError as error:
        note(f"int8 is gated by agreement with float, because {error}")
        return None


def _evenly(samples: Sequence[data.Sample], most: int) -> list[data.Sample]:
    """Return up to `most` samples, in turn one of each class, chosen by content."""
    classes: dict[int, list[data.Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: sample.place):
        classes[sample.label].append(sample)
    turns = zip_longest(*(classes[label] for label in sorted(classes)))
    return [sample for turn in turns for sample in turn if sample is not None][:most]


def _read(
    opened: data.Source, samples: Sequence[data.Sample], preprocess: Preprocess, note: Callable[[str], None]
) -> tuple[Pixels, NDArray[np.int64]]:
    """Return pixels (N, H, W, C) and classes (N,) of the samples that can be read."""
    pictures = data.make_pictures(opened, samples, preprocess, cache=data.DecodedCache())
    if unreadable := pictures.read():
        note(f"int8 leaves out {several(len(unreadable), 'picture')} of {opened.name}: {unreadable[0].reason}")
    if not len(pictures):
        raise SourceError(f"none of {several(len(samples), 'picture')} of {opened.name} can be read")
    batches = [np.asarray(batch.pixels) for batch in pictures.in_order(BATCH)]
    return np.concatenate(batches), np.asarray(pictures.targets)
