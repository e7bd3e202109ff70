"""Addresses: their normal form, the part that names the kind of file, and their name without secrets."""

from __future__ import annotations

import re
import unicodedata

from pennyweight.core.errors import SourceError
from pennyweight.core.text import printable

__all__ = ["file_part", "normal_address", "shown_address"]

SCHEME = re.compile(r"[a-z][a-z0-9+.-]*(?=://)", re.IGNORECASE)
WEB = ("http://", "https://")
"""Addresses with a query, after the path."""
USER = re.compile(r"(?<=://)[^/?#]*@")
QUERY = re.compile(r"([?&;])([^=&;#]*)=([^&;#]+)")
SECRET = re.compile(
    r"auth|cred|jwt|key|pass|policy|pwd|secret|session|signature|^sig$|token|^x-(amz|goog|ms|oss|cos)-", re.I
)
"""Names in a query whose values give access: of presigned addresses, and of what servers call a key or a token."""


def normal_address(address: str) -> str:
    """Return an address with its scheme in lower case. Raises SourceError for one with a control character."""
    if any(unicodedata.category(letter) == "Cc" for letter in address):
        raise SourceError(f"{printable(shown_address(address))} has a control character; write it as % and two digits")
    return SCHEME.sub(lambda found: found[0].lower(), address, count=1)


def file_part(address: str) -> str:
    """Return an address without the query and the fragment of http; its end names the kind of file. Keep a path."""
    return re.split(r"[?#]", address, maxsplit=1)[0] if address.lower().startswith(WEB) else address


def shown_address(address: str) -> str:
    """Return an address to be shown or kept: without user and password, and with "…" for values that give access.

    The value of a name in the query such as `token`, `key` or `X-Amz-Signature` gives access; others, such as `id`,
    tell one picture from another and stay. A path is returned unchanged.
    """
    if SCHEME.match(address) is None:
        return address
    web = address.lower().startswith(WEB)
    # The user of other schemes may be a container: abfs://pictures@account.dfs.core.windows.net/a.png
    shown = USER.sub(lambda found: "" if web or ":" in found[0] else found[0], address, count=1)
    if not web:
        return shown
    return QUERY.sub(lambda found: f"{found[1]}{found[2]}={'…' if SECRET.search(found[2]) else found[3]}", shown)
