"""Offline mode: with PENNYWEIGHT_OFFLINE set, no part of the program fetches anything from another machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pennyweight.core.errors import DownloadError
from pennyweight.core.files import expanded

__all__ = ["OFFLINE", "is_offline", "is_remote", "keep_hub_offline", "require_network", "untrusted_address"]

OFFLINE = "PENNYWEIGHT_OFFLINE"
NO = ("", "0", "false", "no", "off")
"""Values that allow downloads."""
_reason_offline: ContextVar[str] = ContextVar("untrusted_address", default="")
"""Reason not to contact other machines in the running task; empty if it is allowed."""
HUB = "HF_HUB_OFFLINE"
"""Corresponding variable of `huggingface_hub`, with which `datasets` and `timm` fetch."""


def is_offline() -> bool:
    """Return whether $PENNYWEIGHT_OFFLINE forbids downloads; any value but 0, false, no and off does."""
    return os.environ.get(OFFLINE, "").strip().lower() not in NO


def require_network(what: str, *, instead: str) -> None:
    """Check that downloads are allowed.

    Args:
        what: Address to be fetched, for the message.
        instead: What works without the network, for the message.

    Raises:
        DownloadError: Downloads are forbidden.
    """
    if reason := _reason_offline.get():
        raise DownloadError(f"{what} is not fetched: {reason}")
    if is_offline():
        raise DownloadError(f"{OFFLINE} is set, so {what} is not fetched; {instead}, or unset {OFFLINE}")


@contextmanager
def untrusted_address(by: object, address: str, *, ask: str) -> Iterator[None]:
    """Forbid downloads inside the block, because an untrusted file, not the user, gives the address.

    Args:
        by: File that gives the address.
        address: Address of the data.
        ask: Command or option with which the user can name the address.

    Raises:
        DownloadError: The address, or the data behind it, lies on another machine.
    """
    reason = f"only {by} says that it was trained on {address}; to fetch it, name it yourself: {ask}"
    if is_remote(address):
        raise DownloadError(f"{address} is not fetched: {reason}")
    token = _reason_offline.set(reason)
    try:
        yield
    finally:
        _reason_offline.reset(token)


def is_remote(address: str) -> bool:
    """Return whether an address is on the network: a URL, a name of the hub, or a shared folder of a server (UNC)."""
    place = address.removeprefix("hf:")
    if "://" in place or place.startswith((r"\\", "//")):
        return True
    return place != address and not expanded(place).is_dir()


def keep_hub_offline() -> None:
    """Restrict `huggingface_hub` to its cache if downloads are forbidden; call it before any use of the hub."""
    if not is_offline():
        return
    os.environ[HUB] = "1"
    for module in ("huggingface_hub.constants", "datasets.config"):
        if module in sys.modules:  # each reads the variable once, when it is imported
            sys.modules[module].HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
