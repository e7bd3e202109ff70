"""Glance at every picture of a source: one decoding pass that yields all that the checks need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.errors import PennyweightError
from pennyweight.core.heap import keeping_memory
from pennyweight.core.images import decode_bands, file_of
from pennyweight.core.machine import cores
from pennyweight.core.prefetch import prefetch
from pennyweight.core.scratch import scratch
from pennyweight.core.sixteen_bit import Levels
from pennyweight.data.checks.glance_cache import GlanceCache, Kept
from pennyweight.data.checks.looks import LEAST, LOOKS, look_at
from pennyweight.data.checks.saved import Saved, how_saved
from pennyweight.data.readers.shard_index import Streamed, read_in_order
from pennyweight.data.source import Sample, Source

__all__ = ["Glances", "glance"]

CHUNK = 32
"""Pictures that a thread looks at before it reports."""
SMALL = 256 * 256
"""Most pixels of a picture that waits for others of its size."""
CHUNKS_AHEAD = 2
"""Chunks a thread that may wait for an earlier one."""
MOST_USUAL = 4
"""Most channels of an ordinary picture: red, green, blue and transparency."""
LEAST_KEPT = 256
"""Fewest pictures that are kept; fewer are looked at in a second."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Glances:
    """Facts of N pictures, in the order of the source's samples."""

    looks: NDArray[np.void]
    """(N,) LOOKS: what the pixels show; zeros for an unreadable picture."""
    saved: tuple[Saved | None, ...]
    """Facts of each file; None for an unreadable picture."""
    reasons: tuple[str | None, ...]
    """Reason for which a picture cannot be read, without its name; None for a readable one."""
    banded: NDArray[np.bool_]
    """(N,): True if the picture is unreadable because it has another number of bands than the source."""
    note: str | None = None
    """Line for the user if the facts could not be kept for the next time."""

    def __len__(self) -> int:
        return len(self.saved)

    def take(self, numbers: NDArray[np.int64]) -> Glances:
        """Return the facts of some pictures, in this order."""
        chosen = numbers.tolist()
        return Glances(
            looks=self.looks[numbers],
            saved=tuple(self.saved[number] for number in chosen),
            reasons=tuple(self.reasons[number] for number in chosen),
            banded=self.banded[numbers],
        )

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Return (N,): True for a picture that can be read."""
        return np.array([reason is None for reason in self.reasons], np.bool_)

    @property
    def gray(self) -> NDArray[np.uint8]:
        """Return the gray thumbnails (N, S, S), in which twins are found."""
        gray: NDArray[np.uint8] = self.looks["gray"]
        return gray

    @property
    def colors(self) -> NDArray[np.uint8]:
        """Return the color thumbnails (N, 8, 8, 3)."""
        colors: NDArray[np.uint8] = self.looks["thumbnail"]
        return colors


class _Glance(NamedTuple):
    """Facts of a picture, or the reason for which it cannot be read."""

    look: NDArray[np.void] | None = None
    saved: Saved | None = None
    reason: str | None = None
    banded: bool = False


See = Callable[[Sample], tuple[_Glance, Sequence[Image.Image]]]


@keeping_memory()
def glance(
    source: Source,
    *,
    levels: Levels = (),
    max_pixels: int | None = None,
    cache: GlanceCache | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Glances:
    """Look once at every picture of a source, a thread a core; equal pictures are decoded once.

    The facts of a large source are kept in the cache, so that the next call decodes new and changed pictures alone.

    Args:
        source: The source.
        levels: Range of levels that 16-bit pictures map to 0..255.
        max_pixels: Largest picture to read; by default 80 million pixels.
        cache: Where facts are kept; by default the folder `glances` of the user's cache.
        advance: Called with the number of pictures after each step.

    Returns:
        The facts. An unreadable picture has its reason there, and raises nothing.

    Raises:
        SourceError: A shard of a streamed source cannot be read.
    """
    if cache is None and len(source.samples) >= LEAST_KEPT:
        cache = GlanceCache()
    settings = (source.channels, levels, max_pixels)
    kept = cache.load(source.address, settings) if cache else Kept.empty()
    rows = _Rows(source.samples)
    for digest, look, saved in zip(kept.digests, kept.looks, kept.saved, strict=True):
        rows.put(digest, _Glance(look, saved))
    missing = [sample for number, sample in enumerate(source.samples) if rows.saved[number] is None]
    advance(len(source.samples) - len(missing))
    see = partial(_see, channels=source.channels, levels=levels, max_pixels=max_pixels)
    readable = False
    for digest, one in _look(missing, see, advance):
        rows.put(digest, one)
        readable = readable or one.reason is None
    glances = rows.glances()
    if cache is None or not readable:
        return glances
    return replace(glances, note=cache.save(source.address, settings, _kept(source.samples, glances)))


class _Rows:
    """Facts of N pictures, put down as they are found; equal headers and texts are kept once."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._last: dict[str, int] = {}
        self._before = np.full(len(samples), -1)
        """Number of the equal picture before; -1 for the first one. A list for each picture would take more memory."""
        for number, sample in enumerate(samples):
            self._before[number] = self._last.get(sample.digest, -1)
            self._last[sample.digest] = number
        self._looks = scratch(len(samples), LOOKS)
        self.saved: list[Saved | None] = [None] * len(samples)
        self._reasons: list[str | None] = [None] * len(samples)
        self._banded = np.zeros(len(samples), np.bool_)
        self._once: dict[Any, Any] = {}

    def put(self, digest: str, one: _Glance) -> None:
        """Keep the facts of every picture of this digest; of none if there is no such picture."""
        saved = one.saved and one.saved.sharing(self._once)
        number = self._last.get(digest, -1)
        while number >= 0:
            self.saved[number], self._reasons[number], self._banded[number] = saved, one.reason, one.banded
            if one.look is not None:
                self._looks[number] = one.look
            number = int(self._before[number])

    def glances(self) -> Glances:
        """Return the facts."""
        return Glances(looks=self._looks, saved=tuple(self.saved), reasons=tuple(self._reasons), banded=self._banded)


def _look(samples: Sequence[Sample], see: See, advance: Callable[[int], None]) -> Iterator[tuple[str, _Glance]]:
    """Yield (digest, facts) of each different picture, in the order of files on disk, or of samples in shards."""
    different = {sample.digest: sample for sample in reversed(samples)}
    advance(len(samples) - len(different))
    ordered = sorted(different.values(), key=_position)
    chunks = [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]
    read = read_in_order(ordered)
    makes = (partial(_see_all, see, list(islice(read, len(chunk)))) for chunk in chunks)
    with closing(prefetch(makes, CHUNKS_AHEAD * cores(), threads=cores())) as found:  # Ctrl-C cancels what waits
        for chunk, (seen, _) in zip(chunks, found, strict=True):
            yield from ((sample.digest, one) for sample, one in zip(chunk, seen, strict=True))
            advance(len(chunk))


def _position(sample: Sample) -> tuple[int, str]:
    return (sample.picture.number if isinstance(sample.picture, Streamed) else 0), sample.name


def _see_all(see: See, chunk: Sequence[Sample]) -> list[_Glance]:
    """Read pictures and decode each once; small ones are looked at together, and a large one before the next."""
    seen = [_Glance() for _ in chunk]
    waiting: dict[int, Sequence[Image.Image]] = {}
    for number, sample in enumerate(chunk):
        seen[number], bands = see(sample)
        if bands:
            waiting[number] = bands
        if bands and bands[0].width * bands[0].height > SMALL:
            _look_at(waiting, seen)
    _look_at(waiting, seen)
    return seen


def _look_at(waiting: dict[int, Sequence[Image.Image]], seen: list[_Glance]) -> None:
    """Look at the decoded pictures, and free them."""
    if waiting:
        for number, row in zip(waiting, look_at(list(waiting.values())), strict=True):
            seen[number] = seen[number]._replace(look=row)
        waiting.clear()


def _see(
    sample: Sample, *, channels: int, levels: Levels, max_pixels: int | None
) -> tuple[_Glance, Sequence[Image.Image]]:
    """Read and decode a picture; return its file's facts and its bands, or the reason and none."""
    saved = None
    try:
        picture = sample.read()
        content = file_of(picture) if isinstance(picture, Path) else picture
        saved = how_saved(content, name=sample.where)
        bands = decode_bands(
            content, channels=channels, least=LEAST, name=sample.where, levels=levels, max_pixels=max_pixels
        )
        return _Glance(saved=saved), bands
    except (PennyweightError, OSError) as error:
        found = saved and saved.header
        banded = bool(found and found.bands != channels and (found.banded or channels > MOST_USUAL))
        return _Glance(reason=str(error).removeprefix(f"cannot read {sample.where}: "), banded=banded), ()


def _kept(samples: Sequence[Sample], glances: Glances) -> Kept:
    """Return the facts of each different readable picture; an unreadable one is tried again the next time."""
    pairs = enumerate(zip(samples, glances.saved, strict=True))
    numbers = {sample.digest: number for number, (sample, saved) in pairs if saved is not None}
    saved = [one for number in numbers.values() if (one := glances.saved[number]) is not None]
    all_differ = len(numbers) == len(samples)  # then the facts are not copied
    return Kept(list(numbers), glances.looks if all_differ else glances.looks[list(numbers.values())], saved)
