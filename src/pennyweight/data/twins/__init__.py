"""Twins: pictures that show the same moment, found by their gray thumbnails."""

from pennyweight.data.twins.find import Twins, find_twins
from pennyweight.data.twins.thumbnails import SIDE, thumbnail_of

__all__ = ["SIDE", "Twins", "find_twins", "thumbnail_of"]
