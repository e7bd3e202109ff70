"""Pictures of the splits of a source: kept decoded, or streamed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pennyweight.core.preprocess import Preprocess
from pennyweight.data.decoded_cache import DecodedCache
from pennyweight.data.decoded_pictures import keep_limit
from pennyweight.data.pictures import Pictures
from pennyweight.data.source import SPLITS, Sample, Source, Split
from pennyweight.data.splits import Splits
from pennyweight.data.streams.stream import Stream

__all__ = ["make_pictures", "make_split_pictures"]


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
    keep_bytes = keep_limit() if "cache" in options else 0
    return Stream(source, preprocess, samples=samples, keep_bytes=keep_bytes, **options)


def make_split_pictures(
    source: Source,
    splits: Splits,
    preprocess: Preprocess,
    *,
    rank: int = 0,
    world: int = 1,
    buffer: int | None = None,
) -> dict[Split, Pictures]:
    """Return the pictures of the three splits.

    Validation and test pictures are kept decoded, also those of a stream, which trains on this rank's share.

    Args:
        source: The source.
        splits: Its splits.
        preprocess: Decoding and resizing.
        rank: Number of this distributed process.
        world: Number of distributed processes.
        buffer: Bytes that a stream may take; None for its default.
    """
    kept: dict[str, Any] = {"cache": DecodedCache()}
    shared = {"rank": rank, "world": world, "buffer": buffer} if source.streamed else kept
    last = {name: make_pictures(source, splits[name], preprocess, **kept) for name in SPLITS[1:]}
    made = {"train": make_pictures(source, splits.train, preprocess, margin=True, **shared), **last}
    for part in made.values():
        part.mapped = not source.streamed and sum(other.bytes for other in made.values()) > keep_limit()
    return made
