"""The engine that executes a bundle: onnxruntime on this machine's processor."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from pennyweight.core.errors import BundleError
from pennyweight.core.images import Pixels
from pennyweight.core.machine import cores
from pennyweight.core.manifest import INPUT, LOGITS, PROBABILITIES
from pennyweight.core.reading import reason_of
from pennyweight.core.telemetry import switch_off_telemetry
from pennyweight.runtime.agreement import Port
from pennyweight.runtime.classifier import Outputs

__all__ = ["NUMBERS", "PIXELS", "OnnxEngine"]

PIXELS, NUMBERS = "tensor(uint8)", "tensor(float)"
"""Types of a graph's ports, as onnxruntime calls them."""

SPIN_US = 20
"""Microseconds that a thread spins for more work before it sleeps. onnxruntime's own choice spins for milliseconds:
on two cores within 5% of this on a quiet machine, and 1.2 to 1.4 times as slow beside a busy program at batch 1."""


class OnnxEngine:
    """onnxruntime on this machine's processor, with `threads` threads (by default one for each core it may use).

    Raises BundleError for a file that it cannot open.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        self._path = path
        if not path.exists():
            raise BundleError(f"no bundle at {path}: there is no such file")
        switch_off_telemetry()  # a program may have cleared its environment since `import pennyweight`
        import onnxruntime  # 0.1 s: only those who open a bundle pay

        onnxruntime.disable_telemetry_events()  # Windows has a second kind, without a variable
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or cores()
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
        options.log_severity_level = 3  # warnings about a damaged file would come before our one line
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        # onnxruntime raises classes of its own compiled module, each derived from Exception alone.
        except Exception as error:
            reason = reason_of(error)
            raise BundleError(f"cannot open {path}: not a whole ONNX file ({reason}); export it again") from error
        ports = (*self._session.get_inputs(), *self._session.get_outputs())
        self.ports = {port.name: Port(port.type, tuple(port.shape)) for port in ports}
        self.name = f"onnxruntime {onnxruntime.__version__}"
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map

    @cached_property
    def shared(self) -> OnnxEngine:
        """Return an engine that several threads may call at once: each computes alone, and none waits for another."""
        return OnnxEngine(self._path, threads=1)

    def __call__(self, pixels: Pixels) -> Outputs:
        """Compute probabilities and logits (B, classes) of (B, H, W, C) uint8. Raises BundleError if that fails."""
        feed = {INPUT: np.ascontiguousarray(pixels)}
        try:
            return Outputs(*self._session.run([PROBABILITIES, LOGITS], feed))
        except Exception as error:
            raise BundleError(f"{self._path} cannot answer: {reason_of(error)}; export it again") from error
