"""Bundle on the workers of a cluster: opened once in each process, for pictures with their names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from pennyweight.core.errors import InputError, received
from pennyweight.core.files import sha256
from pennyweight.core.machine import bound_cores
from pennyweight.core.picture_content import BUFFERS
from pennyweight.core.prediction import Failure, row_of
from pennyweight.runtime.bundle import Bundle
from pennyweight.runtime.classifier import Classifier, NamedPicture

__all__ = ["COLUMNS", "classifier_of", "name_on_workers", "require_top", "rows_of"]

COLUMNS = ("path", "label", "probability", "labels", "probabilities", "typical", "error")
"""Columns of the answers."""


def name_on_workers(bundle: str | os.PathLike[str] | Bundle) -> tuple[Path, str]:
    """Return the file of a bundle, and a name that tells it from every other bundle on a worker.

    Raises BundleError for a damaged file, or one of another kind, before anything is sent.
    """
    if not isinstance(bundle, (str, os.PathLike)):
        raise InputError(f"a bundle is a file that `export` made, not {received(bundle)}")
    path = Path(bundle)
    if not isinstance(bundle, Bundle):
        Bundle(path)
    return path, f"pennyweight-{sha256(path)[:32]}.onnx"


def require_top(top: int) -> None:
    """Raise InputError for a number of labels below 1."""
    if top < 1:
        raise InputError(f"top must be at least 1, not {top}")


@lru_cache(maxsize=4)
def classifier_of(path: str, cores: int) -> Classifier:
    """Return the classifier of a shipped bundle, opened once in this process, which then uses `cores` cores."""
    bound_cores(cores)
    return Bundle(Path(path)).classifier


def rows_of(
    classifier: Classifier, paths: Iterable[Any], contents: Iterable[Any], top: int
) -> Iterator[dict[str, Any]]:
    """Yield a row with COLUMNS for each picture; `error` has the reason for one that cannot be read."""
    for answer in classifier.stream_named(map(_named, paths, contents), top):
        row = row_of(answer)
        yield {"path": row.pop("source"), **row}


def _named(path: Any, content: Any) -> NamedPicture | Failure:
    name = str(path)
    if isinstance(content, BUFFERS):
        return NamedPicture(name, bytes(content))
    what = "no content" if content is None else f"{received(content)} as content"
    return Failure(source=name, error=f"cannot read {name}: it has {what}, and the bytes of a picture file are needed")
