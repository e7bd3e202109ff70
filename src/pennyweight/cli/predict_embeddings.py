"""Features of pictures in a file, as `predict --embeddings` writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennyweight.cli import show
from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.errors import InputError
from pennyweight.core.figures import duration, number, several
from pennyweight.core.reasons import Reasons

if TYPE_CHECKING:
    from pennyweight.runtime import Classifier

__all__ = ["predict_embeddings", "require_embeddings"]


def require_embeddings(file: Path | None, others: Mapping[str, object]) -> None:
    """Raise InputError for a file of another format, a file that exists, or another output in addition."""
    if file is None:
        return
    from pennyweight.report.embedding_files import require_format

    if given := next((name for name, value in others.items() if value), None):
        raise InputError(f"--embeddings and --{given} are two outputs; keep one")
    require_format(file)


def predict_embeddings(
    classifier: Classifier, paths: Sequence[str], file: Path, read_as: Mapping[str, Any] | None
) -> int:
    """Write the features, count the pictures on standard error, and return status 1 if one could not be read."""
    from pennyweight.core.prediction import Failure
    from pennyweight.report.embedding_files import open_embeddings
    from pennyweight.report.progress_bar import CountProgress
    from pennyweight.verbs.addresses import fetched
    from pennyweight.verbs.inputs import count_pictures, pictures_given

    failed, length = Reasons(), classifier.embed([]).shape[1]
    with sharing_cores(), CountProgress("embed", lambda: count_pictures(paths)) as progress:
        answers = classifier.embed_named(fetched(pictures_given(paths, show.note, read_as=read_as)))
        with open_embeddings(file, length) as write:
            for answer in answers:
                if isinstance(answer, Failure):
                    failed.add(answer.source, answer.error)
                    write((answer.source, answer.error))
                else:
                    write((answer.source, answer.features))
                progress.advance()
    kept = "a row of NaN" if file.suffix.lower() == ".npy" else "a row with its reason"
    for line in failed.lines("cannot read ", one=""):
        show.failure(line)
    all_of_them = several(progress.done, "picture")
    answered = f"{number(progress.done - failed.count)} of {all_of_them}" if failed.count else all_of_them
    without = f"; {failed.in_words}" + ("" if failed.shown else f", for each of which {file} has {kept}")
    show.note(
        f"{number(length)} features of {answered} in {duration(progress.seconds)}{without if failed.count else ''}; "
        f"rows in {file}"
    )
    return int(failed.count > 0)
