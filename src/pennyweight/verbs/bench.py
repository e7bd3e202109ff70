"""`bench`: the milliseconds, memory and answers of engines on networks, measured side by side on this machine."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import InputError
from pennyweight.core.heap import keeping_memory
from pennyweight.core.machine import cores, machine, versions
from pennyweight.core.noise import seeded_pixels
from pennyweight.core.run import Run
from pennyweight.core.turns import time_in_turns
from pennyweight.runtime import Bundle, Classifier
from pennyweight.runtime.difference import Difference
from pennyweight.runtime.engine import require_batch, require_threads
from pennyweight.verbs.benching.fresh_process import NOTHING, Fresh, measure_fresh
from pennyweight.verbs.benching.pictures import Compared, choose_pictures
from pennyweight.verbs.benching.subjects import Subject, opened_subjects
from pennyweight.verbs.benching.timings import EngineTiming, Timings

__all__ = ["bench"]

REPEATS = 30
BUSY = 0.5
"""Load per core above which a note says that the machine was busy."""
REQUIRE = {"threads": require_threads, "batch": require_batch}
COMPARED_TOGETHER = 16
"""Pictures whose answers are computed together."""


@keeping_memory()
def bench(
    networks: str | os.PathLike[str] | Run | Bundle | Sequence[str | os.PathLike[str] | Run | Bundle],
    *,
    engines: str | Sequence[str] | None = None,
    threads: int | Sequence[int] | None = None,
    batch: int | Sequence[int] | None = None,
    weights: str | os.PathLike[str] | None = None,
    precision: str | None = None,
    source: str | os.PathLike[str] | None = None,
    repeats: int = REPEATS,
    fresh: bool = True,
    note: Callable[[str], None] = lambda line: None,
) -> Timings:
    """Measure engines side by side: latency, throughput, time to ready, memory, file size, and equality of answers.

    The engines of a network take turns, so that a change of the machine's load meets all of them alike.

    Args:
        networks: Bundles, runs and names of networks, one or several. For engines of bundles, runs and names are
            exported to a temporary folder; a name without weights gets fresh ones.
        engines: Engines in the order of the rows; the first one is the reference. By default torch
            (for runs and names), then onnxruntime and openvino if they are installed, but not torch-compiled.
        threads: Threads of one call, one number or several; by default one for each core that the process may use.
        batch: Pictures in one call, one number or several; by default 1.
        weights: Weights for names, as `pw.load` takes them.
        precision: Precision for engines of bundles: "float32" (the default) or "bfloat16".
        source: Pictures on which answers are compared: files, a folder, an archive or a table. By default a folder
            in $PENNYWEIGHT_DATA, else seeded noise; `Timings.answers_on` says which.
        repeats: Timed calls of each engine, at least 2.
        fresh: False leaves out the fresh processes, which measure time to ready and memory.
        note: Callback that is given a line about each export, fresh weights, and a busy machine.

    Returns:
        The rows, with the machine, its load and the pictures; `to_frame` makes a DataFrame.

    Raises:
        InputError: A network or an engine is unknown, an engine cannot execute a network, or a number is out of range.
        MissingPart: An engine is not installed.
    """
    names = [networks] if isinstance(networks, (str, os.PathLike, Run, Bundle)) else list(networks)
    _require(names, repeats)
    plan = _Plan(_numbers("threads", threads, cores()), _numbers("batch", batch, 1), precision, source, repeats, fresh)
    load, notes = _load(), []
    with opened_subjects(names, [engines] if isinstance(engines, str) else engines, weights, note) as subjects:
        if load is not None and load > BUSY * cores():
            notes.append(f"the machine was busy (load {load:.1f}): compare ratios, not milliseconds")
            note(notes[0])
        measured = [plan.measure(subject) for subject in subjects]
    return Timings(
        rows=tuple(row for rows, _ in measured for row in rows),
        answers_on=" and ".join(dict.fromkeys(of for _, of in measured)),
        timed_on="seeded pictures that are decoded and resized already",
        machine=machine(),
        versions=versions(),
        load=load,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=tuple(notes),
    )


def _require(names: Sequence[object], repeats: int) -> None:
    if not names:
        raise InputError("name a bundle, a run or a network to time; bench_machine measures the machine")
    if not isinstance(repeats, int) or repeats < 2:
        raise InputError(f"a median and a spread need at least 2 repeats, not {repeats}")


def _numbers(name: str, given: int | Sequence[int] | None, usual: int) -> tuple[int, ...]:
    """Return numbers, each once. Raises InputError for one that is out of range."""
    if given is None:
        return (usual,)
    found = tuple(dict.fromkeys([given] if isinstance(given, (int, float, str)) else given))
    for each in found:
        REQUIRE[name](each)
    if not found:
        raise InputError(f"{name} needs at least one number, such as {usual}")
    return found


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


@dataclass(frozen=True)
class _Plan:
    """Settings of a measurement."""

    threads: Sequence[int]
    batches: Sequence[int]
    precision: str | None
    source: str | os.PathLike[str] | None
    repeats: int
    fresh: bool

    def measure(self, subject: Subject) -> tuple[list[EngineTiming], str]:
        """Return the rows of a network, and the description of the pictures that were compared."""
        alone = {each: self._alone(subject, each) for each in self._pairs(subject)}  # before this process takes memory
        with _own_threads():
            opened = {pair: subject.open(*pair, self.precision) for pair in self._pairs(subject)}
            preprocess = next(iter(opened.values())).preprocess
            compared = choose_pictures(self.source, subject.source, preprocess)
            answers = {pair: _answers(pair, classifier, compared) for pair, classifier in opened.items()}
            reference = next(iter(answers.values()))
            rows = []
            for batch in self.batches:
                pixels = seeded_pixels(batch, preprocess.shape)
                calls = [partial(_call, pair[1], classifier, pixels) for pair, classifier in opened.items()]
                times = dict(zip(opened, time_in_turns(calls, repeats=self.repeats), strict=True))
                for pair, classifier in opened.items():
                    first = times[subject.engines[0], pair[1]]
                    difference = Difference.of(reference, answers[pair])
                    rows.append(_row(subject, pair, classifier, batch, times[pair], first, alone[pair], difference))
        if "torch" in sys.modules:
            import torch

            torch.compiler.reset()  # programs of this network, of which torch keeps a few
        return rows, compared.of

    def _pairs(self, subject: Subject) -> list[tuple[str, int]]:
        return [(engine, threads) for threads in self.threads for engine in subject.engines]

    def _alone(self, subject: Subject, pair: tuple[str, int]) -> Fresh:
        if not self.fresh:
            return NOTHING
        engine, threads = pair
        precision = None if engine.startswith("torch") else self.precision
        return measure_fresh(**subject.what(engine), engine=engine, threads=threads, precision=precision)


@contextmanager
def _own_threads() -> Any:
    """Give torch its number of threads back at the end."""
    loaded = sys.modules.get("torch")
    threads = loaded.get_num_threads() if loaded is not None else None
    try:
        yield
    finally:
        if loaded is not None and threads is not None:
            loaded.set_num_threads(threads)


def _call(threads: int, classifier: Classifier, pixels: Any) -> object:
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(threads)  # of the whole process, unlike those of other engines
    return classifier.engine(pixels)


def _answers(pair: tuple[str, int], classifier: Classifier, compared: Compared) -> NDArray[np.float32]:
    """Return the probabilities (N, classes) of an engine."""
    engine, threads = pair
    step = 1 if engine == "torch-compiled" else COMPARED_TOGETHER  # each size is compiled
    parts = [compared.pixels[start : start + step] for start in range(0, len(compared.pixels), step)]
    return np.concatenate([_call(threads, classifier, part).probabilities for part in parts])  # type: ignore[attr-defined]


def _row(
    subject: Subject,
    pair: tuple[str, int],
    classifier: Classifier,
    batch: int,
    times: Sequence[float],
    first: Sequence[float],
    alone: Fresh,
    difference: Difference,
) -> EngineTiming:
    engine, threads = pair
    median = statistics.median(times)
    return EngineTiming(
        network=subject.name,
        engine=getattr(classifier.engine, "name", engine),
        precision=getattr(classifier.engine, "precision", "float32"),
        threads=threads,
        batch=batch,
        repeats=len(times),
        minimum_ms=min(times),
        median_ms=median,
        p90_ms=float(np.quantile(times, 0.9)),
        pictures_per_s=1000 * batch / median,
        times_faster=statistics.median(a / b for a, b in zip(first, times, strict=True)),
        ready_s=alone.ready_s,
        ready_cpu_s=alone.ready_cpu_s,
        resident_bytes=alone.resident_bytes,
        file_bytes=subject.file_bytes(engine),
        same_top1=difference.same_top1,
        pictures=difference.pictures,
        largest_probability_difference=difference.probability,
    )
