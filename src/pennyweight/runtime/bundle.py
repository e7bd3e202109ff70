"""Bundle: one ONNX file with its labels, preprocessing, costs, evaluation and proof in the metadata."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from shlex import quote

from pennyweight.core.errors import BundleError
from pennyweight.core.manifest import INPUT, LOGITS, METADATA_KEY, PROBABILITIES, Manifest
from pennyweight.core.scene_manifest import SCENE_METADATA_KEY
from pennyweight.core.seal import broken, sealed
from pennyweight.core.summary import Facts, Summary
from pennyweight.core.training_digests import TRAINING_DIGESTS_KEY, TrainingDigests
from pennyweight.runtime.agreement import Port, require_agreement
from pennyweight.runtime.classifier import Classifier
from pennyweight.runtime.engine import NUMBERS, PIXELS, OnnxEngine
from pennyweight.runtime.initializers import require_numbers

__all__ = ["Bundle"]


@dataclass(frozen=True, repr=False)
class Bundle(Summary):
    """Opened bundle file. Raises BundleError if it is damaged, or was not made by `export`."""

    path: Path
    """The ONNX file."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        whole = sealed(self.path)  # before onnxruntime reads what may be damaged
        if SCENE_METADATA_KEY in self.engine.metadata:
            raise BundleError(
                f"{self.path} is a scene's bundle; map cubes with: "
                f"pennyweight scene predict {quote(str(self.path))} CUBE --map map.png"
            )
        if METADATA_KEY not in self.engine.metadata:
            raise BundleError(
                f"{self.path} is an ONNX file without a manifest; bundles are made by `pennyweight export`"
            )
        if self.manifest.sealed and not whole:
            raise broken(self.path)
        shape, classes = self.manifest.preprocess.shape, ("batch", len(self.manifest.labels))
        ports = {
            INPUT: Port(PIXELS, ("batch", *shape)),
            PROBABILITIES: Port(NUMBERS, classes),
            LOGITS: Port(NUMBERS, classes),
        }
        require_agreement(self.path, self.engine.ports, ports)
        require_numbers(self.path)

    def _facts(self) -> Facts:
        yield "file", str(self.path)
        yield from self.manifest._facts()

    def __fspath__(self) -> str:
        """Return the file's path, so that a bundle can be used as a path."""
        return str(self.path)

    @cached_property
    def engine(self) -> OnnxEngine:
        """Engine that executes the graph."""
        return OnnxEngine(self.path)

    @cached_property
    def manifest(self) -> Manifest:
        """Labels, preprocessing, costs, evaluation and proof."""
        return Manifest.from_json(self.engine.metadata[METADATA_KEY], name=str(self.path))

    @cached_property
    def training_digests(self) -> TrainingDigests | None:
        """Digests of the pictures that the network was trained and selected on; None if the file has none."""
        text = self.engine.metadata.get(TRAINING_DIGESTS_KEY)
        return None if text is None else TrainingDigests.from_text(text, name=str(self.path))

    @property
    def classifier(self) -> Classifier:
        """Classifier that uses this bundle."""
        return Classifier(self.engine, self.manifest.labels, self.manifest.preprocess)
