"""OpenVINO, an engine of bundles in the extra `openvino`."""

from __future__ import annotations

from collections.abc import Sequence
from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import InputError
from pennyweight.core.images import Pixels
from pennyweight.core.machine import cores
from pennyweight.core.manifest import INPUT
from pennyweight.core.telemetry import hide_module
from pennyweight.runtime.agreement import Port
from pennyweight.runtime.file_engine import NUMBERS, PIXELS, FileEngine
from pennyweight.runtime.metadata import read_metadata

__all__ = ["OpenVinoEngine"]

TYPES = {"u8": PIXELS, "f32": NUMBERS}
"""OpenVINO's names of types -> onnxruntime's."""
HINTS = {"float32": "f32", "bfloat16": "bf16"}
"""Precision -> OpenVINO's INFERENCE_PRECISION_HINT. Without the hint, it computes in bfloat16 where the CPU has it."""
BFLOAT16 = "BF16"


class OpenVinoEngine(FileEngine):
    """OpenVINO model compiled for the CPU; several threads may call it at once."""

    package = "openvino"
    precisions = ("float32", "bfloat16")
    unopened = (
        "openvino cannot open {path} ({reason}); openvino lacks an operator, or the file is damaged: try without it"
    )

    def _open(self) -> None:
        with hide_module("openvino_telemetry"):  # OpenVINO has a stub in its place
            import openvino
            from openvino.frontend import FrontEndManager
        core = openvino.Core()
        if self.precision == "bfloat16" and BFLOAT16 not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise InputError(
                "this CPU has no bfloat16 instructions, so openvino would compute in float32; leave precision out"
            )
        reader = FrontEndManager().load_by_framework("onnx")  # the file may have any ending
        try:
            model = reader.convert(reader.load(str(self._path)))
            self._compiled = core.compile_model(model, "CPU", self._settings())
        except Exception as error:  # of several classes of its compiled module
            raise ValueError(_reason(error)) from error
        self._requests = local()
        self.ports = {port.get_any_name(): _port(port) for port in (*model.inputs, *model.outputs)}
        self.name = f"openvino {openvino.__version__.partition('-')[0]}"
        self.metadata = read_metadata(self._path)

    def _settings(self) -> dict[str, Any]:
        """Return the settings of the compiled model; with one thread a call, other threads call it meanwhile."""
        calls = cores() if self.threads == 1 else 1
        return {
            "INFERENCE_PRECISION_HINT": HINTS[self.precision],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": calls,
            "INFERENCE_NUM_THREADS": calls * self.threads,
            "ENABLE_CPU_PINNING": False,  # a thread that is bound to a core waits for the programs on that core
        }

    def _run(self, pixels: Pixels, names: Sequence[str]) -> Sequence[NDArray[np.float32]]:
        request = getattr(self._requests, "own", None)
        if request is None:  # a request serves one thread at a time
            request = self._requests.own = self._compiled.create_infer_request()
        request.infer({INPUT: pixels})
        return [request.get_tensor(name).data.copy() for name in names]

    def _inherited(self) -> object:
        return self._compiled, self._requests


def _port(port: Any) -> Port:
    kind = port.element_type.to_string()
    sides = [side.get_length() if side.is_static else None for side in port.partial_shape]
    return Port(TYPES.get(kind, kind), tuple(sides))


def _reason(error: Exception) -> str:
    """Return the cause of an error: the last line of OpenVINO's message that names no line of its source code."""
    lines = [line.strip(" :-") for line in str(error).splitlines()]
    return next((line for line in reversed(lines) if line and ".cpp:" not in f"{line}:"), "no reason given")
