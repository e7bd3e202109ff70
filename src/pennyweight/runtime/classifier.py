"""Classify pictures with any engine: decode and preprocess in threads, compute in batches, return predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from threading import Lock
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.errors import BundleError, ImageError, InputError, received
from pennyweight.core.files import as_text
from pennyweight.core.images import Pixels
from pennyweight.core.machine import cores
from pennyweight.core.picture_content import AnyPicture, is_one_picture, name_of_picture, picture_content
from pennyweight.core.prediction import Failure, Prediction
from pennyweight.core.prefetch import prefetch
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.summary import Facts, Summary, classes

__all__ = ["Classifier", "Engine", "NamedPicture", "Outputs", "SharedEngine"]

BATCH_BYTES = 16 * 224 * 224 * 3
"""Bytes of pixels in one batch: larger batches are no faster on a CPU, and take more memory."""
MOST = 64
"""Largest number of pictures in one batch."""
HELD_BYTES = 32 << 20
"""Bytes of files and arrays that wait for decoding in one batch; a batch that holds more is closed."""


class Outputs(NamedTuple):
    """Outputs of an engine, each (B, classes)."""

    probabilities: NDArray[np.float32]
    logits: NDArray[np.float32]


class Engine(Protocol):
    """Callable that executes a network on pixels from `Preprocess`: (B, H, W, C) uint8 -> Outputs."""

    def __call__(self, pixels: Pixels) -> Outputs: ...


@runtime_checkable
class SharedEngine(Protocol):
    """Engine whose `shared` engine several threads may call at once; each call computes on one thread."""

    @property
    def shared(self) -> Engine: ...


class NamedPicture(NamedTuple):
    """Picture with the name that its prediction gets as `source`."""

    source: str
    picture: AnyPicture
    stamp: str = ""
    """Text that changes with the file that holds the picture, such as an archive; empty if unknown."""


@dataclass(frozen=True, repr=False)
class Classifier(Summary):
    """Engine with its labels and its preprocessing."""

    engine: Engine
    """Executes the network."""
    labels: tuple[str, ...]
    """Name of each class, in the order of the network's outputs."""
    preprocess: Preprocess
    """Turns a picture into the network's input."""

    def predict(
        self, images: AnyPicture | Iterable[AnyPicture], top: int = 5, *, batch: int | None = None
    ) -> list[Prediction]:
        """Classify pictures and return a list; `stream` does the same one by one.

        Args:
            images: One picture or several: paths, open binary files (read from their position), bytes of files, uint8
                arrays (H, W, C) or Pillow images; an array (N, H, W, C) is N pictures.
            top: Number of most probable classes in each prediction.
            batch: Pictures computed together; by default as many as suit the input size.

        Returns:
            One Prediction per picture, in order.

        Raises:
            ImageError: A picture cannot be read; the message names the first one.
            InputError: `top` or `batch` is below 1, or `images` holds something else than pictures.
        """
        predictions = []
        for answer in self.stream(images, top, batch=batch):
            if isinstance(answer, Failure):
                raise ImageError(answer.error)
            predictions.append(answer)
        return predictions

    def stream(
        self, images: AnyPicture | Iterable[AnyPicture], top: int = 5, *, batch: int | None = None
    ) -> Iterator[Prediction | Failure]:
        """Classify any number of pictures in bounded memory; threads decode them.

        Args:
            images: Pictures as `predict` takes them; the iterable may be endless.
            top: Number of most probable classes in each prediction.
            batch: Pictures computed together; by default as many as suit the input size.

        Yields:
            One Prediction per picture, in order; a Failure with its reason for a picture that cannot be read.

        Raises:
            InputError: `top` or `batch` is below 1, or `images` holds something else than pictures.
        """
        if is_one_picture(images):
            return self.stream_named([_named(images, 0)], top, batch=batch)
        if not isinstance(images, Iterable) or isinstance(images, Mapping):
            raise InputError(f"pictures are paths, bytes, open files, arrays or Pillow images, not {received(images)}")
        several: Iterable[AnyPicture] = images  # type: ignore[assignment]
        return self.stream_named(map(_named, several, count()), top, batch=batch)

    def with_max_pixels(self, max_pixels: int | None) -> Classifier:
        """Return the classifier with another limit of pixels per picture.

        Args:
            max_pixels: Largest width × height that is decoded; None keeps the present limit.

        Returns:
            A new classifier with the same engine, or this one for None.

        Raises:
            InputError: `max_pixels` is below 1.
        """
        if max_pixels is None:
            return self
        return replace(self, preprocess=replace(self.preprocess, max_pixels=max_pixels))

    def stream_named(
        self, pictures: Iterable[NamedPicture | Failure], top: int = 5, *, batch: int | None = None
    ) -> Iterator[Prediction | Failure]:
        """Classify pictures that have names, as `stream` does; a Failure among them keeps its place."""
        if top < 1:
            raise InputError(f"top must be at least 1, not {top}")
        if batch is not None and batch < 1:
            raise InputError(f"batch must be at least 1, not {batch}")
        size = batch or max(1, min(MOST, BATCH_BYTES // int(np.prod(self.preprocess.shape))))
        return self._predict_groups(_groups(map(self._task, pictures), size), top)

    def _predict_groups(self, groups: Iterator[list[Task | Failure]], top: int) -> Iterator[Prediction | Failure]:
        first = next(groups, None)
        if first is None:
            return
        second = next(groups, None)
        if second is None:  # few pictures: the engine has all threads for its one call
            yield from self._predict_group(first, top, self.engine)
            return
        engine = self.engine.shared if isinstance(self.engine, SharedEngine) else _lock_engine(self.engine)
        makes = (partial(self._predict_group, group, top, engine) for group in chain((first, second), groups))
        for answers, _ in prefetch(makes, cores() + 1, threads=cores()):
            yield from answers

    def _task(self, named: NamedPicture | Failure) -> Task | Failure:
        """Prepare a picture for decoding in another thread; later changes by its owner have no effect."""
        if isinstance(named, Failure):
            return named
        source, picture, _ = named
        decode = partial(self.preprocess, name=source)
        try:
            content = picture_content(picture, source)  # an open file is read now, where its position is
            if isinstance(content, Image.Image):  # the next picture may be the same object, or share its file
                pixels = decode(content)
                return Task(source, lambda: pixels, pixels.nbytes)
        except ImageError as error:
            return Failure(source=source, error=str(error))
        if isinstance(content, np.ndarray):
            content = content.copy()
            return Task(source, partial(decode, content), content.nbytes)
        return Task(source, partial(decode, content), len(content) if isinstance(content, bytes) else 0)

    def _predict_group(self, group: list[Task | Failure], top: int, engine: Engine) -> list[Prediction | Failure]:
        """Decode a group of pictures and classify them in one call of the engine."""
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
        return [self._prediction(each, next(rows), top) if isinstance(each, str) else each for each in answers]

    def probabilities(self, pixels: Pixels, engine: Engine | None = None) -> NDArray[np.float32]:
        """Compute the probabilities of preprocessed pixels.

        Args:
            pixels: (B, H, W, C) uint8, from `preprocess`.
            engine: Engine to use instead of the classifier's own.

        Returns:
            Probabilities, (B, classes).

        Raises:
            InputError: The pixels have another shape or type.
            BundleError: The engine gives another number of classes than there are labels.
        """
        if pixels.shape[1:] != self.preprocess.shape or pixels.dtype != np.uint8:
            raise InputError(
                f"preprocessed pictures are uint8 of shape (B, {', '.join(map(str, self.preprocess.shape))}), not "
                f"{pixels.dtype} {pixels.shape}; `predict` takes any picture"
            )
        found = (engine or self.engine)(pixels).probabilities
        if found.shape != (len(pixels), len(self.labels)):
            raise BundleError(
                f"the network gives {'×'.join(map(str, found.shape))} values for {len(pixels)} pictures; it has "
                f"{len(self.labels)} labels"
            )
        return found

    def _prediction(self, source: str, probabilities: NDArray[np.float32], top: int) -> Prediction | Failure:
        if not np.isfinite(probabilities).all():
            return Failure(source=source, error=f"no prediction for {source}: the network gives NaN or infinity")
        best = np.argsort(-probabilities, kind="stable")[:top]
        ranked = tuple((self.labels[number], float(probabilities[number])) for number in best)
        return Prediction(source=source, label=ranked[0][0], probability=ranked[0][1], top=ranked)

    def _facts(self) -> Facts:
        yield "engine", getattr(self.engine, "name", type(self.engine).__name__)
        height, width, channels = self.preprocess.shape
        yield "input", f"{channels}×{height}×{width}"
        yield classes(self.labels)


class Task(NamedTuple):
    """Picture that waits for decoding, and the bytes of memory that it holds until then."""

    source: str
    decode: Callable[[], Pixels]
    held_bytes: int


def _named(picture: AnyPicture, number: int) -> NamedPicture:
    return NamedPicture(as_text(name_of_picture(picture) or f"picture {number}"), picture)


def _groups(tasks: Iterable[Task | Failure], size: int) -> Iterator[list[Task | Failure]]:
    """Split tasks into lists of `size`, or of fewer if they hold more than HELD_BYTES."""
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


def _lock_engine(engine: Engine) -> Engine:
    """Let one thread at a time call an engine that uses all cores itself; the other threads decode meanwhile."""
    lock = Lock()

    def compute(pixels: Pixels) -> Outputs:
        with lock:
            return engine(pixels)

    return compute
