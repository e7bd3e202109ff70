"""Pictures in, predictions out, whatever executes the network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.errors import InputError, received
from pennyweight.core.files import as_text
from pennyweight.core.images import Picture, Pixels
from pennyweight.core.preprocess import Preprocess

__all__ = ["Classifier", "Engine", "Outputs", "Prediction"]


class Outputs(NamedTuple):
    """What an engine answers; both (B, classes)."""

    probabilities: NDArray[np.float32]
    logits: NDArray[np.float32]


class Engine(Protocol):
    """Executes a network on pixels as `Preprocess` gives them: (B, H, W, C) uint8 -> Outputs."""

    def __call__(self, pixels: Pixels) -> Outputs: ...


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a classifier says of one picture."""

    source: str
    """The path that was given; for pictures without one, which in the list it was."""
    label: str
    probability: float
    top: tuple[tuple[str, float], ...]
    """The likeliest labels with their probabilities, likeliest first."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return asdict(self)


@dataclass(frozen=True)
class Classifier:
    """An engine with the labels and the preprocessing that belong to it."""

    engine: Engine
    labels: tuple[str, ...]
    preprocess: Preprocess

    def predict(self, images: Picture | Iterable[Picture], top: int = 5, *, batch: int = 32) -> list[Prediction]:
        """Classify pictures: paths, bytes of files, uint8 arrays or Pillow images, one or many.

        Raises ImageError that names the first picture that cannot be read, InputError for a `top` or `batch` below 1.
        """
        if top < 1:
            raise InputError(f"top must be at least 1, not {top}")
        if batch < 1:
            raise InputError(f"batch must be at least 1, not {batch}")
        if isinstance(images, (str, Path, bytes, np.ndarray, Image.Image)):
            images = [images]
        elif not isinstance(images, Iterable) or hasattr(images, "read"):
            raise InputError(f"pictures are paths, bytes, arrays or Pillow images, not {received(images)}")
        pictures = iter(images)
        predictions: list[Prediction] = []
        while group := list(islice(pictures, batch)):
            probabilities = self.engine(np.stack([self.preprocess(picture) for picture in group])).probabilities
            names = self._names(group, start=len(predictions))
            predictions += [self._prediction(name, row, top) for name, row in zip(names, probabilities, strict=True)]
        return predictions

    def _names(self, group: Sequence[Picture], start: int) -> Iterator[str]:
        for number, picture in enumerate(group, start):
            yield as_text(picture) if isinstance(picture, (str, Path)) else f"picture {number}"

    def _prediction(self, source: str, probabilities: NDArray[np.float32], top: int) -> Prediction:
        best = np.argsort(-probabilities, kind="stable")[:top]
        ranked = tuple((self.labels[number], float(probabilities[number])) for number in best)
        return Prediction(source=source, label=ranked[0][0], probability=ranked[0][1], top=ranked)
