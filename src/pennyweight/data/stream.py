"""Sets that outgrow a machine: shards read as they come, each rank its own share, resumed at the next sample.

`hf:NAME` from the Hugging Face hub, and WebDataset or Parquet shards by their addresses (local, http, S3), all by the
`datasets` library (the extra `scale`). Samples are shuffled in blocks: where a block starts is a state of the library,
and the order in it is drawn from (seed, epoch, block), so a stop in the middle of one is known by a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import ImageError, SourceError
from pennyweight.core.images import Pixels
from pennyweight.core.machine import cores
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.augment import Augment
from pennyweight.data.columns import COLUMNS
from pennyweight.data.draws import draws
from pennyweight.data.pictures import Batch
from pennyweight.data.source import Unreadable

__all__ = ["Stream", "shards"]

HUB = "hf:"
BLOCK = 2048
"""Samples that are shuffled together; they are held as encoded files."""
LABELS = ("cls", *COLUMNS["label"])
ENDINGS = {".tar": "webdataset", ".parquet": "parquet"}


class Stream:
    """A share of a streamed set, as batches. `rank` of `world` says which share: together they are the whole, once.

    `address` is `hf:NAME`, or shards with braces: `https://…/train-{000..099}.tar`, `s3://…/{a,b}.parquet`. `labels`
    are the class names where samples carry names; numbers are taken as they are. With `margin`, `epoch` crops within
    what `preprocess` resizes to. Raises SourceError for an address that is none, MissingPart without `datasets`.
    """

    def __init__(
        self,
        address: str,
        preprocess: Preprocess,
        *,
        split: str = "train",
        labels: Sequence[str] | None = None,
        rank: int = 0,
        world: int = 1,
        margin: bool = False,
        block: int = BLOCK,
    ) -> None:
        if not 0 <= rank < world:
            raise SourceError(f"rank {rank} of {world} is none; ranks are 0 to {world - 1}")
        self.address = address
        self.preprocess = preprocess
        self.unreadable: list[Unreadable] = []
        """What could not be read so far, and was left out."""
        self._stored = Preprocess(**{**preprocess.to_dict(), "size": preprocess.resize}) if margin else preprocess
        self._split, self._rank, self._world, self._block = split, rank, world, block
        self._numbers = None if labels is None else {label: number for number, label in enumerate(labels)}
        self._files = () if address.startswith(HUB) else shards(address)
        self._state: dict[str, Any] = {}

    def epoch(self, epoch: int, *, batch: int, seed: int, augment: Augment) -> Iterator[Batch]:
        """This rank's share once, in the order of (seed, epoch), in batches; the last one may be smaller.

        After `resume`, the epoch of the state goes on where it stopped.
        """
        state, self._state = self._state, {}
        if state.get("epoch") != epoch:
            state = {"epoch": epoch, "start": None, "blocks": 0, "done": 0}
        examples = self._examples(epoch, seed)
        if state["start"] is not None:
            examples.load_state_dict(state["start"])
        with ThreadPoolExecutor(max_workers=cores()) as pool:
            source = iter(examples)
            while True:
                start = examples.state_dict()
                block = list(islice(source, self._block))
                if not block:
                    return
                ids = np.arange(len(block)) + state["blocks"] * self._block
                order = np.argsort(draws(seed, epoch, ids * self._world + self._rank, 1)[:, 0], kind="stable")
                for at in range(state["done"], len(order), batch):
                    turn = order[at : at + batch]
                    made = self._batch(pool, [block[number] for number in turn], ids[turn], epoch, seed, augment)
                    # What a stop after this batch resumes from: the block, and how much of it is done.
                    after = min(at + batch, len(order))
                    self._state = {"epoch": epoch, "start": start, "blocks": state["blocks"], "done": after}
                    if made is not None:
                        yield made
                state = {**state, "blocks": state["blocks"] + 1, "done": 0}

    def state(self) -> dict[str, Any]:
        """Where the stream is, after the batch that was given last; JSON can hold it."""
        return dict(self._state)

    def resume(self, state: Mapping[str, Any]) -> None:
        """The next `epoch` of that number goes on from there."""
        self._state = dict(state)

    def _examples(self, epoch: int, seed: int) -> Any:
        """The library's stream of this rank's share; files stand in another order each epoch."""
        import datasets
        from datasets.distributed import split_dataset_by_node

        if self._files:
            order = np.argsort(draws(seed, epoch, np.arange(len(self._files)), 1)[:, 0], kind="stable")
            kind = next(kind for ending, kind in ENDINGS.items() if self._files[0].lower().endswith(ending))
            files = [self._files[number] for number in order]
            loaded = datasets.load_dataset(kind, data_files={self._split: files}, split=self._split, streaming=True)
        else:
            loaded = datasets.load_dataset(self.address.removeprefix(HUB), split=self._split, streaming=True)
        # Decoding is ours: the same bytes as everywhere.
        return split_dataset_by_node(loaded.decode(False), self._rank, self._world)

    def _batch(
        self,
        pool: ThreadPoolExecutor,
        examples: Sequence[Mapping[str, Any]],
        ids: NDArray[np.int64],
        epoch: int,
        seed: int,
        augment: Augment,
    ) -> Batch | None:
        decoded = list(pool.map(self._decode, examples))
        kept = [number for number, one in enumerate(decoded) if one is not None]
        if not kept:
            return None
        pixels = np.stack([one[0] for one in decoded if one is not None])
        targets = np.array([one[1] for one in decoded if one is not None], np.int64)
        # Samples are told apart on all ranks.
        samples = ids[kept] * self._world + self._rank
        changed = augment(pixels, seed=seed, epoch=epoch, samples=samples, size=self.preprocess.size)
        changed, mixed = augment.mix(changed, targets, seed=seed, epoch=epoch, samples=samples)
        return Batch(changed, targets, mixed)

    def _decode(self, example: Mapping[str, Any]) -> tuple[Pixels, int] | None:
        name = str(example.get("__key__") or example.get("__url__") or self.address)
        picture = next(
            (value["bytes"] for value in example.values() if isinstance(value, dict) and value.get("bytes")), None
        )
        label = next((example[key] for key in LABELS if key in example), None)
        if picture is None or label is None:
            known = ", ".join(example)
            raise SourceError(
                f"a sample of {self.address} has {known}; it needs a picture and one of {', '.join(LABELS)}"
            )
        try:
            return self._stored(picture, name=name), self._number(label)
        except ImageError as error:
            self.unreadable.append(Unreadable(name, str(error)))
            return None

    def _number(self, label: object) -> int:
        text = label.decode() if isinstance(label, bytes) else str(label)
        text = text.strip()
        if self._numbers is not None and text in self._numbers:
            return self._numbers[text]
        if not text.isdigit():
            raise SourceError(f"{self.address} has a class '{text}' that is not among the labels")
        return int(text)


def shards(address: str) -> tuple[str, ...]:
    """The addresses that braces stand for: `a-{00..02}.tar` are three. Raises SourceError for other files."""
    if not address.lower().endswith(tuple(ENDINGS)):
        raise SourceError(f"{address} is no address of shards; they end in {' or '.join(ENDINGS)}, or it is {HUB}NAME")
    parts = re.split(r"(\{[^{}]*\})", address)
    choices = [_choices(part[1:-1]) if part.startswith("{") else (part,) for part in parts]
    return tuple("".join(chosen) for chosen in product(*choices))


def _choices(text: str) -> tuple[str, ...]:
    found = re.fullmatch(r"(\d+)\.\.(\d+)", text)
    if not found:
        return tuple(text.split(","))
    low, high = found.groups()
    return tuple(f"{number:0{len(low)}d}" for number in range(int(low), int(high) + 1))
