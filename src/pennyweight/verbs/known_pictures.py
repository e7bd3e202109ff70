"""Digests of pictures of any kind, by which training knows them: paths, bytes, arrays or open files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from pennyweight.core.errors import ImageError
from pennyweight.core.images import Picture
from pennyweight.core.picture_content import picture_content
from pennyweight.core.prediction import Failure
from pennyweight.data.digests import Digests, digest_of_array, digests_of_file
from pennyweight.runtime import NamedPicture
from pennyweight.verbs.addresses import MAX_PICTURE_BYTES

__all__ = ["digested"]

UNKNOWN = Digests("0" * 64, "")
"""Digests of a picture that cannot be read, which are those of no picture."""


def digested(pictures: Iterable[NamedPicture | Failure], digests: list[Digests]) -> Iterator[NamedPicture | Failure]:
    """Yield the pictures in order, and append the digests of each to `digests`; of one that cannot be read, UNKNOWN."""
    for named in pictures:
        found: NamedPicture | Failure = named
        own = UNKNOWN
        if isinstance(named, NamedPicture):
            try:  # an open file is read once, for its digests and for its answer
                picture = picture_content(named.picture, named.source)
                found, own = named._replace(picture=picture), _digests_of(picture)
            except ImageError as error:
                found = Failure(source=named.source, error=str(error))
        digests.append(own)
        yield found


def _digests_of(picture: Picture) -> Digests:
    """Return the digests of a picture's content; UNKNOWN where the file cannot be read."""
    if isinstance(picture, Image.Image):
        picture = np.asarray(picture)
    if isinstance(picture, np.ndarray):
        is_picture = picture.dtype in (np.uint8, np.uint16) and picture.ndim in (2, 3)
        return Digests(digest_of_array(picture), "") if is_picture else UNKNOWN
    if isinstance(picture, bytes):
        return digests_of_file(picture)
    path = Path(picture)
    try:
        is_small = path.is_file() and path.stat().st_size <= MAX_PICTURE_BYTES
        return digests_of_file(path.read_bytes()) if is_small else UNKNOWN
    except (OSError, ValueError):
        return UNKNOWN
