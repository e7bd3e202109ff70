"""Reports that other libraries send to their makers: switched off before these libraries are imported.

`import pennyweight` does it, so that no path around it exists. A variable that the user has set stays as it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["OFF", "switch_off_telemetry"]

OFF: Mapping[str, str] = {
    # onnxruntime 1.32 keeps a device id under the user's cache folder and asks for a telemetry host
    "ORT_DISABLE_TELEMETRY": "1",
    # the agent string of downloads, and counts of commands
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # a request to the hub for each data set that is opened from disk
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",
    # usage events, beside what goes to the user's own tracking server
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # crash reports, beside what goes to the user's own project
    "WANDB_ERROR_REPORTING": "false",
}
"""Environment variable -> the value that switches a library's reports off."""


def switch_off_telemetry() -> None:
    """Set every variable of `OFF` that the user has not set."""
    for name, value in OFF.items():
        os.environ.setdefault(name, value)
