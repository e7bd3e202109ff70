"""Twins: pictures that show the same moment, found by their gray thumbnails."""

from pennyweight.data.twins.find import Twins, find_twins
from pennyweight.data.twins.thumbnails import SIDE, Thumbnails, thumbnail_of, thumbnails

__all__ = ["SIDE", "Thumbnails", "Twins", "find_twins", "thumbnail_of", "thumbnails"]
