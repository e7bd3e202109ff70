"""Stream pictures of a set that exceeds the disk, in batches that resemble the set, whatever order it was packed in.

An epoch's order is drawn from (seed, epoch) before anything is read. The number of steps done is therefore enough to
resume, and samples before it are not read again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import ImageError, InputError, SourceError
from pennyweight.core.images import Pixels
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.augment.augment import Augment
from pennyweight.data.batch import Batch, Share
from pennyweight.data.decoded_pictures import CHUNK
from pennyweight.data.pictures import Pictures
from pennyweight.data.readers.shard_index import Index, Streamed
from pennyweight.data.readers.shards import open_shards
from pennyweight.data.source import Sample, Source, Split, Unreadable
from pennyweight.data.streams.lost import LostPictures
from pennyweight.data.streams.memory import StreamMemory
from pennyweight.data.streams.order import Layout, Order, Planner
from pennyweight.data.streams.run_files import RunFiles, layout_of, sequence_bytes
from pennyweight.data.streams.run_reader import Decode, RunReader

if TYPE_CHECKING:
    import torch

__all__ = ["Stream"]

UNMIXED = 0.95
"""Share of the classes of a shuffled batch below which a line says that a stream cannot be mixed."""
LOCAL_READERS, REMOTE_READERS = 2, 16
"""Threads that read runs; those of a server mostly wait."""


class Stream(Pictures):
    """Pictures of a streamed split. `epoch` yields the share of `rank`; the shares of all `world` ranks are disjoint.

    `source` is a streamed source, or an address: `hf:NAME`, or shards with braces, `https://…/train-{000..099}.tar` or
    `s3://…/{a,b}.parquet`, whose classes `labels` may name. `samples` are by default those of `split`. `buffer` bounds
    the memory for pictures that are read, decoded and shuffled, in bytes; the more there is, the longer are the runs.
    Unreadable pictures are left out and listed in `unreadable`. With `trust` the shards of an address are read without
    decoding each picture first: `lost` lists those that an epoch met and could not decode; readable ones of the same
    batch take their places. `read` keeps pictures as in Pictures, by default none. Raises SourceError for an address
    without shards, MissingPart without the extra.
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
        buffer: int | None = None,
        trust: bool = False,
        keep_bytes: int = 0,
        **options: Any,
    ) -> None:
        if not 0 <= rank < world:
            raise SourceError(f"there is no rank {rank} of {world}; ranks are 0 to {world - 1}")
        if trust and isinstance(source, Source) and not source.read_as.get("trust"):
            raise InputError("trust is for an address; open the source with read_as={'trust': True}")
        streamed = source if isinstance(source, Source) else Index.load(open_shards(source), trust=trust).source(labels)
        if samples is None:
            samples = [sample for sample in streamed.samples if sample.split in (split, None)]
        # In the order of the shards, which a split may have changed.
        samples = sorted(samples, key=_place)
        super().__init__(samples, preprocess, keep_bytes=keep_bytes, **options)
        self.unreadable: tuple[Unreadable, ...] = streamed.unreadable
        self._rank, self._world = rank, world
        picture = streamed.samples[0].picture
        assert isinstance(picture, Streamed)
        self._index = picture.index
        self._memory = StreamMemory(buffer)
        self._prefetch_bytes = self._memory.batch_bytes
        self._planners: dict[int, Planner] = {}
        self._state: dict[str, int] = {}
        self._resumed: dict[str, int] = {}
        self._lost = LostPictures(len(samples))

    @property
    def lost(self) -> tuple[Unreadable, ...]:
        """Return the pictures that epochs met and could not decode, in the order of the shards."""
        return tuple(Unreadable(self.samples[number].name, why) for number, why in self._lost.reasons().items())

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
        if not self._keep_bytes and self._cache is None:
            advance(len(self))
            return ()
        failed = super().read(advance)
        if failed:  # there are fewer samples now
            self.__dict__.pop("_numbers", None)
            self.__dict__.pop("_layout", None)
            self._lost = LostPictures(len(self))
        return failed

    def order_note(self, batch: int) -> str:
        """Return a line on how the samples are mixed in batches of at most `batch`, and a warning where they are not.

        Raises InputError for a buffer that cannot hold two batches.
        """
        planner = self._planner(batch)
        length, found = len(self) / len(planner.runs.starts), f"{planner.classes:.1f}"
        if planner.classes < UNMIXED * planner.mixed:
            return (
                f"batches will hold {found} classes, where shuffled pictures give {planner.mixed:.1f}: these shards "
                f"can only be read from their start, and {planner.room:,} pictures fit into {self._memory}; "
                "a larger --shuffle-buffer mixes more, and pennyweight pack makes mixed shards"
            )
        mixed = f"each batch draws from the whole stream, in runs of about {length:.0f}; it holds {found} classes"
        return "; ".join(filter(None, (mixed, self._memory.warning)))

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

        The batches of all ranks together are the same for any number of ranks. After `resume`, the state's epoch
        continues where it stopped; samples of earlier batches are not read.

        Args:
            epoch: Number of the epoch.
            batch: Largest number of pictures in a batch, on all ranks together.
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
        planner = self._planner(batch)
        share = planner.share(seed, epoch, self._rank, self._world)
        sizes = np.diff(planner.bounds)

        def make(step: int) -> Batch:
            pixels, numbers, repeats = self._lost.replace(reader.take(step), share.batch(step))
            made = self._batch(pixels, numbers, repeats, epoch, seed, augment, device)
            return Share(made, int(sizes[step]))

        with self._reading(share, planner.room, start) as reader:
            makes = (partial(make, step) for step in range(start, len(sizes)))
            for done, made in enumerate(self._prefetch(makes, batch), start + 1):
                self._state = {"epoch": epoch, "done": done}
                yield made
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
        share = self._ascending(np.arange(len(self)), batch)
        with self._reading(share, self._room(batch)) as reader:
            for step in range(len(share.bounds) - 1):
                pixels, numbers, _ = self._lost.replace(reader.take(step), share.batch(step))
                yield Batch(self._center_crop(pixels), self.targets[numbers])

    @cached_property
    def _numbers(self) -> NDArray[np.int64]:
        """Return the numbers of the samples in the index, (N,)."""
        return np.array([_place(sample) for sample in self.samples], np.int64)

    @cached_property
    def _layout(self) -> Layout:
        return layout_of(self._index, self._numbers, self.targets)

    def _room(self, batch: int) -> int:
        """Return the number of decoded pictures that may be held. Raises InputError for fewer than two batches."""
        sequences = bool((self._layout.sequences >= 0).any())
        return self._memory.room(self._stored.shape, len(self), batch, sequences=sequences)

    def _planner(self, batch: int) -> Planner:
        if batch not in self._planners:
            lanes = self._memory.lanes(sequence_bytes(self._index, self._numbers, self._layout))
            bounds = _bounds(len(self), self.steps(batch))
            self._planners[batch] = Planner(self._layout, bounds, self._room(batch), lanes)
        return self._planners[batch]

    def _ascending(self, numbers: NDArray[np.int64], batch: int) -> Order:
        """Return batches of ascending samples, as they are stored."""
        bounds = np.append(np.arange(0, len(numbers), batch), len(numbers))
        return Order(numbers, bounds, self._layout.runs(CHUNK))

    @contextmanager
    def _reading(self, share: Order, room: int, start: int = 0, decode: Decode | None = None) -> Iterator[RunReader]:
        """Read the pictures of `share` ahead, from batch `start` on; `decode` replaces the decoder."""
        local = all(shard.local for shard in self._index.shards.files)
        reader = RunReader(
            share,
            start,
            fetch=RunFiles(self._index, self._numbers, self._layout),
            decode=decode or self._decode_run,
            sizes=self._index.sizes[self._numbers],
            shape=self._stored.shape if decode is None else (),
            room=max(room, share.peak),
            file_bytes=self._memory.file_bytes,
            readers=LOCAL_READERS if local else REMOTE_READERS,
        )
        try:
            yield reader
        finally:
            reader.close()

    def _decode_run(
        self, numbers: Sequence[int], files: Sequence[bytes], memory: Pixels, places: Sequence[int]
    ) -> None:
        """Decode the files of a run to the kept size, into these places of the memory.

        Raises SourceError for a file that its index calls readable.
        """
        for number, content, place in zip(numbers, files, places, strict=True):
            try:
                memory[place] = self._stored(content, name=self.samples[number].where)
            except ImageError as error:
                if not self._index.trusted:
                    raise SourceError(
                        f"{error}; it could be read when its shard was indexed, perhaps with other decoders: "
                        "--trust leaves such pictures out"
                    ) from error
                self._lost.add(number, str(error))

    def _pixels(self, numbers: NDArray[np.int64]) -> Pixels:
        if self.kept:
            return super()._pixels(numbers)
        wanted, places = np.unique(numbers, return_inverse=True)
        share = self._ascending(wanted, len(wanted))
        with self._reading(share, len(wanted)) as reader:
            return self._lost.replace(reader.take(0), wanted)[0][places]

    def _decode_all(self, row: Callable[[int, Pixels], None], advance: Callable[[int], None]) -> dict[int, str]:
        """Decode every picture in the order of the shards, as Pictures does; each shard is read once."""
        failed: dict[int, str] = {}

        def decode(numbers: Sequence[int], files: Sequence[bytes], memory: Pixels, places: Sequence[int]) -> None:
            for number, content in zip(numbers, files, strict=True):
                try:
                    row(number, self._stored(content, name=self.samples[number].where))
                except ImageError as error:
                    failed[number] = str(error)

        share = self._ascending(np.arange(len(self)), CHUNK)
        with self._reading(share, CHUNK * CHUNK, decode=decode) as reader:
            for step in range(len(share.bounds) - 1):
                advance(len(reader.take(step)))
        return failed


def _place(sample: Sample) -> int:
    assert isinstance(sample.picture, Streamed)
    return sample.picture.number


def _bounds(count: int, parts: int) -> NDArray[np.int64]:
    """Return the starts of `parts` nearly equal parts of `count` items, and the end, (parts + 1,)."""
    turns = np.arange(parts + 1)
    return turns * (count // parts) + np.minimum(turns, count % parts)
