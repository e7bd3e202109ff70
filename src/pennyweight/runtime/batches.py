"""Pictures in batches: decoded by threads, computed by an engine, answered in order and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.errors import ImageError, InputError
from pennyweight.core.images import Pixels
from pennyweight.core.machine import cores
from pennyweight.core.picture_content import AnyPicture, picture_content
from pennyweight.core.prediction import Failure
from pennyweight.core.prefetch import prefetch
from pennyweight.core.preprocess import Preprocess

__all__ = ["NamedPicture", "answer_in_batches"]

Answer = TypeVar("Answer")
Rows = NDArray[np.float32]
Compute = Callable[[Pixels, Any], Rows]

BATCH_BYTES = 16 * 224 * 224 * 3
"""Bytes of pixels in one batch: larger batches are no faster on a CPU, and take more memory."""
MOST = 64
"""Largest number of pictures in one batch."""
HELD_BYTES = 32 << 20
"""Bytes of files and arrays that wait for decoding in one batch; a batch that holds more is closed."""


class NamedPicture(NamedTuple):
    """Picture with the name that its prediction gets as `source`."""

    source: str
    picture: AnyPicture
    stamp: str = ""
    """Text that changes with the file that holds the picture, such as an archive; empty if unknown."""


class Task(NamedTuple):
    """Picture that waits for decoding, and the bytes of memory that it holds until then."""

    source: str
    decode: Callable[[], Pixels]
    held_bytes: int


def answer_in_batches(
    pictures: Iterable[NamedPicture | Failure],
    preprocess: Preprocess,
    engine: Any,
    compute: Compute,
    answer: Callable[[str, Rows], Answer],
    batch: int | None,
) -> Iterator[Answer | Failure]:
    """Yield an answer for each picture, in order; a Failure for one that cannot be read.

    Args:
        pictures: Pictures with their names; a Failure among them keeps its place.
        preprocess: Preprocessing of the network.
        engine: Engine of a classifier.
        compute: Function of pixels, (B, H, W, C) uint8, and an engine, which returns a row for each picture.
        answer: Function of a picture's name and its row.
        batch: Pictures computed together; by default as many as suit the input size.

    Raises:
        InputError: `batch` is below 1.
    """
    if batch is not None and batch < 1:
        raise InputError(f"batch must be at least 1, not {batch}")
    size = batch or max(1, min(MOST, BATCH_BYTES // int(np.prod(preprocess.shape))))
    return _answers(_groups(map(partial(_task, preprocess), pictures), size), engine, compute, answer)


def _answers(
    groups: Iterator[list[Task | Failure]], engine: Any, compute: Compute, answer: Callable[[str, Rows], Answer]
) -> Iterator[Answer | Failure]:
    first = next(groups, None)
    if first is None:
        return
    second = next(groups, None)
    if second is None:  # few pictures: the engine has all threads for its one call
        yield from _answer_group(first, engine, compute, answer)
        return
    if hasattr(engine, "shared"):
        engine = engine.shared
    else:
        compute = _one_at_a_time(compute)
    makes = (partial(_answer_group, group, engine, compute, answer) for group in chain((first, second), groups))
    for answers, _ in prefetch(makes, cores() + 1, threads=cores()):
        yield from answers


def _answer_group(
    group: list[Task | Failure], engine: Any, compute: Compute, answer: Callable[[str, Rows], Answer]
) -> list[Answer | Failure]:
    """Decode a group of pictures and compute them in one call."""
    decoded: list[Failure | str] = []
    pixels = []
    for task in group:
        if isinstance(task, Failure):
            decoded.append(task)
            continue
        try:
            pixels.append(task.decode())
        except ImageError as error:
            decoded.append(Failure(source=task.source, error=str(error)))
        else:
            decoded.append(task.source)
    rows = iter(compute(np.stack(pixels), engine) if pixels else ())
    return [answer(each, next(rows)) if isinstance(each, str) else each for each in decoded]


def _task(preprocess: Preprocess, named: NamedPicture | Failure) -> Task | Failure:
    """Prepare a picture for decoding in another thread; later changes by its owner have no effect."""
    if isinstance(named, Failure):
        return named
    source, picture, _ = named
    decode: Callable[[Any], Pixels] = partial(preprocess, name=source)
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


def _one_at_a_time(compute: Compute) -> Compute:
    """Let one thread at a time call what uses all cores itself; the other threads decode meanwhile."""
    lock = Lock()

    def locked(pixels: Pixels, engine: Any) -> Rows:
        with lock:
            return compute(pixels, engine)

    return locked
