"""Switch off the telemetry of other libraries before they are imported.

`import pennyweight` calls this module, so that no entry point misses it. A variable that the user has set is kept.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["OFF", "switch_off_telemetry"]

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
