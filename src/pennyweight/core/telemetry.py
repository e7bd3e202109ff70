"""Switch off the telemetry of other libraries before they are imported.

`import pennyweight` calls this module, so that no entry point misses it. A variable that the user has set is kept.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

__all__ = ["OFF", "hide_module", "switch_off_telemetry"]

OFF: Mapping[str, str] = {
    # onnxruntime 1.32 stores a device id in the user's cache folder and contacts a telemetry host
    "ORT_DISABLE_TELEMETRY": "1",
    # user agent of downloads, and counts of commands
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # a request to the hub for each data set that is opened from disk
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",
    # usage events, sent in addition to the user's own tracking server
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # crash reports, sent in addition to the user's own project
    "WANDB_ERROR_REPORTING": "false",
}
"""Environment variable -> the value that switches a library's telemetry off."""


def switch_off_telemetry() -> None:
    """Set every variable of `OFF` that the user has not set."""
    for name, value in OFF.items():
        os.environ.setdefault(name, value)


@contextmanager
def hide_module(name: str) -> Iterator[None]:
    """Let imports of a module fail inside the context, as if it were not installed, unless it is loaded already.

    OpenVINO has no variable: where `openvino_telemetry` is installed, importing OpenVINO makes a device id and sends an
    event.
    """
    if name in sys.modules:
        yield
        return
    modules = cast(dict[str, Any], sys.modules)
    modules[name] = None
    try:
        yield
    finally:
        modules.pop(name, None)
