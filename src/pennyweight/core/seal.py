"""The seal of a bundle: the SHA-256 of all of its bytes, in an entry of its metadata that ends the file.

ONNX is a protobuf message, and those may be joined: the file is the model followed by a message that has nothing but
one entry of `metadata_props`. Every runtime reads it as any other metadata.
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
    """Tell if the file ends with a seal. Raises BundleError where it does, and another byte is not as it was sealed."""
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
    """Return the error of a bundle whose bytes are not those that were exported."""
    return BundleError(f"{path} is not as `export` wrote it: its SHA-256 is another; export it again")
