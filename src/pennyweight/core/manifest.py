"""Manifest of a bundle, kept in the metadata of its ONNX file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from pennyweight.core.accuracy_line import in_folds
from pennyweight.core.errors import BundleError, InputError
from pennyweight.core.figures import number, shape, share
from pennyweight.core.int8_line import in_words
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.pruning_line import fewer_macs
from pennyweight.core.reading import parse_json
from pennyweight.core.settings import from_json
from pennyweight.core.summary import Facts, Summary, classes
from pennyweight.core.typicality import HeldOut

__all__ = ["FEATURES", "INPUT", "LOGITS", "METADATA_KEY", "PROBABILITIES", "STRANGENESS", "Manifest"]

METADATA_KEY = "pennyweight"
FORMAT, FORMAT_INT8 = 2, 3
"""Version of the manifest; files of version 1 have no seal (`core.seal`), and those of version 3 are in int8."""

# Names of the graph's input and outputs.
INPUT = "images"
PROBABILITIES = "probabilities"
LOGITS = "logits"
FEATURES = "features"
"""Input of the last layer, for search and clustering; bundles of earlier versions lack it."""
STRANGENESS = "strangeness"
"""Distance of a picture from training; only with the manifest's `typicality`, which calibrates it."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Manifest(Summary):
    """Labels, preprocessing, scores and parity proof of a bundle: all that a user of the file needs."""

    network: Mapping[str, Any]
    """name, stem, num_classes, in_channels, config."""
    labels: tuple[str, ...]
    preprocess: Preprocess
    cost: Mapping[str, Any]
    """params and macs for one picture; with `uncounted`, operators that are not in the macs."""
    evaluation: Mapping[str, Any] | None
    """accuracy, its interval, split, images; None for a network that was not scored."""
    parity: Mapping[str, Any]
    """Proof that graph and network agree: pictures, largest differences, tolerance."""
    data: Mapping[str, Any] | None
    """name and fingerprint of the training data; None for weights from elsewhere."""
    versions: Mapping[str, str]
    created: str
    format: int = FORMAT
    quantization: Mapping[str, Any] | None = None
    """Method, pictures, layers in float, accuracies and sizes of an int8 graph; None for float. The evaluation and the
    parity proof are of the float graph."""
    features: int | None = None
    """Length of the output `features`; None for a graph without that output."""
    pruning: Mapping[str, Any] | None = None
    """Channels, costs, accuracies and milliseconds before and after of a pruned network; None for a whole one."""
    typicality: Mapping[str, Any] | None = None
    """Strangeness of held-out pictures, as `HeldOut` keeps it; None for a graph without the output `strangeness`."""

    def _facts(self) -> Facts:
        yield "network", str(self.network["name"])
        height, width, channels = self.preprocess.shape
        yield "input", shape((channels, height, width))
        yield classes(self.labels)
        if self.features is not None:
            yield "features", number(self.features)
        if self.evaluation is not None:
            accuracy, images = share(self.evaluation["accuracy"]), number(self.evaluation["images"])
            form = " of the float network" if self.quantization else ""
            folds = self.evaluation.get("folds")
            once = f" ({in_folds(folds)})" if folds else ""
            yield f"{self.evaluation['split']} accuracy{form}", f"{accuracy} of {images} images{once}"
        if self.pruning is not None:
            yield "pruned", fewer_macs(self.pruning)
        if self.quantization is not None:
            yield "int8", in_words(self.quantization)
        if self.held_out is not None:
            yield "typicality", self.held_out.in_words
        if self.parity:
            yield "proved on", f"{number(self.parity['pictures'])} images"

    def in_int8(self, quantization: Mapping[str, Any]) -> Manifest:
        """Return the manifest of the same network in int8."""
        return replace(self, quantization=quantization, format=FORMAT_INT8)

    @cached_property
    def held_out(self) -> HeldOut | None:
        """Held-out pictures that calibrate `typical`, if the bundle has some. Raises BundleError for other values."""
        if self.typicality is None:
            return None
        try:
            return HeldOut.from_dict(self.typicality)
        except (ValueError, TypeError, KeyError) as error:
            raise BundleError(f"the manifest has a typicality that cannot be read: {error}") from error

    @property
    def sealed(self) -> bool:
        """True if the file must end with a seal."""
        return self.format > 1

    def to_json(self) -> str:
        """Return the text to keep under METADATA_KEY."""
        values = {**asdict(self), "preprocess": self.preprocess.to_dict()}
        for name in ("quantization", "features", "pruning", "typicality"):
            if values[name] is None:
                del values[name]  # which earlier versions do not know
        return json.dumps(values, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, *, name: str) -> Manifest:
        """Parse the text of `to_json`. Raises BundleError that names the file `name`."""
        try:
            values = parse_json(text, "it", InputError)
            if not 1 <= values["format"] <= FORMAT_INT8:
                raise BundleError(f"{name} was written by a newer Pennyweight; update this one to open it")
            values["preprocess"] = Preprocess.from_dict(values["preprocess"])
            return from_json(cls, values, what="manifest")
        except (InputError, TypeError, KeyError, AttributeError) as error:
            raise BundleError(f"{name} has a manifest that cannot be read: {error}") from error
