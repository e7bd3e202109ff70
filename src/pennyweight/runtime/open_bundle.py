"""Open a bundle file, which is for pictures or for scenes."""

from __future__ import annotations

from pathlib import Path

from pennyweight.core.errors import BundleError
from pennyweight.runtime.bundle import Bundle
from pennyweight.runtime.scene_bundle import SceneBundle

__all__ = ["open_bundle"]


def open_bundle(path: Path) -> Bundle | SceneBundle:
    """Return the opened bundle. Raises BundleError if the file is damaged, or is neither kind."""
    try:
        return Bundle(path)
    except BundleError as error:
        try:
            return SceneBundle(path)
        except BundleError:
            raise error from None
