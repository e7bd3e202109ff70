"""`predict`: classify pictures."""

# No `from __future__ import annotations`: Typer reads the annotations.

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from pennyweight.cli import answers, engine_options, options, prediction_options, show, source_options, trained_options
from pennyweight.cli.predict_embeddings import predict_embeddings, require_embeddings
from pennyweight.cli.predict_parts import predict_in_parts, require_parts
from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.errors import InputError
from pennyweight.core.figures import duration, number, several
from pennyweight.core.files import require_new
from pennyweight.core.reasons import Reasons

if TYPE_CHECKING:
    from pennyweight.core.prediction import Failure, Prediction

__all__ = ["predict"]

STDOUT = "-"
LISTED = ", for each of which --csv and --jsonl have a row"
Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...",
        help="Pictures, folders, archives (.zip, .tar), tables with a column of paths (.csv, .parquet), or - for a "
        "list on standard input.",
    ),
]


def predict(
    run_or_bundle_or_name: trained_options.Trained,
    paths: Paths,
    max_pixels: options.MaxPixels = None,
    columns: source_options.Columns = None,
    pictures: source_options.Pictures = None,
    ending: source_options.Ending = None,
    weights: trained_options.Weights = None,
    input_size: trained_options.InputSize = None,
    labels: trained_options.Labels = None,
    stem: options.Stem = None,
    config: options.Config = None,
    mean: trained_options.Mean = None,
    std: trained_options.Std = None,
    engine: engine_options.Engine = None,
    threads: engine_options.Threads = None,
    precision: engine_options.Precision = None,
    top: prediction_options.Top = 5,
    csv: prediction_options.Csv = None,
    jsonl: prediction_options.Jsonl = False,
    parts: prediction_options.Parts = None,
    format: prediction_options.Format = None,
    part_size: prediction_options.PartSize = None,
    workers: prediction_options.Workers = None,
    embeddings: prediction_options.Embeddings = None,
    wait: options.Wait = 5.0,
    json: options.Json = False,
) -> None:
    """Classify pictures. A picture that cannot be read is listed with its reason, and the exit status is then 1."""
    settings_of_parts = {"format": format, "part_size": part_size, "workers": workers}
    _require_outputs(paths, {"csv": csv, "jsonl": jsonl, "json": json}, parts, settings_of_parts, embeddings)
    read_as = source_options.read_as(columns, pictures, ending, None)
    usage = trained_options.usage(stem=stem, input_size=input_size, config=config, mean=mean, std=std, labels=labels)
    from pennyweight.core.prediction import Failure
    from pennyweight.verbs.execution import Execution
    from pennyweight.verbs.inputs import require_table
    from pennyweight.verbs.load import classifier_of
    from pennyweight.verbs.predict import predict as verb
    from pennyweight.verbs.ranks import is_first

    require_table(paths, read_as)  # before the network is loaded
    execution = Execution(engine, threads, precision, note=show.note)
    if parts is not None:
        settings = settings_of_parts | {"top": top, "read_as": read_as, "max_pixels": max_pixels}
        predict_in_parts(run_or_bundle_or_name, paths, parts, settings, execution, weights=weights, usage=usage)
        return
    trained = trained_options.open_trained(run_or_bundle_or_name, weights, execution, **usage)
    classifier = classifier_of(trained, execution, max_pixels)
    if embeddings is not None:
        predict_embeddings(classifier, paths, embeddings, read_as)
        return
    sinks = _sinks(csv, min(top, len(classifier.labels)), jsonl=jsonl, json=json)
    found = verb(classifier, paths, top=top, read_as=read_as, wait=wait, note=show.note)
    if not is_first():
        raise typer.Exit(int(sum(isinstance(answer, Failure) for answer in found) > 0))
    done = _write(found, paths, sinks or [answers.as_table()], csv)
    # A table that was printed has the first reasons already.
    alone = bool(sinks) or done.failed.count == done.pictures or done.failed.count > answers.FEW
    _summarize(done, csv, name_failures=alone, listed="" if sinks or done.failed.shown else LISTED)
    raise typer.Exit(int(done.failed.count > 0))


def _sinks(csv: str | None, top: int, *, jsonl: bool, json: bool) -> list[AbstractContextManager[answers.Sink]]:
    """Open the outputs of --csv, --jsonl and --json; none means a table."""
    sinks: list[AbstractContextManager[answers.Sink]] = []
    if csv is not None:
        sinks.append(answers.as_csv(csv, top))
    if jsonl or json:
        sinks.append(answers.as_json_lines() if jsonl else answers.as_json())
    return sinks


def _require_outputs(
    paths: Sequence[str],
    printed: Mapping[str, Any],
    parts: Path | None,
    settings_of_parts: Mapping[str, object],
    embeddings: Path | None,
) -> None:
    """Raise InputError, before anything is loaded, for outputs that cannot be written or would mix."""
    csv, jsonl, json = printed["csv"], printed["jsonl"], printed["json"]
    require_parts(parts, settings_of_parts, printed)
    require_embeddings(embeddings, {**printed, "parts": parts})
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
    failed: Reasons
    """Reasons of the pictures without an answer."""
    seconds: float


def _write(
    found: "Iterator[Prediction | Failure]",
    paths: Sequence[str],
    sinks: Sequence[AbstractContextManager[answers.Sink]],
    csv: str | None,
) -> Done:
    """Write each answer to all of `sinks` as it arrives, and count them."""
    from pennyweight.core.prediction import Failure
    from pennyweight.report.progress_bar import CountProgress
    from pennyweight.verbs.inputs import count_pictures

    failed = Reasons()
    with sharing_cores(), CountProgress("predict", lambda: count_pictures(paths)) as progress:
        try:
            with ExitStack() as stack:
                writes = [stack.enter_context(sink) for sink in sinks]
                for answer in found:
                    if isinstance(answer, Failure):
                        failed.add(answer.source, answer.error)
                    for write in writes:
                        write(answer)
                    progress.advance()
        except BaseException:
            if csv not in (None, STDOUT):
                show.note(f"{csv} is not written, because not all pictures were answered; --jsonl prints each at once")
            raise
    return Done(progress.done, failed, progress.seconds)


def _summarize(done: Done, csv: str | None, *, name_failures: bool, listed: str) -> None:
    """Name the failures by reason, and count what was done, on standard error."""
    failed = done.failed.count
    for line in done.failed.lines("cannot read ", one="") if name_failures else ():
        show.failure(line)
    if done.pictures < 2 or not (failed or csv or done.pictures > answers.PAGE):
        return  # the rows of a short table need no count
    all_of_them = several(done.pictures, "picture")
    answered = f"{number(done.pictures - failed)} of {all_of_them}" if failed else all_of_them
    rate = f", {done.pictures / done.seconds:,.0f} a second" if done.seconds > 0 else ""
    not_read = f"; {number(failed)} could not be read{listed}" if failed else ""
    where = f"; rows in {csv}" if csv not in (None, STDOUT) else ""
    show.note(f"{answered} answered in {duration(done.seconds)}{rate}{not_read}{where}")
