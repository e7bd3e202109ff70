"""Pictures in, predictions out, whatever executes the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.errors import BundleError, ImageError, InputError, received
from pennyweight.core.figures import number
from pennyweight.core.files import as_text
from pennyweight.core.images import Picture, Pixels
from pennyweight.core.machine import cores
from pennyweight.core.prediction import Failure, Prediction
from pennyweight.core.prefetch import prefetch
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.summary import Facts, Summary

__all__ = ["Classifier", "Engine", "NamedPicture", "Outputs", "SharedEngine"]

BATCH_BYTES = 16 * 224 * 224 * 3
"""Pixels of one batch: larger ones are no quicker on a processor, and take more memory."""
MOST = 64
"""Pictures of one batch, however small."""
NAMED = 5
"""Classes that the description of a classifier names."""
HELD_BYTES = 32 << 20
"""Bytes of files and arrays in memory with which a batch is full, however few pictures they are."""


class Outputs(NamedTuple):
    """What an engine answers; both (B, classes)."""

    probabilities: NDArray[np.float32]
    logits: NDArray[np.float32]


class Engine(Protocol):
    """Executes a network on pixels as `Preprocess` gives them: (B, H, W, C) uint8 -> Outputs."""

    def __call__(self, pixels: Pixels) -> Outputs: ...


@runtime_checkable
class SharedEngine(Protocol):
    """An engine that several threads may call at once, through what `shared` gives: each call computes alone."""

    @property
    def shared(self) -> Engine: ...


class NamedPicture(NamedTuple):
    """A picture with the name that its answer will have."""

    source: str
    picture: Picture


@dataclass(frozen=True, repr=False)
class Classifier(Summary):
    """An engine with the labels and the preprocessing that belong to it."""

    engine: Engine
    labels: tuple[str, ...]
    preprocess: Preprocess

    def predict(
        self, images: Picture | Iterable[Picture], top: int = 5, *, batch: int | None = None
    ) -> list[Prediction]:
        """Classify pictures: paths, bytes of files, uint8 arrays or Pillow images, one or many.

        The same as `stream`, in a list. Raises ImageError that names the first picture that cannot be read, InputError
        for a `top` or `batch` below 1.
        """
        predictions = []
        for answer in self.stream(images, top, batch=batch):
            if isinstance(answer, Failure):
                raise ImageError(answer.error)
            predictions.append(answer)
        return predictions

    def stream(
        self, images: Picture | Iterable[Picture], top: int = 5, *, batch: int | None = None
    ) -> Iterator[Prediction | Failure]:
        """Classify any number of pictures in bounded memory: an answer for each, in order, as they come.

        `images` is what `predict` takes, and may be endless. Pictures are decoded in threads and answered `batch` at a
        time, by default as many as suit the input's size. A picture that cannot be read is a Failure with its reason.
        Raises InputError for a `top` or `batch` below 1, and for what is no picture.
        """
        if isinstance(images, (str, Path, bytes, np.ndarray, Image.Image)):
            images = [images]
        elif not isinstance(images, Iterable) or hasattr(images, "read"):
            raise InputError(f"pictures are paths, bytes, arrays or Pillow images, not {received(images)}")
        return self.stream_named(map(_named, images, count()), top, batch=batch)

    def with_max_pixels(self, max_pixels: int | None) -> Classifier:
        """Return the same classifier for pictures of up to so many pixels; None keeps its limit. Raises InputError."""
        if max_pixels is None:
            return self
        return replace(self, preprocess=replace(self.preprocess, max_pixels=max_pixels))

    def stream_named(
        self, given: Iterable[NamedPicture | Failure], top: int = 5, *, batch: int | None = None
    ) -> Iterator[Prediction | Failure]:
        """Classify pictures under the names that they are given; a Failure among them keeps its place."""
        if top < 1:
            raise InputError(f"top must be at least 1, not {top}")
        if batch is not None and batch < 1:
            raise InputError(f"batch must be at least 1, not {batch}")
        size = batch or max(1, min(MOST, BATCH_BYTES // int(np.prod(self.preprocess.shape))))
        return self._answers(_groups(map(self._task, given), size), top)

    def _answers(self, groups: Iterator[list[Task | Failure]], top: int) -> Iterator[Prediction | Failure]:
        first = next(groups, None)
        if first is None:
            return
        second = next(groups, None)
        if second is None:  # few pictures: the engine has all threads for its one call
            yield from self._answered(first, top, self.engine)
            return
        engine = self.engine.shared if isinstance(self.engine, SharedEngine) else _one_at_a_time(self.engine)
        makes = (partial(self._answered, group, top, engine) for group in chain((first, second), groups))
        for answers, _ in prefetch(makes, cores() + 1, threads=cores()):
            yield from answers

    def _task(self, given: NamedPicture | Failure) -> Task | Failure:
        """Prepare the decoding of a picture in another thread, whatever its owner does to it meanwhile."""
        if isinstance(given, Failure):
            return given
        source, picture = given
        decode = partial(self.preprocess, name=source)
        if isinstance(picture, Image.Image):  # may share its file with the next one, or be the next one
            try:
                pixels = decode(picture)
            except ImageError as error:
                return Failure(source=source, error=str(error))
            return Task(source, lambda: pixels, pixels.nbytes)
        if isinstance(picture, np.ndarray):
            picture = picture.copy()
            return Task(source, partial(decode, picture), picture.nbytes)
        return Task(source, partial(decode, picture), len(picture) if isinstance(picture, bytes) else 0)

    def _answered(self, group: list[Task | Failure], top: int, engine: Engine) -> list[Prediction | Failure]:
        """Decode a group of pictures, and answer them in one call of the engine."""
        answers: list[Prediction | Failure | str] = []
        pixels = []
        for task in group:
            if isinstance(task, Failure):
                answers.append(task)
                continue
            try:
                pixels.append(task.decode())
            except ImageError as error:
                answers.append(Failure(source=task.source, error=str(error)))
            else:
                answers.append(task.source)
        rows = iter(self.probabilities(np.stack(pixels), engine) if pixels else ())
        return [self._answer(each, next(rows), top) if isinstance(each, str) else each for each in answers]

    def probabilities(self, pixels: Pixels, engine: Engine | None = None) -> NDArray[np.float32]:
        """Compute (B, H, W, C) uint8 -> (B, classes). Raises BundleError for an engine with other classes."""
        found = (engine or self.engine)(pixels).probabilities
        if found.shape != (len(pixels), len(self.labels)):
            raise BundleError(
                f"the network answers {len(pixels)} pictures with {'×'.join(map(str, found.shape))} values; it has "
                f"{len(self.labels)} labels"
            )
        return found

    def _answer(self, source: str, probabilities: NDArray[np.float32], top: int) -> Prediction | Failure:
        if not np.isfinite(probabilities).all():
            return Failure(source=source, error=f"no answer for {source}: the network gives NaN in place of numbers")
        best = np.argsort(-probabilities, kind="stable")[:top]
        ranked = tuple((self.labels[number], float(probabilities[number])) for number in best)
        return Prediction(source=source, label=ranked[0][0], probability=ranked[0][1], top=ranked)

    def _facts(self) -> Facts:
        yield "engine", type(self.engine).__name__
        height, width, channels = self.preprocess.shape
        yield "input", f"{channels}×{height}×{width}"
        names = ", ".join(self.labels[:NAMED])
        yield f"{number(len(self.labels))} classes", f"{names}{', …' * (len(self.labels) > NAMED)}"


class Task(NamedTuple):
    """A picture that is still to be decoded, and the bytes that it holds until then."""

    source: str
    decode: Callable[[], Pixels]
    held_bytes: int


def _named(picture: Picture, number: int) -> NamedPicture:
    return NamedPicture(as_text(picture) if isinstance(picture, (str, Path)) else f"picture {number}", picture)


def _groups(tasks: Iterable[Task | Failure], size: int) -> Iterator[list[Task | Failure]]:
    """Split into lists of `size`, of fewer where their pictures are large."""
    group: list[Task | Failure] = []
    held = 0
    for task in tasks:
        group.append(task)
        held += 0 if isinstance(task, Failure) else task.held_bytes
        if len(group) == size or held > HELD_BYTES:
            yield group
            group, held = [], 0
    if group:
        yield group


def _one_at_a_time(engine: Engine) -> Engine:
    """Give several threads an engine that uses all threads itself: while one of them computes, the others decode."""
    lock = Lock()

    def answer(pixels: Pixels) -> Outputs:
        with lock:
            return engine(pixels)

    return answer
