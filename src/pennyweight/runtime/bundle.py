"""Bundle: one ONNX file with its labels, preprocessing, costs, evaluation and proof in the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from shlex import quote

from pennyweight.core.errors import BundleError, InputError
from pennyweight.core.manifest import FEATURES, INPUT, LOGITS, METADATA_KEY, PROBABILITIES, STRANGENESS, Manifest
from pennyweight.core.scene_manifest import SCENE_METADATA_KEY
from pennyweight.core.training_digests import TRAINING_DIGESTS_KEY, TrainingDigests
from pennyweight.runtime.agreement import Port
from pennyweight.runtime.bundle_file import BundleFile
from pennyweight.runtime.classifier import Classifier
from pennyweight.runtime.engine import USUAL
from pennyweight.runtime.file_engine import NUMBERS, PIXELS, FileEngine

__all__ = ["Bundle"]


class Bundle(BundleFile):
    """Opened bundle file. Raises BundleError if it is damaged, or was not made by `export`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.using.name != USUAL and self.manifest.quantization is not None:
            raise InputError(
                f"{self.path} is in int8, which {self.using.name} rounds otherwise than {USUAL}, on which its accuracy "
                f"was measured; take {USUAL}, or the float bundle"
            )

    def _require_kind(self, metadata: Mapping[str, str]) -> None:
        if SCENE_METADATA_KEY in metadata:
            raise BundleError(
                f"{self.path} is a scene's bundle; map cubes with: "
                f"pennyweight scene predict {quote(str(self.path))} CUBE --map map.png"
            )
        if METADATA_KEY not in metadata:
            raise BundleError(
                f"{self.path} is an ONNX file without a manifest; bundles are made by `pennyweight export`"
            )

    def _ports(self) -> Mapping[str, Port]:
        output = Port(NUMBERS, ("batch", len(self.manifest.labels)))
        pixels = Port(PIXELS, ("batch", *self.manifest.preprocess.shape))
        ports = {INPUT: pixels, PROBABILITIES: output, LOGITS: output}
        size = self.manifest.features
        if size is not None:
            ports[FEATURES] = Port(NUMBERS, ("batch", size))
        if self.manifest.held_out is not None:
            ports[STRANGENESS] = Port(NUMBERS, ("batch",))
        return ports

    @property
    def engine(self) -> FileEngine:
        """Engine that executes the graph."""
        return self.session

    @cached_property
    def manifest(self) -> Manifest:
        """Labels, preprocessing, costs, evaluation and proof."""
        return Manifest.from_json(self.session.metadata[METADATA_KEY], name=str(self.path))

    @cached_property
    def training_digests(self) -> TrainingDigests | None:
        """Digests of the pictures that the network was trained and selected on; None if the file has none."""
        text = self.session.metadata.get(TRAINING_DIGESTS_KEY)
        return None if text is None else TrainingDigests.from_text(text, name=str(self.path))

    @property
    def classifier(self) -> Classifier:
        """Classifier that uses this bundle."""
        return Classifier(self.session, self.manifest.labels, self.manifest.preprocess, self.manifest.held_out)
