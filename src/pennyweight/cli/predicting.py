"""Predictions, from the command line's words to the exit status, without Typer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pennyweight.cli import answers, show
from pennyweight.cli.opening import open_trained
from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.errors import InputError
from pennyweight.core.figures import duration, number, several
from pennyweight.core.files import require_new
from pennyweight.core.reasons import Reasons

if TYPE_CHECKING:
    from pennyweight.core.prediction import Failure, Prediction
    from pennyweight.runtime import Classifier

__all__ = ["Outputs", "PredictRequest", "predict_and_print"]

STDOUT = "-"
LISTED = ", for each of which --csv and --jsonl have a row"


class Outputs(NamedTuple):
    """Outputs of `predict`, each named like its option; a table is printed if there is no other."""

    top: int = 5
    csv: str | None = None
    jsonl: bool = False
    json: bool = False
    parts: Path | None = None
    format: str | None = None
    part_size: int | None = None
    workers: int | None = None
    embeddings: Path | None = None

    @property
    def settings_of_parts(self) -> dict[str, Any]:
        """Settings that only parts have."""
        return {"format": self.format, "part_size": self.part_size, "workers": self.workers}

    def require_possible(self, paths: Sequence[str]) -> None:
        """Raise InputError, before anything is loaded, for outputs that cannot be written or would mix."""
        printed = {"csv": self.csv, "jsonl": self.jsonl, "json": self.json}
        if self.parts is not None or any(value is not None for value in self.settings_of_parts.values()):
            from pennyweight.cli.predict_parts import require_parts

            require_parts(self.parts, self.settings_of_parts, printed)
        if self.embeddings is not None:
            from pennyweight.cli.predict_embeddings import require_embeddings

            require_embeddings(self.embeddings, {**printed, "parts": self.parts})
        given = (("--csv -", self.csv == STDOUT), ("--jsonl", self.jsonl), ("--json", self.json))
        on_stdout = [name for name, is_given in given if is_given]
        if len(on_stdout) > 1:
            both = " and ".join(on_stdout)
            raise InputError(f"{both} both print on standard output; keep one, or name a file for --csv")
        if self.csv is not None and self.csv != STDOUT:
            require_new(Path(self.csv))
        if self.jsonl and paths[-1].endswith(".jsonl") and not Path(paths[-1]).exists():
            raise InputError(
                f"--jsonl prints on standard output, and there is no {paths[-1]}; did you mean > {paths[-1]}?"
            )

    def sinks(self, labels: int) -> list[AbstractContextManager[answers.Sink]]:
        """Open the outputs of --csv, --jsonl and --json for that number of labels; without them a table is printed."""
        sinks: list[AbstractContextManager[answers.Sink]] = []
        if self.csv is not None:
            sinks.append(answers.as_csv(self.csv, min(self.top, labels)))
        if self.jsonl or self.json:
            sinks.append(answers.as_json_lines() if self.jsonl else answers.as_json())
        return sinks


class PredictRequest(NamedTuple):
    """Values of a `predict` command; a field that is not given has the default of its option."""

    trained: str
    """Run, bundle or name."""
    paths: list[str]
    outputs: Outputs = Outputs()
    weights: str | None = None
    usage: Mapping[str, Any] = {}
    """Usage of the weights, as `pw.load` takes it."""
    read_as: Mapping[str, Any] | None = None
    max_pixels: int | None = None
    engine: str | None = None
    threads: int | None = None
    precision: str | None = None
    wait: float = 5.0
    strangers: str = "flag"
    least_typical: float | None = None


def predict_and_print(asked: PredictRequest) -> int:
    """Classify pictures, write the outputs, and return the exit status: 1 if a picture has no prediction."""
    from pennyweight.core.prediction import Failure
    from pennyweight.core.strangers import StrangerRule
    from pennyweight.verbs.execution import Execution
    from pennyweight.verbs.inputs import require_table
    from pennyweight.verbs.load import classifier_of
    from pennyweight.verbs.predict import predict
    from pennyweight.verbs.ranks import is_first

    outputs, paths, read_as = asked.outputs, asked.paths, asked.read_as
    require_table(paths, read_as)  # before the network is loaded
    _require_answers(asked)
    execution = Execution(asked.engine, asked.threads, asked.precision, note=show.note)
    if outputs.parts is not None:
        from pennyweight.cli.predict_parts import predict_in_parts

        settings = {
            **outputs.settings_of_parts,
            "top": outputs.top,
            "read_as": read_as,
            "max_pixels": asked.max_pixels,
            "strangers": StrangerRule(asked.strangers, asked.least_typical),
        }
        return predict_in_parts(
            asked.trained, paths, outputs.parts, settings, execution, weights=asked.weights, usage=asked.usage
        )
    trained = open_trained(asked.trained, asked.weights, execution, **asked.usage)
    classifier = classifier_of(trained, execution, asked.max_pixels)
    if (asked.strangers, asked.least_typical) != ("flag", None):
        classifier = classifier.with_strangers(asked.strangers, asked.least_typical)
    if outputs.embeddings is not None:
        from pennyweight.cli.predict_embeddings import predict_embeddings

        return predict_embeddings(classifier, paths, outputs.embeddings, read_as)
    sinks = outputs.sinks(len(classifier.labels))
    found = predict(classifier, paths, top=outputs.top, read_as=read_as, wait=asked.wait, note=show.note)
    if not is_first():
        return int(sum(isinstance(answer, Failure) for answer in found) > 0)
    strange = Strange()
    found = _counting(found, classifier, strange)
    done = _write(found, paths, sinks or [answers.as_table(classifier.is_strange)], outputs.csv)
    if (held_out := classifier.held_out) is not None:
        least = classifier.stranger_rule.limit(held_out)
        show.strangers(strange.count, strange.measured, least, held_out.expected(least))
    # A table that was printed has the first reasons already.
    alone = bool(sinks) or done.failed.count == done.pictures or done.failed.count > answers.FEW
    _summarize(
        done,
        outputs.csv,
        name_failures=alone,
        listed="" if sinks or done.failed.shown else LISTED,
    )
    return int(done.failed.count > 0)


def _require_answers(asked: PredictRequest) -> None:
    """Raise InputError for a rule about answers where features are written, which no rule decides."""
    rules = {"--strangers refuse": asked.strangers == "refuse", "--least-typical": asked.least_typical is not None}
    if asked.outputs.embeddings is not None and (given := [name for name, is_given in rules.items() if is_given]):
        raise InputError(
            f"--embeddings writes the features of every picture, and {given[0]} decides which pictures are answered; "
            "leave one out"
        )


@dataclass
class Strange:
    """Count of the pictures that were compared with what the network was taught, and of those unlike it."""

    measured: int = 0
    count: int = 0


class Done(NamedTuple):
    """Counts of a finished `predict`."""

    pictures: int
    failed: Reasons
    """Reasons of the pictures without an answer."""
    seconds: float


def _write(
    found: Iterator[Prediction | Failure],
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


def _counting(
    found: Iterator[Prediction | Failure], classifier: Classifier, strange: Strange
) -> Iterator[Prediction | Failure]:
    """Yield the answers, and count those to strangers."""
    for answer in found:
        strange.measured += answer.typical is not None
        strange.count += classifier.is_strange(answer)
        yield answer


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
    without = f"; {done.failed.in_words}{listed}" if failed else ""
    where = f"; rows in {csv}" if csv not in (None, STDOUT) else ""
    show.note(f"{answered} answered in {duration(done.seconds)}{rate}{without}{where}")
