"""Stream pictures of a set that exceeds the disk; distributed ranks read their own shards; resume at the next sample.

An epoch draws the order of the shards and shuffles samples in blocks, from (seed, epoch, sample). The number of steps
done is therefore enough to resume, and blocks before it are not read again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import ImageError, SourceError
from pennyweight.core.images import Pixels
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.augment.augment import Augment
from pennyweight.data.augment.draws import draws
from pennyweight.data.batch import Batch, Share
from pennyweight.data.decoded_cache import DecodedCache
from pennyweight.data.decoded_pictures import CHUNK, KEEP_BYTES
from pennyweight.data.pictures import Pictures
from pennyweight.data.readers.shard_index import Index, Streamed
from pennyweight.data.readers.shards import open_shards
from pennyweight.data.source import SPLITS, Sample, Source, Split, Unreadable
from pennyweight.data.splits import Splits

if TYPE_CHECKING:
    import torch

__all__ = ["Stream", "make_pictures", "make_split_pictures"]

BLOCK = 2048
"""Samples that are shuffled together; their files are held in memory."""
UNEVEN = 1.1
"""Largest ratio of two ranks' shares of whole shards; above it, every rank reads all shards and takes its part."""


class Stream(Pictures):
    """Pictures of a streamed split. `epoch` yields the share of `rank`; the shares of all `world` ranks are disjoint.

    `source` is a streamed source, or an address: `hf:NAME`, or shards with braces, `https://…/train-{000..099}.tar` or
    `s3://…/{a,b}.parquet`, whose classes `labels` may name. `samples` are by default those of `split`. Unreadable
    pictures are left out and listed in `unreadable`. `read` keeps pictures as in Pictures, by default none. Raises
    SourceError for an address without shards, MissingPart without the extra.
    """

    def __init__(
        self,
        source: str | Source,
        preprocess: Preprocess,
        *,
        split: Split = "train",
        samples: Sequence[Sample] | None = None,
        labels: Sequence[str] | None = None,
        rank: int = 0,
        world: int = 1,
        block: int = BLOCK,
        keep_bytes: int = 0,
        **options: Any,
    ) -> None:
        if not 0 <= rank < world:
            raise SourceError(f"there is no rank {rank} of {world}; ranks are 0 to {world - 1}")
        streamed = source if isinstance(source, Source) else Index.load(open_shards(source)).source(labels)
        if samples is None:
            samples = [sample for sample in streamed.samples if sample.split in (split, None)]
        # In the order of the shards, which a split may have changed.
        samples = sorted(samples, key=_place)
        super().__init__(samples, preprocess, keep_bytes=keep_bytes, **options)
        self.unreadable: tuple[Unreadable, ...] = streamed.unreadable
        self._rank, self._world, self._block = rank, world, block
        picture = streamed.samples[0].picture
        assert isinstance(picture, Streamed)
        self._index = picture.index
        self._state: dict[str, int] = {}
        self._resumed: dict[str, int] = {}

    @property
    def advice(self) -> str:
        """Return advice for faster loading, besides more cores and less work."""
        return "shards on a nearer disk or server, "

    def alone(self) -> Stream:
        """Return a copy that gives every rank all pictures."""
        other = copy.copy(self)
        other._rank, other._world = 0, 1
        return other

    def read(self, advance: Callable[[int], None] = lambda count: None) -> tuple[Unreadable, ...]:
        """Decode the pictures if they are to be kept; opening the shards has found the unreadable ones already."""
        if self._keep_bytes or self._cache is not None:
            return super().read(advance)
        advance(len(self))
        return ()

    def epoch(
        self,
        epoch: int,
        *,
        batch: int,
        seed: int,
        augment: Augment,
        device: torch.device | None = None,
        start: int = 0,
    ) -> Iterator[Batch]:
        """Yield this rank's share once, shuffled by (seed, epoch), in as many batches as every other rank's.

        After `resume`, the state's epoch continues where it stopped; earlier blocks are not read.

        Args:
            epoch: Number of the epoch.
            batch: Largest number of pictures in a batch.
            seed: Seed of the run.
            augment: Changes of the pictures.
            device: Accelerator that crops, mirrors and mixes whole batches.
            start: Number of batches done.
        """
        if self.kept:
            yield from super().epoch(epoch, batch=batch, seed=seed, augment=augment, device=device, start=start)
            return
        start = self._resumed["done"] if self._resumed.get("epoch") == epoch else start
        self._resumed = {}
        self.heavy = augment.policy != "none"
        shares = self._shares(seed, epoch)
        own, steps, block = shares[self._rank], self.steps(batch), self._block
        order = np.concatenate([_shuffle(own[at : at + block], seed, epoch) for at in range(0, len(own), block)])
        bounds = _bounds(len(own), steps)
        images = np.sum([np.diff(_bounds(len(share), steps)) for share in shares], axis=0)
        have = int(bounds[start]) // block * block
        files = self._stored_files(own[have:])
        held: dict[int, bytes] = {}

        def fetch(step: int) -> list[bytes]:
            nonlocal have
            # One block is prefetched, so that each step reads as many samples as it uses.
            until = min(int(bounds[step + 1]) + block, len(own))
            held.update(islice(files, until - have))
            have = until
            return [held.pop(number) for number in order[bounds[step] : bounds[step + 1]].tolist()]

        def make(step: int, fetched: Future[list[bytes]]) -> Batch:
            numbers = order[bounds[step] : bounds[step + 1]]
            pixels = self._decode_files(numbers.tolist(), fetched.result())
            made = self._batch(pixels, numbers, np.zeros_like(numbers), epoch, seed, augment, device)
            return Share(made, int(images[step]))

        reader = ThreadPoolExecutor(max_workers=1)
        try:
            makes = (partial(make, step, reader.submit(fetch, step)) for step in range(start, steps))
            for done, made in enumerate(self._prefetch(makes, batch), start + 1):
                self._state = {"epoch": epoch, "done": done}
                yield made
        finally:
            reader.shutdown(cancel_futures=True)
        self._state = {}

    def state(self) -> dict[str, int]:
        """Return the position after the latest batch, as JSON values."""
        return dict(self._state)

    def resume(self, state: Mapping[str, int]) -> None:
        """Make the next call of `epoch` with the state's epoch continue from this position."""
        self._resumed = dict(state)

    def in_order(self, batch: int) -> Iterator[Batch]:
        """Yield every picture once, in order and unchanged, on every rank."""
        if self.kept:
            yield from super().in_order(batch)
            return
        files = self._stored_files(np.arange(len(self)))
        while part := list(islice(files, batch)):
            numbers = [number for number, _ in part]
            pixels = self._center_crop(self._decode_files(numbers, [content for _, content in part]))
            yield Batch(pixels, self.targets[numbers])

    def _shares(self, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        """Return each rank's pictures in reading order: whole shards if even, else every Nth picture."""
        files = self._index.file_of(np.array([_place(sample) for sample in self.samples], np.int64))
        there, firsts = np.unique(files, return_index=True)
        pieces = np.split(np.arange(len(files)), firsts[1:])
        turn = np.argsort(draws(seed, epoch, there, 1)[:, 0], kind="stable")
        mixed = [pieces[number] for number in turn.tolist()]
        world = range(self._world)
        if len(mixed) % self._world == 0:
            shares = [np.concatenate(mixed[rank :: self._world]) for rank in world]
            if max(map(len, shares)) <= UNEVEN * min(map(len, shares)):
                return shares
        every = np.concatenate(mixed)
        return [every[rank :: self._world] for rank in world]

    def _stored_files(self, numbers: NDArray[np.int64]) -> Iterator[tuple[int, bytes]]:
        """Yield (number, picture file) of these samples; those of one shard must be in its order."""
        return zip(
            numbers.tolist(), self._index.pictures([_place(self.samples[number]) for number in numbers]), strict=True
        )

    def _decode_files(self, numbers: Sequence[int], contents: Sequence[bytes]) -> Pixels:
        """Decode picture files to the kept size, (B, H, W, C)."""
        return np.stack(list(self._pool.map(self._decode_file, numbers, contents)))

    def _decode_file(self, number: int, content: bytes) -> Pixels:
        return self._stored(content, name=self.samples[number].where)

    def _pixels(self, numbers: NDArray[np.int64]) -> Pixels:
        if self.kept:
            return super()._pixels(numbers)
        stored = dict(self._stored_files(np.unique(numbers)))
        return self._decode_files(numbers.tolist(), [stored[number] for number in numbers.tolist()])

    def _decode_all(self, row: Callable[[int, Pixels], None], advance: Callable[[int], None]) -> dict[int, str]:
        """Decode every picture in the order of the shards, as Pictures does; each shard is read once."""

        def decode(stored: tuple[int, bytes]) -> tuple[int, str] | None:
            try:
                row(stored[0], self._decode_file(*stored))
            except ImageError as error:
                return stored[0], str(error)
            return None

        files = self._stored_files(np.arange(len(self)))
        failed: list[tuple[int, str]] = []
        while part := list(islice(files, CHUNK * CHUNK)):
            failed += filter(None, self._pool.map(decode, part))
            advance(len(part))
        return dict(failed)


def make_pictures(source: Source, samples: Sequence[Sample], preprocess: Preprocess, **options: Any) -> Pictures:
    """Return samples of a source as Pictures.

    Args:
        source: The source of the samples.
        samples: The samples.
        preprocess: Decoding and resizing.
        options: Keyword arguments of Pictures; of a streamed source, pictures are kept only with a `cache`.
    """
    if not source.streamed:
        return Pictures(samples, preprocess, **options)
    keep_bytes = KEEP_BYTES if "cache" in options else 0
    return Stream(source, preprocess, samples=samples, keep_bytes=keep_bytes, **options)


def make_split_pictures(
    source: Source, splits: Splits, preprocess: Preprocess, *, rank: int = 0, world: int = 1
) -> dict[Split, Pictures]:
    """Return the pictures of the three splits.

    Validation and test pictures are kept decoded, also those of a stream, which trains on this rank's share.

    Args:
        source: The source.
        splits: Its splits.
        preprocess: Decoding and resizing.
        rank: Number of this distributed process.
        world: Number of distributed processes.
    """
    kept: dict[str, Any] = {"cache": DecodedCache()}
    shared = {"rank": rank, "world": world} if source.streamed else kept
    last = {name: make_pictures(source, splits[name], preprocess, **kept) for name in SPLITS[1:]}
    made = {"train": make_pictures(source, splits.train, preprocess, margin=True, **shared), **last}
    for part in made.values():
        part.mapped = not source.streamed and sum(other.bytes for other in made.values()) > KEEP_BYTES
    return made


def _place(sample: Sample) -> int:
    assert isinstance(sample.picture, Streamed)
    return sample.picture.number


def _shuffle(numbers: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    return numbers[np.argsort(draws(seed, epoch, numbers, 1)[:, 0], kind="stable")]


def _bounds(count: int, parts: int) -> NDArray[np.int64]:
    """Return the starts of `parts` nearly equal parts of `count` items, and the end, (parts + 1,)."""
    turns = np.arange(parts + 1)
    return turns * (count // parts) + np.minimum(turns, count % parts)
