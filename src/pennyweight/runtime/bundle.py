"""A bundle: one ONNX file that says itself what it is and how to feed it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pennyweight.core.errors import BundleError
from pennyweight.core.images import Pixels
from pennyweight.core.machine import cores
from pennyweight.core.manifest import INPUT, LOGITS, METADATA_KEY, PROBABILITIES, Manifest
from pennyweight.core.reading import reason_of
from pennyweight.core.scene_manifest import SCENE_METADATA_KEY
from pennyweight.runtime.agreement import Port, require_agreement
from pennyweight.runtime.classifier import Classifier, Outputs

__all__ = ["Bundle", "OnnxEngine"]

PIXELS, NUMBERS = "tensor(uint8)", "tensor(float)"


class OnnxEngine:
    """onnxruntime on this machine's processor, with `threads` threads (by default one for each core it may use).

    Raises BundleError for a file that it cannot open.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        import onnxruntime  # 0.1 s: only those who open a bundle pay

        self._path = path
        if not path.exists():
            raise BundleError(f"no bundle at {path}: there is no such file")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or cores()
        options.log_severity_level = 3  # warnings about a damaged file would come before our one line
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        # onnxruntime raises classes of its own compiled module, each derived from Exception alone.
        except Exception as error:
            reason = reason_of(error)
            raise BundleError(f"cannot open {path}: not a whole ONNX file ({reason}); export it again") from error
        ports = (*self._session.get_inputs(), *self._session.get_outputs())
        self.ports = {port.name: Port(port.type, tuple(port.shape)) for port in ports}
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map

    @cached_property
    def shared(self) -> OnnxEngine:
        """The same network for several threads at once, each of which computes alone: no thread waits for another."""
        return OnnxEngine(self._path, threads=1)

    def __call__(self, pixels: Pixels) -> Outputs:
        """(B, H, W, C) uint8 -> probabilities and logits (B, classes). Raises BundleError where the graph fails."""
        feed = {INPUT: np.ascontiguousarray(pixels)}
        try:
            return Outputs(*self._session.run([PROBABILITIES, LOGITS], feed))
        except Exception as error:
            raise BundleError(f"{self._path} cannot answer: {reason_of(error)}; export it again") from error


@dataclass(frozen=True)
class Bundle:
    """A bundle file, opened. Raises BundleError when it is damaged, or was not made by `export`."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        if SCENE_METADATA_KEY in self.engine.metadata:
            raise BundleError(f"{self.path} is a scene's bundle: predict {self.path} CUBE --map map.png")
        if METADATA_KEY not in self.engine.metadata:
            raise BundleError(
                f"{self.path} is an ONNX file without a manifest; bundles are made by `pennyweight export`"
            )
        shape, classes = self.manifest.preprocess.shape, ("batch", len(self.manifest.labels))
        said = {
            INPUT: Port(PIXELS, ("batch", *shape)),
            PROBABILITIES: Port(NUMBERS, classes),
            LOGITS: Port(NUMBERS, classes),
        }
        require_agreement(self.path, self.engine.ports, said)

    @cached_property
    def engine(self) -> OnnxEngine:
        return OnnxEngine(self.path)

    @cached_property
    def manifest(self) -> Manifest:
        """Labels, preprocessing, costs, evaluation and proof."""
        return Manifest.from_json(self.engine.metadata[METADATA_KEY], name=str(self.path))

    @property
    def classifier(self) -> Classifier:
        """What classifies pictures with this bundle."""
        return Classifier(self.engine, self.manifest.labels, self.manifest.preprocess)
