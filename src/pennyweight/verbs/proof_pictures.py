"""Choose the pictures on which `export` proves a bundle: test split first, training split last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pennyweight import data, zoo
from pennyweight.core.errors import DownloadError, ImageError, InputError, SourceError
from pennyweight.core.figures import several
from pennyweight.core.images import Picture
from pennyweight.core.offline import untrusted_address
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.data.readers.shard_index import read_in_order
from pennyweight.deploy.parity import MADE_PICTURES
from pennyweight.verbs.scored_source import Origin, open_scored_source, origin_of, splits_as_trained

__all__ = ["PROOF_PICTURES", "choose_proof_pictures"]

PROOF_PICTURES = 64
SPLITS: dict[data.Split | None, str] = {"test": "test", "val": "validation", "train": "training"}
"""Splits in the order in which the proof takes them, and their names in the manifest."""


class _Part(NamedTuple):
    """Samples of one split; of none for pictures without a split."""

    split: data.Split | None
    samples: Sequence[data.Sample]


def choose_proof_pictures(
    trained: Run | zoo.Pretrained,
    proof: data.AnySource | None,
    *,
    preprocess: Preprocess,
    training_digests: TrainingDigests | None,
    note: Callable[[str], None],
) -> tuple[list[Picture], str]:
    """Return up to 64 readable pictures and their description; none where `export` has to make some.

    Args:
        trained: The run, or a network with weights.
        proof: Source of the pictures; None for the one of the run's training.
        preprocess: Preprocessing of the network.
        training_digests: Pictures that the network was trained on, which are in no test split; None if not recorded.
        note: Callback that is given a line about what was left out, or why pictures are made.

    Raises:
        SourceError: `proof` is not here, or none of its pictures can be read.
    """
    origin = origin_of(trained)
    if proof is None and not isinstance(trained, Run):
        note(f"the bundle is proved on {MADE_PICTURES} pictures made for the proof; --proof SOURCE names real ones")
        return [], ""
    try:
        opened = _of_training(trained) if proof is None else open_scored_source(proof, trained, origin, None)
        files, of = _read(opened.name, _parts(opened, origin, training_digests), preprocess, note)
    except (SourceError, ImageError, InputError, DownloadError) as error:
        if proof is not None:
            raise
        note(
            f"the bundle is proved on {MADE_PICTURES} pictures made for the proof, because those of the training are "
            f"not at hand: {error}"
        )
        return [], ""
    return files, of


def _of_training(run: Run | zoo.Pretrained) -> data.Source:
    """Open the source of a run's training. Raises an error where it is not here, or has other pictures."""
    assert isinstance(run, Run)
    known = run.info.data
    with untrusted_address(run.folder, known.address, ask=f"export {run.folder} --proof {known.address}"):
        source = data.open(known.address, group_by=known.group_by, read_as=known.read_as)
    if source.fingerprint != known.fingerprint:
        raise SourceError(f"{known.address} has other pictures than in training")
    return source


def _parts(opened: data.Source, origin: Origin, training_digests: TrainingDigests | None) -> Iterator[_Part]:
    """Yield the samples of each split in the order of the proof; the twins of a small source alone are searched."""
    if not origin.is_source(opened):
        for split in (*SPLITS, None):
            if samples := [sample for sample in opened.samples if sample.split == split]:
                yield _Part(split, _spread(samples, streamed=opened.streamed))
        return
    if origin.folds is not None:  # a training in folds learned from all of them
        yield _Part("train", _spread(opened.samples, streamed=opened.streamed))
        return
    test: Sequence[data.Sample] = data.split(opened).test
    if training_digests is not None:  # twins may have been kept in one split
        test = data.exclude_seen(test, training_digests)
    yield _Part("test", _spread(test, streamed=opened.streamed))
    splits = splits_as_trained(opened, origin)
    yield _Part("val", _spread(splits.val, streamed=opened.streamed))
    yield _Part("train", _spread(splits.train, streamed=opened.streamed))


def _spread(samples: Sequence[data.Sample], *, streamed: bool) -> Sequence[data.Sample]:
    """Return the samples with 64 from the whole sequence first; those of shards in their order, which is quicker."""
    apart = 1 if streamed else max(1, len(samples) // PROOF_PICTURES)
    first = samples[::apart][:PROOF_PICTURES]
    taken = {id(sample) for sample in first}
    return [*first, *(sample for sample in samples if id(sample) not in taken)]


def _read(
    name: str, parts: Iterator[_Part], preprocess: Preprocess, note: Callable[[str], None]
) -> tuple[list[Picture], str]:
    """Return the first readable pictures and their description. Raises SourceError if there is none."""
    files: list[Picture] = []
    counts: dict[data.Split | None, int] = {}
    reasons: list[str] = []
    for split, samples in parts:
        before = len(files)
        # A part at a time: the pictures of a shard are read in its order.
        while samples and len(files) < PROOF_PICTURES:
            chosen, samples = samples[: PROOF_PICTURES - len(files)], samples[PROOF_PICTURES - len(files) :]
            for sample in read_in_order(chosen):
                picture = sample.read()
                try:
                    preprocess(picture)
                except ImageError as error:  # training and scoring leave it out too
                    reasons.append(str(error))
                else:
                    files.append(picture)
        if len(files) > before:
            counts[split] = len(files) - before
        if len(files) == PROOF_PICTURES:
            break
    if not files:
        raise SourceError(f"none of the pictures of {name} can be read{': ' + reasons[0] if reasons else ''}")
    if reasons:
        note(f"the proof leaves out {several(len(reasons), 'unreadable picture')}: {reasons[0]}")
    return files, _description(name, counts)


def _description(name: str, counts: dict[data.Split | None, int]) -> str:
    """Return "test split of NAME", or the number of pictures of each split."""
    if len(counts) == 1:
        (split,) = counts
        return f"{SPLITS[split]} split of {name}" if split else name
    each = [
        f"{count} of the {SPLITS[split]} split" if split else f"{count} of no split" for split, count in counts.items()
    ]
    return f"{', '.join(each[:-1])} and {each[-1]} of {name}"
