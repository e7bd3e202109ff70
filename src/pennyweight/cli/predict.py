"""`predict`: what is on pictures, or on every pixel of a cube."""

# No `from __future__ import annotations`: Typer reads the annotations.

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from pennyweight.cli import answers, scene, show, trained
from pennyweight.cli import read_as as of_source
from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.errors import InputError
from pennyweight.core.figures import duration, number, several
from pennyweight.core.files import require_new

if TYPE_CHECKING:
    from pennyweight.runtime import Classifier, Failure, NamedPicture

__all__ = ["predict"]

FEW = 10
"""Failures that are named on standard error; each of them is a row as well."""
STDOUT = "-"


def predict(
    run_or_bundle_or_name: trained.Trained,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Pictures, folders, archives (.zip, .tar), tables with a column of paths (.csv, .parquet), or - for a "
            "list on standard input.",
        ),
    ],
    top: Annotated[int, typer.Option(metavar="N", min=1, help="How many labels to name.")] = 5,
    columns: of_source.Columns = None,
    pictures: of_source.Pictures = None,
    ending: of_source.Ending = None,
    weights: trained.Weights = None,
    stem: trained.Stem = None,
    input: trained.Input = None,
    config: trained.Config = None,
    mean: trained.Mean = None,
    std: trained.Std = None,
    labels: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="The classes of such weights, as evaluate takes them; of a cube its map."),
    ] = None,
    max_pixels: trained.MaxPixels = None,
    background: scene.Background = None,
    map: scene.Map = None,
    bfloat16: scene.Bfloat16 = False,
    csv: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write a row for each picture, when all are answered; - prints them at once."
        ),
    ] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print a line of JSON for each picture as soon as it is answered.")
    ] = False,
    json: trained.Json = False,
) -> None:
    """Say what is on pictures, or with --map on every pixel of a cube. A picture that cannot be read is a row with its
    reason, and the status is 1."""
    if map is not None:
        of_pictures: dict[str, Any] = {
            "--weights": weights,
            "--stem": stem,
            "--input": input,
            "--config": config,
            "--mean": mean,
        }
        of_pictures |= {"--columns": columns, "--pictures": pictures, "--ending": ending}
        of_pictures |= {"--std": std, "--max-pixels": max_pixels, "--csv": csv, "--jsonl": jsonl or None}
        scene.refuse_those_of_pictures(of_pictures)
        how = scene.asked(labels=labels, background=background)
        scene.predict(
            run_or_bundle_or_name, [Path(path) for path in paths], map=map, labelled=how, bfloat16=bfloat16, json=json
        )
        return
    if background is not None:
        raise InputError("--background is of a cube's label map; it goes with --map")
    _require_outputs(paths, csv, jsonl=jsonl, json=json)
    read = of_source.read_as(columns, pictures, ending, None)
    from pennyweight.verbs.inputs import pictures_given
    from pennyweight.verbs.load import load

    given = pictures_given(paths, show.note, read_as=read)

    classifier = load(
        trained.opened(
            run_or_bundle_or_name, weights, stem=stem, input=input, config=config, mean=mean, std=std, labels=labels
        ),
        max_pixels=max_pixels,
    )
    most = min(top, len(classifier.labels))
    sinks: list[AbstractContextManager[answers.Sink]] = [answers.as_csv(csv, most)] if csv is not None else []
    sinks += [answers.as_json_lines()] if jsonl else [answers.as_json()] if json else []
    done = _answered(classifier, paths, given, top, sinks or [answers.as_table()], csv)
    # A table that was printed has the reasons already.
    _summarize(done, csv, name_failures=bool(sinks) or done.failed == done.pictures < answers.PAGE)
    if done.failed:
        raise typer.Exit(1)


def _require_outputs(paths: Sequence[str], csv: str | None, *, jsonl: bool, json: bool) -> None:
    """Raise InputError, before anything is loaded, for outputs that cannot be written or would mix."""
    on_stdout = [name for name, given in (("--csv -", csv == STDOUT), ("--jsonl", jsonl), ("--json", json)) if given]
    if len(on_stdout) > 1:
        raise InputError(f"{' and '.join(on_stdout)} both print on standard output; keep one, or name a file for --csv")
    if csv is not None and csv != STDOUT:
        require_new(Path(csv))
    if jsonl and paths[-1].endswith(".jsonl") and not Path(paths[-1]).exists():
        raise InputError(f"--jsonl prints on standard output, and there is no {paths[-1]}; did you mean > {paths[-1]}?")


class Done(NamedTuple):
    """Counts of a finished `predict`."""

    pictures: int
    failed: int
    first: Sequence["Failure"]
    """The first failures, FEW at most."""
    seconds: float


def _answered(
    classifier: "Classifier",
    paths: Sequence[str],
    given: "Iterable[NamedPicture | Failure]",
    top: int,
    sinks: Sequence[AbstractContextManager[answers.Sink]],
    csv: str | None,
) -> Done:
    """Give every answer to each of `sinks` as soon as it is there."""
    from pennyweight.report.progress_bar import CountProgress
    from pennyweight.runtime import Failure
    from pennyweight.verbs.inputs import counted

    first: list[Failure] = []
    failed = 0
    with sharing_cores(), CountProgress("predict", lambda: counted(paths)) as progress:
        try:
            with ExitStack() as stack:
                writes = [stack.enter_context(sink) for sink in sinks]
                for answer in classifier.stream_named(given, top):
                    if isinstance(answer, Failure):
                        failed += 1
                        first += [answer] * (failed <= FEW)
                    for write in writes:
                        write(answer)
                    progress.advance()
        except BaseException:
            if csv not in (None, STDOUT):
                show.note(f"{csv} is not written: it is when all pictures are answered; --jsonl prints each at once")
            raise
    return Done(progress.done, failed, first, progress.seconds)


def _summarize(done: Done, csv: str | None, *, name_failures: bool) -> None:
    """Name the first failures, and count what was done, on standard error."""
    for failure in done.first if name_failures else ():
        show.failure(failure.error)
    if done.pictures < 2 or not (done.failed or csv or done.pictures > answers.PAGE):
        return  # the rows of a short table need no count
    all_of_them = several(done.pictures, "picture")
    answered = f"{number(done.pictures - done.failed)} of {all_of_them}" if done.failed else all_of_them
    rate = f", {done.pictures / done.seconds:,.0f} a second" if done.seconds > 0 else ""
    not_read = f"; {number(done.failed)} could not be read" if done.failed else ""
    where = f"; rows in {csv}" if csv not in (None, STDOUT) else ""
    show.note(f"{answered} answered in {duration(done.seconds)}{rate}{not_read}{where}")
