"""Engine that executes a bundle: onnxruntime on this machine's CPU."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np

from pennyweight.core.errors import BundleError
from pennyweight.core.images import Pixels
from pennyweight.core.machine import cores
from pennyweight.core.manifest import INPUT, LOGITS, PROBABILITIES
from pennyweight.core.reading import reason_of
from pennyweight.core.telemetry import switch_off_telemetry
from pennyweight.core.travel import Origin, keep_inherited
from pennyweight.runtime.agreement import Port
from pennyweight.runtime.classifier import Outputs

__all__ = ["NUMBERS", "PIXELS", "OnnxEngine"]

PIXELS, NUMBERS = "tensor(uint8)", "tensor(float)"
"""onnxruntime's names for the types of a graph's inputs and outputs."""

SPIN_US = 20
"""Microseconds that a thread spins for more work before it sleeps. By default onnxruntime spins for milliseconds. On
two cores the default is within 5% of this value on a quiet machine. Next to a busy program it is 1.2 to 1.4 times as
slow at batch 1."""


class OnnxEngine:
    """onnxruntime session on the CPU with `threads` threads, by default one for each core that the process may use.

    Pickled, or inherited by a fork, it opens its file again, once in each process. Raises BundleError for a file that
    it cannot open.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        self._path = path
        self._origin = Origin.of(_open, path, threads)
        self._open(path, threads)

    def _open(self, path: Path, threads: int | None) -> None:
        self._process = os.getpid()
        if not path.exists():
            raise BundleError(f"no bundle at {path}: there is no such file")
        if path.is_dir():
            raise BundleError(f"{path} is a folder, and a bundle is a file, such as {path / 'model.onnx'}")
        switch_off_telemetry()  # a program may have cleared its environment since `import pennyweight`
        import onnxruntime  # 0.1 s, spent only if a bundle is opened

        onnxruntime.disable_telemetry_events()  # Windows has a second kind, without a variable
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or cores()
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
        options.log_severity_level = 3  # no warnings of onnxruntime before our one line about a damaged file
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
        """Single-threaded engine on the same file that several threads may call at once, without waiting."""
        return OnnxEngine(self._path, threads=1)

    def __call__(self, pixels: Pixels) -> Outputs:
        """Compute probabilities and logits (B, classes) of (B, H, W, C) uint8. Raises BundleError if that fails."""
        if self._process != os.getpid():
            self._open_in_fork()
        feed = {INPUT: np.ascontiguousarray(pixels)}
        try:
            return Outputs(*self._session.run([PROBABILITIES, LOGITS], feed))
        except Exception as error:
            raise BundleError(f"{self._path} cannot be executed: {reason_of(error)}; export it again") from error

    def _open_in_fork(self) -> None:
        """Open the file again in a forked process, which has none of the session's threads."""
        with _forking:
            if self._process != os.getpid():
                self._origin.require_unchanged()
                keep_inherited(self._session)
                self._open(Path(self._origin.path), *self._origin.arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._origin.travel(self)

    def __copy__(self) -> Self:
        return self  # it holds nothing that changes

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def _open(path: Path, threads: int | None) -> OnnxEngine:
    return OnnxEngine(path, threads=threads)


_forking = Lock()
