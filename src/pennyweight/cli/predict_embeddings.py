"""Features of pictures in a file, as `predict --embeddings` writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pennyweight.cli import show
from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.errors import InputError
from pennyweight.core.figures import duration, number, several
from pennyweight.core.reasons import Reasons

if TYPE_CHECKING:
    from pennyweight.runtime import Classifier

__all__ = ["predict_embeddings", "require_embeddings"]


def require_embeddings(file: Path | None, others: Mapping[str, object]) -> None:
    """Raise InputError for a file of another format, one that exists, or another output beside it."""
    if file is None:
        return
    from pennyweight.report.embedding_files import require_format

    if given := next((name for name, value in others.items() if value), None):
        raise InputError(f"--embeddings and --{given} are two outputs; keep one")
    require_format(file)


def predict_embeddings(
    classifier: Classifier, paths: Sequence[str], file: Path, read_as: Mapping[str, Any] | None
) -> None:
    """Write the features, count the pictures on standard error, and end with status 1 if one could not be read."""
    from pennyweight.core.prediction import Failure
    from pennyweight.report.embedding_files import open_embeddings
    from pennyweight.report.progress_bar import CountProgress
    from pennyweight.verbs.inputs import count_pictures, pictures_given

    failed, length = Reasons(), classifier.embed([]).shape[1]
    with sharing_cores(), CountProgress("embed", lambda: count_pictures(paths)) as progress:
        answers = classifier.embed_named(pictures_given(paths, show.note, read_as=read_as))
        with open_embeddings(file, length) as write:
            for answer in answers:
                if isinstance(answer, Failure):
                    failed.add(answer.source, answer.error)
                    write((answer.source, answer.error))
                else:
                    write((answer.source, answer.features))
                progress.advance()
    kept = "a row of NaN" if file.suffix.lower() == ".npy" else "a row with its reason"
    for line in failed.lines("cannot read ", one="", listed=f", for each of which {file} has {kept}"):
        show.failure(line)
    done = f"{several(progress.done, 'picture')} in {duration(progress.seconds)}"
    show.note(f"{number(length)} features of {done}; rows in {file}")
    if failed.count:
        raise typer.Exit(1)
