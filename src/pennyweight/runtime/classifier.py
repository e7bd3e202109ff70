"""Classify pictures with any engine: decode and preprocess in threads, compute in batches, return predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import BundleError, ImageError, InputError, received
from pennyweight.core.files import as_text
from pennyweight.core.images import Pixels
from pennyweight.core.picture_content import AnyPicture, is_one_picture, name_of_picture
from pennyweight.core.prediction import Failure, Prediction
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.reasons import UNANSWERED
from pennyweight.core.strangers import StrangerRule
from pennyweight.core.summary import Facts, Summary, classes
from pennyweight.core.typicality import HeldOut
from pennyweight.runtime.batches import NamedPicture, answer_in_batches

__all__ = ["Classifier", "Embedding", "Engine", "FeatureEngine", "NamedPicture", "Outputs", "SharedEngine", "Strange"]


class Outputs(NamedTuple):
    """Outputs of an engine, each (B, classes)."""

    probabilities: NDArray[np.float32]
    logits: NDArray[np.float32]


class Strange(NamedTuple):
    """Probabilities, and how unlike training each picture is."""

    probabilities: NDArray[np.float32]
    """(B, classes)."""
    strangeness: NDArray[np.float32]
    """(B,)."""


class Engine(Protocol):
    """Callable that executes a network on pixels from `Preprocess`: (B, H, W, C) uint8 -> Outputs."""

    def __call__(self, pixels: Pixels) -> Outputs: ...


@runtime_checkable
class SharedEngine(Protocol):
    """Engine whose `shared` engine several threads may call at once; each call computes on one thread."""

    @property
    def shared(self) -> Engine: ...


@runtime_checkable
class FeatureEngine(Protocol):
    """Engine that also gives the features before the network's last layer."""

    def features(self, pixels: Pixels) -> NDArray[np.float32]:
        """Compute the features, (B, F), of pixels."""


class Embedding(NamedTuple):
    """Features of one picture."""

    source: str
    features: NDArray[np.float32]
    """(F,) float32."""


@dataclass(frozen=True, repr=False)
class Classifier(Summary):
    """Engine with its labels and its preprocessing."""

    engine: Engine
    """Executes the network."""
    labels: tuple[str, ...]
    """Name of each class, in the order of the network's outputs."""
    preprocess: Preprocess
    """Turns a picture into the network's input."""
    held_out: HeldOut | None = None
    """Calibrates `Prediction.typical`, which the engine measures; None where `fit` kept no training features."""
    stranger_rule: StrangerRule = field(default_factory=StrangerRule)
    """Rule for pictures that are unlike anything the network was taught."""
    no_typicality: str | None = None
    """Reason that `held_out` is None where `fit` kept training features."""

    def predict(
        self, images: AnyPicture | Iterable[AnyPicture], top: int = 5, *, batch: int | None = None
    ) -> list[Prediction]:
        """Classify pictures and return a list; `stream` does the same one by one.

        Args:
            images: One picture or several: paths, open binary files (read from their position), bytes of files, uint8
                arrays (H, W, C) or Pillow images; an array (N, H, W, C) is N pictures.
            top: Number of most probable classes in each prediction.
            batch: Pictures computed together; by default as many as suit the input size.

        Returns:
            One Prediction per picture, in order.

        Raises:
            ImageError: A picture cannot be read, or the rule refuses it; the message names the first one.
            InputError: `top` or `batch` is below 1, or `images` holds something else than pictures.
        """
        predictions = []
        for answer in self.stream(images, top, batch=batch):
            if isinstance(answer, Failure):
                raise ImageError(answer.error)
            predictions.append(answer)
        return predictions

    def stream(
        self, images: AnyPicture | Iterable[AnyPicture], top: int = 5, *, batch: int | None = None
    ) -> Iterator[Prediction | Failure]:
        """Classify any number of pictures in bounded memory; threads decode them.

        Args:
            images: Pictures as `predict` takes them; the iterable may be endless.
            top: Number of most probable classes in each prediction.
            batch: Pictures computed together; by default as many as suit the input size.

        Yields:
            One Prediction per picture, in order; a Failure with its reason for one that cannot be read or is refused.

        Raises:
            InputError: `top` or `batch` is below 1, or `images` holds something else than pictures.
        """
        return self.stream_named(_with_names(images), top, batch=batch)

    def with_max_pixels(self, max_pixels: int | None) -> Classifier:
        """Return the classifier with another limit of pixels per picture.

        Args:
            max_pixels: Largest width × height that is decoded; None keeps the present limit.

        Returns:
            A new classifier with the same engine, or this one for None.

        Raises:
            InputError: `max_pixels` is below 1.
        """
        if max_pixels is None:
            return self
        return replace(self, preprocess=replace(self.preprocess, max_pixels=max_pixels))

    def with_strangers(self, strangers: str = "flag", least_typical: float | None = None) -> Classifier:
        """Return the classifier with another rule for pictures that are unlike anything it was taught.

        Args:
            strangers: "flag" answers with `Prediction.typical`, "refuse" gives a Failure in place of the answer, and
                "ignore" does not compute `typical`.
            least_typical: Largest `typical` of a stranger; by default 0.01, or what fewer than 99 held-out pictures
                can tell, up to 0.05.

        Returns:
            A new classifier with the same engine.

        Raises:
            InputError: The rule is unknown, or the network does not know how typical a picture is.
        """
        rule = StrangerRule(strangers, least_typical)
        rule.require(self.held_out, self.no_typicality)
        return replace(self, stranger_rule=rule)

    @property
    def calibration(self) -> HeldOut | None:
        """Held-out pictures that calibrate `typical`; None where strangers are ignored, and for a network without."""
        return None if self.stranger_rule.strangers == "ignore" else self.held_out

    def is_strange(self, answer: Prediction | Failure) -> bool:
        """Return True for the answer to a picture that is unlike anything the network was taught."""
        return self.stranger_rule.is_strange(answer, self.held_out)

    def stream_named(
        self, pictures: Iterable[NamedPicture | Failure], top: int = 5, *, batch: int | None = None
    ) -> Iterator[Prediction | Failure]:
        """Classify pictures that have names, as `stream` does; a Failure among them keeps its place."""
        if top < 1:
            raise InputError(f"top must be at least 1, not {top}")
        answer = partial(self._prediction, top=top)
        compute = self.probabilities if self.calibration is None else self._with_strangeness
        return answer_in_batches(pictures, self.preprocess, self.engine, compute, answer, batch)

    def embed(self, images: AnyPicture | Iterable[AnyPicture], *, batch: int | None = None) -> NDArray[np.float32]:
        """Compute the features of pictures, for search and clustering: what the network's last layer takes.

        Args:
            images: Pictures as `predict` takes them.
            batch: Pictures computed together; by default as many as suit the input size.

        Returns:
            (N, F) float32, in the order of the pictures.

        Raises:
            ImageError: A picture cannot be read; the message names the first one.
            InputError: `batch` is below 1, or `images` holds something else than pictures.
            BundleError: The bundle gives no features.
        """
        rows = []
        for answer in self.embed_named(_with_names(images), batch=batch):
            if isinstance(answer, Failure):
                raise ImageError(answer.error)
            rows.append(answer.features)
        return np.stack(rows) if rows else self._no_features()

    def embed_named(
        self, pictures: Iterable[NamedPicture | Failure], *, batch: int | None = None
    ) -> Iterator[Embedding | Failure]:
        """Compute the features of pictures that have names, in bounded memory; a Failure among them keeps its place."""
        if not isinstance(self.engine, FeatureEngine):
            raise InputError(f"{type(self.engine).__name__} gives no features; load a bundle, a run or a named network")
        return answer_in_batches(pictures, self.preprocess, self.engine, _features, Embedding, batch)

    def _no_features(self) -> NDArray[np.float32]:
        """Return the features of no pictures, (0, F)."""
        return _features(np.zeros((1, *self.preprocess.shape), np.uint8), self.engine)[:0]

    def probabilities(self, pixels: Pixels, engine: Engine | None = None) -> NDArray[np.float32]:
        """Compute the probabilities of preprocessed pixels.

        Args:
            pixels: (B, H, W, C) uint8, from `preprocess`.
            engine: Engine to use instead of the classifier's own.

        Returns:
            Probabilities, (B, classes).

        Raises:
            InputError: The pixels have another shape or type.
            BundleError: The engine gives another number of classes than there are labels.
        """
        if pixels.shape[1:] != self.preprocess.shape or pixels.dtype != np.uint8:
            raise InputError(
                f"preprocessed pictures are uint8 of shape (B, {', '.join(map(str, self.preprocess.shape))}), not "
                f"{pixels.dtype} {pixels.shape}; `predict` takes any picture"
            )
        return self._checked((engine or self.engine)(pixels).probabilities, pixels)

    def measured(self, pixels: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the probabilities (B, classes) of preprocessed pixels, and `typical` (B,): 1 without `calibration`."""
        if self.calibration is None:
            return self.probabilities(pixels), np.ones(len(pixels))
        found = self._with_strangeness(pixels, self.engine)
        return found[:, :-1], self.calibration.typical(found[:, -1])

    def _with_strangeness(self, pixels: Pixels, engine: Any) -> NDArray[np.float32]:
        """Compute probabilities, and the strangeness as one more column, (B, classes + 1)."""
        found = engine.with_strangeness(pixels)
        return np.column_stack([self._checked(found.probabilities, pixels), found.strangeness])

    def _checked(self, found: NDArray[np.float32], pixels: Pixels) -> NDArray[np.float32]:
        """Return the probabilities of pixels. Raises BundleError for another number of classes than of labels."""
        if found.shape != (len(pixels), len(self.labels)):
            raise BundleError(
                f"the network gives {'×'.join(map(str, found.shape))} values for {len(pixels)} pictures; it has "
                f"{len(self.labels)} labels"
            )
        return found

    def _prediction(self, source: str, row: NDArray[np.float32], top: int) -> Prediction | Failure:
        probabilities = row[: len(self.labels)]
        if not np.isfinite(probabilities).all():
            return Failure(source=source, error=f"{UNANSWERED}{source}: the network gives NaN or infinity")
        best = np.argsort(-probabilities, kind="stable")[:top]
        ranked = tuple((self.labels[number], float(probabilities[number])) for number in best)
        typical = None if self.calibration is None else float(self.calibration.typical(row[-1:])[0])
        found = Prediction(source=source, label=ranked[0][0], probability=ranked[0][1], top=ranked, typical=typical)
        return self.stranger_rule.apply(found, self.held_out)

    def _facts(self) -> Facts:
        yield "engine", getattr(self.engine, "name", type(self.engine).__name__)
        height, width, channels = self.preprocess.shape
        yield "input", f"{channels}×{height}×{width}"
        yield classes(self.labels)
        if self.calibration is not None:
            yield "typicality", self.calibration.in_words


def _features(pixels: Pixels, engine: Any) -> NDArray[np.float32]:
    found: NDArray[np.float32] = engine.features(pixels)
    return found


def _with_names(images: AnyPicture | Iterable[AnyPicture]) -> Iterable[NamedPicture]:
    """Return one picture or several with their names. Raises InputError for something else than pictures."""
    if is_one_picture(images):
        return [_named(images, 0)]
    if not isinstance(images, Iterable) or isinstance(images, Mapping):
        raise InputError(f"pictures are paths, bytes, open files, arrays or Pillow images, not {received(images)}")
    several: Iterable[AnyPicture] = images  # type: ignore[assignment]
    return map(_named, several, count())


def _named(picture: AnyPicture, number: int) -> NamedPicture:
    return NamedPicture(as_text(name_of_picture(picture) or f"picture {number}"), picture)
