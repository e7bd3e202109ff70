"""Count the pictures that are unlike what a network was taught: strangers that are caught, or a new source's shift."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.figures import fine_share, number, several, share
from pennyweight.core.files import as_stored
from pennyweight.core.images import Pixels
from pennyweight.core.intervals import wilson
from pennyweight.core.picture_content import path_of
from pennyweight.core.prediction import Failure
from pennyweight.core.run import Run
from pennyweight.core.strangers import Strangers
from pennyweight.core.summary import Facts, Summary
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.core.typicality import HeldOut
from pennyweight.core.walk import Walk
from pennyweight.data.digests import Digests
from pennyweight.data.training_pictures import seen_among
from pennyweight.runtime import Bundle, Classifier, NamedPicture
from pennyweight.runtime.batches import answer_in_batches
from pennyweight.runtime.engine import TORCH_COMPILED
from pennyweight.verbs.addresses import fetched, is_address
from pennyweight.verbs.execution import Execution
from pennyweight.verbs.inputs import LIST, with_content
from pennyweight.verbs.known_pictures import digested
from pennyweight.verbs.load import COMPILED, Trained, classifier_of, open_trained
from pennyweight.verbs.predict import pictures_of
from pennyweight.verbs.scenes.scene_run import refuse_scene_run

__all__ = ["Untypical", "measure_strangers", "require_pictures", "require_typicality"]

UNTAUGHT = (
    "this network does not know how typical a picture is: published weights, whole networks in folds and earlier "
    "versions do not; train and export it again"
)
SHARES = (0.01, 0.05)
LISTED, NAMED = 20, 5


@dataclass(frozen=True, kw_only=True)
class Flagged:
    """Pictures that are at most `least_typical` typical."""

    least_typical: float
    expected: float
    """Share of own pictures that are flagged as well: `least_typical`, rounded down to what held-out pictures tell."""
    pictures: int
    share: float
    interval: tuple[float, float]
    """95% interval of the share."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Untypical(Summary):
    """Result of `measure_strangers`."""

    source: str
    pictures: int
    held_out: int
    """Held-out pictures of the network's training, with which these are compared."""
    auroc: float
    """Probability that one of these is stranger than a held-out picture, with half of the ties: about 0.5 for pictures
    like training's."""
    flagged: tuple[Flagged, ...]
    """Counts for 1% and 5%, or for what few held-out pictures can tell; each expected share once."""
    least_typical: tuple[tuple[str, float], ...]
    """The least typical pictures with their `typical`, the least first."""
    unreadable: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON keeps them."""
        return asdict(self)

    def _facts(self) -> Facts:
        yield "source", self.source
        yield "pictures", number(self.pictures)
        for each in self.flagged:
            yield f"at {share(each.expected)} of own pictures", f"{number(each.pictures)} ({share(each.share)})"
        yield "AUROC", f"{self.auroc:.3f} against {number(self.held_out)} held-out pictures"

    @property
    def caught_line(self) -> str:
        """Line about strangers that were shown on purpose."""
        counts = ", ".join(f"{share(each.share)} at {100 * each.expected:.3g}%" for each in self.flagged)
        return (
            f"strangers in {self.source}: of {number(self.pictures)} pictures {counts} false alarms are caught; AUROC "
            f"{self.auroc:.3f} against {number(self.held_out)} held-out pictures{self._unread}"
        )

    @property
    def shift_line(self) -> str:
        """Line about a new source, whose pictures should be like training's."""
        last = self.flagged[-1]
        return f"{share(last.share)} of these are unlike training; {100 * last.expected:.3g}% expected{self._unread}"

    @property
    def _unread(self) -> str:
        return f"; {number(self.unreadable)} could not be read" if self.unreadable else ""

    @property
    def least_line(self) -> str:
        """Line that names the least typical pictures."""
        named = ", ".join(f"{name} ({fine_share(value)})" for name, value in self.least_typical[:NAMED])
        return f"least typical: {named}"


def measure_strangers(
    run_or_bundle: str | os.PathLike[str] | Trained | Classifier,
    pictures: data.AnySource,
    *,
    max_pixels: int | None = None,
    engine: str | None = None,
    threads: int | None = None,
    precision: str | None = None,
    note: Callable[[str], None] = lambda line: None,
) -> Untypical:
    """Measure how many pictures are unlike anything that a network was taught.

    Args:
        run_or_bundle: Run or bundle that `pw.load` takes, or the Classifier that it returned.
        pictures: Pictures as `pw.predict` takes them; labels are not needed. Those that training has seen are left
            out, which a Classifier does not know: they are more typical than pictures that come later.
        max_pixels: Pixels of the largest picture to read; by default 80 million.
        engine: Engine, as `pw.load` takes it, as are `threads` and `precision`; a Classifier has its own.
        threads: Threads of one call.
        precision: "float32" or "bfloat16".
        note: Callback that is given a line about files that were skipped or left out.

    Returns:
        Counts with their 95% intervals, AUROC and the least typical pictures.

    Raises:
        InputError: The network does not know how typical a picture is.
        SourceError: There are no pictures, none can be read, or training has seen every one.
    """
    execution = Execution(engine, threads, precision, note)
    if isinstance(run_or_bundle, Classifier):
        if (engine, threads, precision) != (None, None, None):
            raise InputError("a Classifier has its engine, threads and precision; give them to pw.load")
        classifier, training = run_or_bundle.with_max_pixels(max_pixels), None
    else:
        trained = open_trained(run_or_bundle, execution=execution)
        require_typicality(trained, execution)
        classifier = classifier_of(trained, execution, max_pixels)
        training = trained.training_digests if isinstance(trained, (Run, Bundle)) else None
    if classifier.held_out is None:
        raise InputError(classifier.no_typicality or UNTAUGHT)
    require_pictures(pictures)
    where = _name_of(pictures)
    answers, seen = _answers(classifier, pictures, training, note)
    measured = [answer for answer in answers if isinstance(answer, _Measured)]
    if seen and not measured:
        raise SourceError(
            f"training has seen every picture of {where} that can be read, so that none tells of new ones"
        )
    if not measured:
        raise SourceError(f"{where} has no picture that can be read")
    if seen:
        note(f"{several(seen, 'picture')} of {where} left out of typicality: training has seen them")
    return _untypical(where, measured, classifier.held_out, len(answers) - len(measured))


def require_typicality(trained: Trained, execution: Execution) -> None:
    """Raise InputError for a network or an engine that does not know how typical a picture is, without loading it."""
    if isinstance(trained, Run):
        refuse_scene_run(trained, "evaluate")
        if trained.typicality is not None and execution.engine == TORCH_COMPILED:
            raise InputError(COMPILED)
        held_out = None if trained.typicality is None else trained.typicality[1]
    else:
        held_out = trained.manifest.held_out if isinstance(trained, Bundle) else None
    if held_out is None:
        raise InputError(UNTAUGHT)


def require_pictures(pictures: data.AnySource) -> None:
    """Raise SourceError for a path where nothing lies, and for a folder without pictures."""
    if not isinstance(pictures, (str, os.PathLike)):
        return
    text = os.fspath(pictures)
    if text == LIST or is_address(text):
        return
    place = as_stored(Path(path_of(text, text)))
    if not place.exists():
        rule = f"; '{text}' is a rule of `predict --strangers`, and pictures are meant here"
        raise SourceError(
            f"no pictures at {text}; give a folder or a picture{rule if text in get_args(Strangers) else ''}"
        )
    if place.is_dir() and next(Walk(place).pictures(), None) is None:
        raise SourceError(f"{text} has no picture that can be read")


class _Measured(NamedTuple):
    """Picture with its strangeness."""

    source: str
    strangeness: float


def _answers(
    classifier: Classifier,
    pictures: data.AnySource,
    training: TrainingDigests | None,
    note: Callable[[str], None],
) -> tuple[list[_Measured | Failure], int]:
    """Measure the pictures that training has not seen, and count the others.

    This process measures all: `evaluate` calls it on the first rank, after the others have ended.
    """
    digests: list[Digests] = []
    if isinstance(pictures, data.Source):
        samples = pictures.samples if training is None else data.exclude_seen(pictures.samples, training)
        return list(_measure(classifier, _of_source(pictures, samples))), len(pictures.samples) - len(samples)
    found = fetched(map(with_content, pictures_of(pictures, None, note)))
    answers = list(_measure(classifier, found if training is None else digested(found, digests)))
    if training is None:
        return answers, 0
    known = seen_among(digests, training)
    return [answer for answer, seen in zip(answers, known.tolist(), strict=True) if not seen], int(known.sum())


def _of_source(source: data.Source, samples: Sequence[data.Sample]) -> Iterator[NamedPicture | Failure]:
    """Yield some samples of a source, and a Failure for each picture that could not be read when it was opened."""
    yield from (NamedPicture(sample.where, sample.read()) for sample in samples)
    yield from (Failure(source=each.name, error=each.reason) for each in source.unreadable)


def _measure(classifier: Classifier, pictures: Iterable[NamedPicture | Failure]) -> Iterator[_Measured | Failure]:
    """Measure the strangeness of pictures in batches, whatever the classifier's rule for strangers."""
    return answer_in_batches(pictures, classifier.preprocess, classifier.engine, _strangeness, _measured, None)


def _strangeness(pixels: Pixels, engine: Any) -> NDArray[np.float32]:
    """Compute the strangeness of pixels, (B, 1)."""
    found: NDArray[np.float32] = engine.with_strangeness(pixels).strangeness[:, None]
    return found


def _measured(source: str, row: NDArray[np.float32]) -> _Measured | Failure:
    if not np.isfinite(row).all():
        return Failure(source=source, error=f"no prediction for {source}: the network gives NaN or infinity")
    return _Measured(source, float(row[0]))


def _untypical(where: str, measured: Sequence[_Measured], held_out: HeldOut, unreadable: int) -> Untypical:
    """Compare the strangeness of pictures with that of held-out pictures."""
    strangeness = np.array([each.strangeness for each in measured], np.float32)
    typical = held_out.typical(strangeness)
    limits: dict[float, float] = {}  # few held-out pictures give 1% and 5% the same expected share
    for least in sorted(max(each, held_out.finest) for each in SHARES):
        limits.setdefault(held_out.expected(least), least)
    order = np.argsort(typical, kind="stable")[:LISTED]
    return Untypical(
        source=where,
        pictures=len(measured),
        held_out=len(held_out),
        auroc=held_out.auroc(strangeness),
        flagged=tuple(_flagged(typical, least, expected) for expected, least in limits.items()),
        least_typical=tuple((measured[place].source, float(typical[place])) for place in order.tolist()),
        unreadable=unreadable,
    )


def _name_of(pictures: data.AnySource) -> str:
    if isinstance(pictures, data.Source):
        return pictures.name
    return os.fspath(pictures) if isinstance(pictures, (str, os.PathLike)) else "the given pictures"


def _flagged(typical: NDArray[np.float64], least: float, expected: float) -> Flagged:
    """Count the pictures that are at most `least` typical."""
    found = int((typical <= least + 1e-12).sum())
    return Flagged(
        least_typical=least,
        expected=expected,
        pictures=found,
        share=found / len(typical),
        interval=wilson(found, len(typical)),
    )
