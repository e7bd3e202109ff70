"""onnxruntime, the usual engine of a bundle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.heap import returning_memory
from pennyweight.core.images import Pixels
from pennyweight.core.manifest import INPUT
from pennyweight.core.telemetry import switch_off_telemetry
from pennyweight.runtime.agreement import Port
from pennyweight.runtime.file_engine import FileEngine

__all__ = ["OnnxEngine"]

SPIN_US = 20
"""Microseconds that a thread spins for more work before it sleeps. By default onnxruntime spins for milliseconds. On
two cores the default is within 5% of this value on a quiet machine. Next to a busy program it is 1.2 to 1.4 times as
slow at batch 1."""


class OnnxEngine(FileEngine):
    """onnxruntime session on the CPU; several threads may call it at once."""

    package = "onnxruntime"

    def _open(self) -> None:
        switch_off_telemetry()  # a program may have cleared its environment since `import pennyweight`
        import onnxruntime  # 0.1 s, spent only if a bundle is opened

        onnxruntime.disable_telemetry_events()  # Windows has a second kind, without a variable
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(self.spinning)))
        options.log_severity_level = 3  # no warnings of onnxruntime before our one line about a damaged file
        with returning_memory():  # the file's weights, their copies and the graph's stages: a fifth of the peak
            self._session = onnxruntime.InferenceSession(self._path, options, providers=["CPUExecutionProvider"])
        ports = (*self._session.get_inputs(), *self._session.get_outputs())
        self.ports = {port.name: Port(port.type, tuple(port.shape)) for port in ports}
        self.name = f"onnxruntime {onnxruntime.__version__}"
        self.metadata = self._session.get_modelmeta().custom_metadata_map

    def _run(self, pixels: Pixels, names: Sequence[str]) -> Sequence[NDArray[np.float32]]:
        found: list[NDArray[np.float32]] = self._session.run(list(names), {INPUT: pixels})
        return found

    def _inherited(self) -> object:
        return self._session
