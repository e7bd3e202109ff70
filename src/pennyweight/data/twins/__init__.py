"""Twins: pictures that show the same moment, found by their gray thumbnails."""

from __future__ import annotations

from pennyweight.data.twins.thumbnails import SIDE, Thumbnails, thumbnail_of, thumbnails

__all__ = ["SIDE", "Thumbnails", "thumbnail_of", "thumbnails"]
