"""Pictures to score that have a twin, a picture of the same moment, among themselves or among those of the training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pennyweight import data
from pennyweight.core.errors import PennyweightError, SourceError
from pennyweight.core.figures import several
from pennyweight.core.offline import untrusted_address
from pennyweight.core.run import Run
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.verbs.scored_source import Origin, origin_of

__all__ = ["find_twins_in_training", "twins_within"]

NOT_LOOKED_FOR = "twins of the training pictures are not looked for"


def twins_within(
    opened: data.Source, origin: Origin, *, max_pixels: int | None, note: Callable[[str], None]
) -> data.Twins | None:
    """Find the twins in a source, which count as one, and decide the split of a training; None for shards."""
    glances = data.glance_at(opened, max_pixels=max_pixels)
    twins = None if glances is None else data.twins_among(glances)
    if twins is not None and twins.reason and not origin.is_source(opened):
        note(f"{twins.reason.partition(';')[0]}: the interval counts each of them")
    return twins


def find_twins_in_training(
    samples: Sequence[data.Sample],
    opened: data.Source,
    origin: Origin,
    digests: TrainingDigests | None,
    twins: data.Twins | None,
    *,
    max_pixels: int | None,
    note: Callable[[str], None],
) -> data.TwinsInTraining | None:
    """Find the pictures to score with a twin among those that the network was trained and selected on.

    Args:
        samples: N pictures of `opened`.
        opened: The source to score.
        origin: The source of the training.
        digests: Digests of the training pictures; None where they are not recorded.
        twins: Twins within `opened`, where it is the source of the training.
        max_pixels: Largest picture to read.
        note: Called with the reason where twins cannot be looked for, and of another source with the number of
            pictures whose twins cannot be told; of its own pictures, `fit` has said it.

    Returns:
        Masks, (N,) each; None where twins cannot be looked for.
    """
    if digests is None:
        return None  # `evaluate` has said that training pictures may be among them
    try:
        trained_on = opened if origin.is_source(opened) else _reopen(origin)
    except PennyweightError as error:
        note(f"{NOT_LOOKED_FOR}: {error}")
        return None
    if opened.streamed or trained_on.streamed:
        note(f"{NOT_LOOKED_FOR} in shards")
        return None
    unseen = {sample.name for sample in data.exclude_seen(trained_on.samples, digests)}
    learned = [sample for sample in trained_on.samples if sample.name not in unseen]
    if trained_on is opened and twins is not None:
        return data.have_twin(opened, twins, learned, samples)
    found = data.have_twin_in(opened, samples, trained_on, learned, max_pixels=max_pixels)
    if found is not None and (count := int(found.unknown.sum())):
        note(
            f"twins in training of {count:,} of {len(samples):,} pictures of {opened.name} cannot be told: these look "
            "like too many others, or have too few shapes, and count as pictures without twins"
        )
    return found


def without_twins_of(
    before: Mapping[str, TrainingDigests],
    source: data.Source,
    splits: data.Splits,
    twins: data.Twins | None,
    *,
    max_pixels: int | None,
) -> tuple[data.Splits, Mapping[str, TrainingDigests]]:
    """Leave twins of the training pictures of earlier runs out of the test split.

    Those that have a twin in this training too stay: the score is given with and without them.

    Args:
        before: Digests of the training pictures of the runs, by the run's folder.
        source: Pictures of this training.
        splits: Splits of `source`.
        twins: Twins within `source`; None for shards.
        max_pixels: Largest picture to read.

    Returns:
        The splits, with notes, and `before` with the digests of the pictures that are left out.

    Raises:
        SourceError: No test picture is left.
    """
    for folder, digests in before.items():
        lines: list[str] = []
        found = find_twins_in_training(
            splits.test, source, origin_of(Run(Path(folder))), digests, twins, max_pixels=max_pixels, note=lines.append
        )
        splits = replace(splits, notes=(*splits.notes, *(f"{folder}: {line}" for line in lines)))
        if found is None:
            continue
        known = found.found
        if twins is not None:
            known &= ~data.have_twin(source, twins, (*splits.train, *splits.val), splits.test).found
        if known.all():
            raise SourceError(
                f"{folder} trained on twins, pictures of the same moment, of every picture of the test split, so that "
                "none can score this training"
            )
        left = [sample for sample, twin in zip(splits.test, known.tolist(), strict=True) if twin]
        if left:
            splits = _leave_out(splits, left, f"{folder} trained on twins, pictures of the same moment")
            marks = data.digests_of_samples(left).marks
            before = {**before, folder: TrainingDigests.of(digests.marks, marks)}
    return splits, before


def _leave_out(splits: data.Splits, left: Sequence[data.Sample], reason: str) -> data.Splits:
    names = {sample.name for sample in left}
    return replace(
        splits,
        test=tuple(sample for sample in splits.test if sample.name not in names),
        left_out=(*splits.left_out, *(data.LeftOut(sample.name, reason) for sample in left)),
        notes=(*splits.notes, f"{several(len(left), 'picture')} left out of test: {reason}"),
    )


def _reopen(origin: Origin) -> data.Source:
    """Open the pictures of the training again. Raises PennyweightError where they are not here, or are others now."""
    if origin.read_as is None or origin.address is None:
        raise PennyweightError(f"{origin.where} does not say where these are; its run does")
    with untrusted_address(origin.where, origin.address, ask=f"evaluate {origin.where} {origin.address}"):
        source = data.open(origin.address, group_by=origin.group_by, read_as=origin.read_as)
    if not origin.has_content_of(source):
        raise PennyweightError(f"{origin.address} has other pictures now")
    return source
