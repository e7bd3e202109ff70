"""Seal of a bundle: the SHA-256 of its bytes, in an entry of its metadata at the end of the file.

ONNX is a protobuf message, and such messages may be concatenated: the file is the model, followed by a message with a
single entry of `metadata_props`. Every runtime reads the entry like any other metadata.
"""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path

from pennyweight.core.errors import BundleError

__all__ = ["broken", "seal", "sealed"]

KEY = b"pennyweight-sha256"
DIGITS = 64
ENTRY = bytes((0x0A, len(KEY))) + KEY + bytes((0x12, DIGITS))  # field 1, the key; field 2, the value
HEAD = bytes((0x72, len(ENTRY) + DIGITS)) + ENTRY  # field 14 of ModelProto, metadata_props
LENGTH = len(HEAD) + DIGITS


def seal(path: Path) -> None:
    """Append the seal to an ONNX file."""
    with path.open("rb+") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0, 2)
        file.write(HEAD + digest.encode())


def sealed(path: Path) -> bool:
    """Return whether the file ends with a seal. Raises BundleError if the seal does not match the bytes before it."""
    if not path.is_file() or path.stat().st_size < LENGTH:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        end = len(content) - LENGTH
        if content[end : end + len(HEAD)] != HEAD:
            return False
        with memoryview(content) as whole, whole[:end] as rest:
            found = hashlib.sha256(rest).hexdigest()
        if content[end + len(HEAD) :] != found.encode():
            raise broken(path)
    return True


def broken(path: Path) -> BundleError:
    """Return the error for a bundle whose bytes have changed since it was exported."""
    return BundleError(f"{path} is not as `export` wrote it: its SHA-256 differs; export it again")
