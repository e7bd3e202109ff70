"""What a bundle says of itself: the values kept in the metadata of its ONNX file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pennyweight.core.errors import BundleError, InputError
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.reading import parse_json
from pennyweight.core.settings import from_json

__all__ = ["INPUT", "LOGITS", "METADATA_KEY", "PROBABILITIES", "Manifest"]

METADATA_KEY = "pennyweight"
FORMAT = 2
"""Files of the first one have no seal (`core.seal`)."""

# The names of the graph's input and outputs.
INPUT = "images"
PROBABILITIES = "probabilities"
LOGITS = "logits"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Labels, preprocessing and proof of a bundle; what a user of the file needs, and nothing else is needed."""

    network: Mapping[str, Any]
    """name, stem, num_classes, in_channels, config."""
    labels: tuple[str, ...]
    preprocess: Preprocess
    cost: Mapping[str, Any]
    """params and macs for one picture; with `uncounted`, operators that are not in the macs."""
    evaluation: Mapping[str, Any] | None
    """accuracy, its interval, split, images; None for a network that was not scored."""
    parity: Mapping[str, Any]
    """How the graph was proved to answer as the network: pictures, largest differences, tolerance."""
    data: Mapping[str, Any] | None
    """name and fingerprint of what it was trained on; None for weights from elsewhere."""
    versions: Mapping[str, str]
    created: str
    format: int = FORMAT

    @property
    def sealed(self) -> bool:
        """True if the file must end with a seal."""
        return self.format > 1

    def to_json(self) -> str:
        """The text kept under METADATA_KEY."""
        values = {**asdict(self), "preprocess": self.preprocess.to_dict()}
        return json.dumps(values, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, *, name: str) -> Manifest:
        """From what `to_json` gave. Raises BundleError that names the file `name`."""
        try:
            values = parse_json(text, "it", InputError)
            if not 1 <= values["format"] <= FORMAT:
                raise BundleError(f"{name} was written by a newer Pennyweight; update this one to open it")
            values["preprocess"] = Preprocess.from_dict(values["preprocess"])
            return from_json(cls, values, what="manifest")
        except (InputError, TypeError, KeyError, AttributeError) as error:
            raise BundleError(f"{name} has a manifest that cannot be read: {error}") from error
