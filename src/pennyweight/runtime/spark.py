"""Predictions of a bundle on Apache Spark: `pw.spark`. The workers need this package and no torch."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pennyweight.core.errors import InputError
from pennyweight.runtime.bundle import Bundle
from pennyweight.runtime.shipping import COLUMNS, classifier_of, name_on_workers, require_top, rows_of

__all__ = ["SCHEMA", "mapper", "predict"]

SCHEMA = (
    "path string, label string, probability float, labels array<string>, probabilities array<float>, typical double, "
    "error string"
)
"""Columns of the predictions, as Spark's `mapInArrow` takes them."""
BINARY = "spark.read.format('binaryFile').load(folder)"


def predict(
    pictures: Any,
    bundle: str | os.PathLike[str] | Bundle,
    *,
    top: int = 5,
    path: str = "path",
    content: str = "content",
) -> Any:
    """Classify the pictures of a Spark DataFrame with a bundle, lazily, as Spark's own transformations.

    Args:
        pictures: DataFrame with a column of names and one with the bytes of picture files, as
            `spark.read.format("binaryFile")` gives them.
        bundle: File that `pw.export` made; each machine of the cluster is sent it once.
        top: Labels of each prediction, at most.
        path: Column with the names.
        content: Column with the bytes.

    Returns:
        A DataFrame with the columns of SCHEMA: a row for each picture, in which `labels` and `probabilities` hold the
        `top` most probable; `error` has the reason for a picture that cannot be read.

    Raises:
        InputError: A column is missing, `top` is below 1, or the session has no SparkContext.
        BundleError: The bundle is damaged.
    """
    for column in (path, content):
        if column not in pictures.columns:
            raise InputError(
                f"the DataFrame has the columns {', '.join(pictures.columns)}, and no {column}; read pictures by "
                f"{BINARY}, or name the columns: path=…, content=…"
            )
    classify = mapper(bundle, pictures.sparkSession, top=top, path=path, content=content)
    return pictures.select(path, content).mapInArrow(classify, SCHEMA)


def mapper(
    bundle: str | os.PathLike[str] | Bundle, session: Any, *, top: int = 5, path: str = "path", content: str = "content"
) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Return the function that `DataFrame.mapInArrow(function, SCHEMA)` takes, for a program that calls it itself.

    Args:
        bundle: File that `pw.export` made.
        session: The SparkSession, whose workers are sent the bundle.
        top: Labels of each prediction, at most.
        path: Column with the names.
        content: Column with the bytes of picture files.

    Raises:
        InputError: `top` is below 1, or the session has no SparkContext.
        BundleError: The bundle is damaged.
    """
    require_top(top)
    file, name = name_on_workers(bundle)
    context = _context(session)
    if not any(str(each).endswith(name) for each in context.listFiles):
        shutil.copyfile(file, _outbox() / name)
        context.addFile(str(_outbox() / name))
    return _Mapper(name, top, path, content)


def _context(session: Any) -> Any:
    """Return the SparkContext of a session. Raises InputError for a session of Spark Connect, which has none."""
    try:
        return session.sparkContext
    except Exception as error:  # a class of pyspark, which may not be importable here
        raise InputError(
            "the session has no SparkContext, by which the bundle is sent; connect without Spark Connect, such as by "
            "spark-submit"
        ) from error


@cache
def _outbox() -> Path:
    """Return the folder from which Spark sends files as long as this process lives."""
    folder = tempfile.TemporaryDirectory(prefix="pennyweight-spark-")
    _kept.append(folder)
    return Path(folder.name)


_kept: list[Any] = []


@dataclass(frozen=True)
class _Mapper:
    """Function of `mapInArrow`: batches of pictures -> batches of predictions."""

    name: str
    top: int
    path: str
    content: str

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow
        from pyspark import SparkFiles, TaskContext

        text, share = pyarrow.string(), pyarrow.float32()
        kinds = (text, text, share, pyarrow.list_(text), pyarrow.list_(share), pyarrow.float64(), text)
        schema = pyarrow.schema(list(zip(COLUMNS, kinds, strict=True)))
        task = TaskContext.get()
        classifier = classifier_of(SparkFiles.get(self.name), task.cpus() if task else 1)
        for batch in batches:
            paths, contents = (batch.column(each).to_pylist() for each in (self.path, self.content))
            rows = list(rows_of(classifier, paths, contents, self.top))
            yield pyarrow.RecordBatch.from_pylist(rows, schema=schema)
