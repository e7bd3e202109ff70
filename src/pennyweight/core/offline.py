"""PENNYWEIGHT_OFFLINE: nothing is fetched from another machine, whichever part would have done it."""

from __future__ import annotations

import os
import sys

from pennyweight.core.errors import DownloadError

__all__ = ["OFFLINE", "is_offline", "keep_hub_offline", "require_network"]

OFFLINE = "PENNYWEIGHT_OFFLINE"
NO = ("", "0", "false", "no", "off")
"""Values that allow downloads."""
HUB = "HF_HUB_OFFLINE"
"""The same setting of `huggingface_hub`, which `datasets` and `timm` fetch by."""


def is_offline() -> bool:
    """Return True where $PENNYWEIGHT_OFFLINE forbids downloads: any value but 0, false, no and off."""
    return os.environ.get(OFFLINE, "").strip().lower() not in NO


def require_network(what: str, *, instead: str) -> None:
    """Raise DownloadError where downloads are forbidden: `what` would be fetched, `instead` is what works without."""
    if is_offline():
        raise DownloadError(f"{OFFLINE} is set, so {what} is not fetched; {instead}, or unset {OFFLINE}")


def keep_hub_offline() -> None:
    """Let `huggingface_hub` read its own cache only, where downloads are forbidden. Call it before a hub is asked."""
    if not is_offline():
        return
    os.environ[HUB] = "1"
    for module in ("huggingface_hub.constants", "datasets.config"):
        if module in sys.modules:  # each reads the variable once, when it is imported
            sys.modules[module].HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
