"""Life cycle of a run, of pictures or of a scene: claim its folder, train with checkpoints, score, report, seal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from shutil import rmtree
from time import perf_counter
from typing import Any

from rich.console import Console

from pennyweight.core.busy_wait import describe_thread_waiting
from pennyweight.core.files import read_lines, write_json, write_lines, write_text
from pennyweight.core.machine import quota_line
from pennyweight.core.run import Run, write_record
from pennyweight.core.run_folder import RunFolder
from pennyweight.core.run_record import RunRecord
from pennyweight.core.signals import deferring_signals
from pennyweight.report.progress import TrainingProgress
from pennyweight.train import Checkpointer, Checkpoints, Epoch, Ranks
from pennyweight.verbs.fitting.resume import features_saved, folds_saved, noting_how_to_resume, resume_note
from pennyweight.verbs.fitting.run_folder import claiming_run_folder

__all__ = ["RunSession", "Terms", "opening_run"]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Settings that every run has, of pictures or of a scene."""

    out: str | PathLike[str] | None
    """Folder of the run; None for the next of runs/NAME-N."""
    resume: bool
    save_minutes: float
    """Minutes from one checkpoint to the next."""
    progress: bool
    """Show progress on standard error."""
    started: float
    """Moment at which `fit` began, of `perf_counter`."""
    ranks: Ranks


class RunSession:
    """Run that `fit` works on, from its claimed folder to its sealed record. The first rank alone writes."""

    def __init__(self, files: RunFolder, record: RunRecord | None, terms: Terms, shown: TrainingProgress) -> None:
        self.files = files
        self.terms = terms
        self.shown = shown
        self.ranks = terms.ranks
        self.begins = record is None
        """True for a new run; false for one that resumes, or that is complete."""
        self.checkpoints = Checkpoints(files.checkpoints_path, shown.note)
        self.checkpointer = Checkpointer()
        self._record = record

    @property
    def record(self) -> RunRecord:
        """The content of run.json. `begin` gives it to a new run."""
        assert self._record is not None
        return self._record

    @property
    def is_complete(self) -> bool:
        """True for a run that was finished before."""
        return self._record is not None and self._record.is_complete

    def finished(self) -> Run:
        """Note that the run is complete, and return it unchanged."""
        self.shown.note(f"run {self.files.folder} is complete; nothing was changed")
        return Run(self.files.folder)

    def announce(self, *notes: str) -> None:
        """Note the plan, the folder, and whether training begins or resumes."""
        kept = self.checkpoints.latest() is not None or features_saved(self.files) or folds_saved(self.files)
        saved = not self.begins and kept
        where = f"run {self.files.folder}" + resume_note(self.terms.resume, begins=not saved)
        for note in filter(None, (*notes, quota_line(), where)):
            self.shown.note(note)

    def begin(self, record: RunRecord, *files: Path) -> None:
        """Write the record of a new run, with the digests of `files`, which were written before."""
        self._record = record
        self.write(*files)

    def write(self, *files: Path, **changes: Any) -> None:
        """Write run.json with `changes`, and with the digests of `files`."""
        self.amend(**changes)
        if not self.ranks.number:
            values = self.record.to_dict()
            write_record(self.files.record_path, values, *files)
            self._record = RunRecord.from_dict(values)

    def amend(self, **changes: Any) -> None:
        """Change the record in memory; the next `write` keeps it."""
        self._record = replace(self.record, **changes)

    @contextmanager
    def training(self) -> Iterator[Checkpointer]:
        """Give the checkpointer of the training inside. A signal waits until the checkpoint is saved.

        After the training the first rank works alone, and run.json has the digest of the weights that are scored.
        """
        with deferring_signals() as stop:
            spent_s = perf_counter() - self.terms.started
            every_s = self.terms.save_minutes * 60
            self.checkpointer = Checkpointer(self.checkpoints, every_s=every_s, stop=stop, spent_s=spent_s)
            yield self.checkpointer
        self.ranks.end_others()
        self.write(self.files.weights_path)

    def part(self, name: str) -> RunSession:
        """Return a session of the training without a fold, with checkpoints of its own, which the same signal ends."""
        part = RunSession(RunFolder(self.files.folds_path / name), self._record, self.terms, self.shown)
        part.files.folder.mkdir(parents=True, exist_ok=True)
        part.checkpointer = Checkpointer(
            part.checkpoints, every_s=self.checkpointer.every_s, stop=self.checkpointer.stop
        )
        return part

    def keep_metrics(self, epochs: Sequence[Epoch]) -> None:
        """Write every epoch's line: a run that was killed may have more lines than epochs in its checkpoint."""
        write_lines(self.files.metrics_path, [epoch.to_dict() for epoch in epochs])

    def seal(self, best: Epoch, evaluation: Mapping[str, Any], page: Callable[[Mapping[str, Any], Any], str]) -> Run:
        """Write the scores, the report and, last, the record that calls the run complete.

        `page` makes the report of what run.json holds and of the lines of metrics.jsonl.
        """
        self.amend(
            status="complete",
            best=best.to_dict(),
            seconds=round(self.checkpointer.spent_s, 1),
            waiting=describe_thread_waiting(),
        )
        html = page(self.record.to_dict(), read_lines(self.files.metrics_path))
        write_json(self.files.evaluation_path, dict(evaluation))
        write_text(self.files.report_path, html)
        self.write(self.files.evaluation_path)
        for path in (self.files.features_path, self.files.folds_path):
            rmtree(path, ignore_errors=True)
        return Run(self.files.folder)


@contextmanager
def opening_run(name: str, terms: Terms, *, asked: Mapping[str, Any], epochs: int) -> Iterator[RunSession]:
    """Claim a run's folder, and give its session; `name` is that of runs/NAME-N, `epochs` are those shown at first.

    `asked` are the settings that a resumed run must have in common with the command before. An interruption, or a full
    disk, is followed by a line about what was saved. Raises RunError where the folder cannot be had.
    """
    console = None if terms.progress and not terms.ranks.number else Console(quiet=True)
    claim = claiming_run_folder(terms.out, name, resume=terms.resume, asked=asked, ranks=terms.ranks)
    with claim as (folder, record), TrainingProgress(epochs, console) as shown:
        files = RunFolder(folder)
        with noting_how_to_resume(files, shown.note):
            yield RunSession(files, record, terms, shown)
