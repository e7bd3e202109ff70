"""PENNYWEIGHT_OFFLINE: nothing is fetched from another machine, whichever part would have done it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from pennyweight.core.errors import DownloadError

__all__ = ["OFFLINE", "is_offline", "is_remote", "keep_hub_offline", "only_said", "require_network"]

OFFLINE = "PENNYWEIGHT_OFFLINE"
NO = ("", "0", "false", "no", "off")
"""Values that allow downloads."""
_only_said: ContextVar[str] = ContextVar("only_said", default="")
"""Why no other machine is asked, by the task that runs."""
HUB = "HF_HUB_OFFLINE"
"""The same setting of `huggingface_hub`, which `datasets` and `timm` fetch by."""


def is_offline() -> bool:
    """Return True where $PENNYWEIGHT_OFFLINE forbids downloads: any value but 0, false, no and off."""
    return os.environ.get(OFFLINE, "").strip().lower() not in NO


def require_network(what: str, *, instead: str) -> None:
    """Raise DownloadError where downloads are forbidden: `what` would be fetched, `instead` is what works without."""
    if said := _only_said.get():
        raise DownloadError(f"{what} is not fetched: {said}")
    if is_offline():
        raise DownloadError(f"{OFFLINE} is set, so {what} is not fetched; {instead}, or unset {OFFLINE}")


@contextmanager
def only_said(by: object, address: str, *, ask: str) -> Iterator[None]:
    """Ask no other machine inside: `address` is only said by a file, which may be a stranger's; the user says `ask`.

    Raises DownloadError, which says the address, where it or what it stands for lies on another machine.
    """
    said = f"only {by} says that it was trained on {address}; to fetch it, name it yourself: {ask}"
    if is_remote(address):
        raise DownloadError(f"{address} is not fetched: {said}")
    token = _only_said.set(said)
    try:
        yield
    finally:
        _only_said.reset(token)


def is_remote(address: str) -> bool:
    """Return True for an address of the network, of the hub, or of a shared folder by its server (UNC)."""
    place = address.removeprefix("hf:")
    if "://" in place or place.startswith((r"\\", "//")):
        return True
    return place != address and not Path(place).expanduser().is_dir()


def keep_hub_offline() -> None:
    """Let `huggingface_hub` read its own cache only, where downloads are forbidden. Call it before a hub is asked."""
    if not is_offline():
        return
    os.environ[HUB] = "1"
    for module in ("huggingface_hub.constants", "datasets.config"):
        if module in sys.modules:  # each reads the variable once, when it is imported
            sys.modules[module].HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
