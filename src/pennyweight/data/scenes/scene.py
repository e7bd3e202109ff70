"""Scenes: hyperspectral cubes with their label maps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.band_choice import BandChoice
from pennyweight.core.errors import SourceError
from pennyweight.core.figures import number
from pennyweight.core.spectral import finite
from pennyweight.core.summary import Facts, Summary, classes
from pennyweight.data.scenes.rasters import Raster

__all__ = ["UNLABELED", "Scene"]

UNLABELED = -1
"""Target of background and of pixels without numbers."""
ROWS = 64
"""Rows of a cube that are read together, so that a memory-mapped cube may exceed memory."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Scene(Summary):
    """Hyperspectral cube and, if known, the class of each pixel."""

    name: str
    address: dict[str, str]
    """Arguments of `open_scene` that open the scene again."""
    raster: Raster
    """(H, W, bands), any number type, possibly memory-mapped."""
    targets: NDArray[np.int16] | None = None
    """(H, W): index into `labels`, or UNLABELED; None without a label map."""
    labels: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    """Id of each class in the label map."""
    parts: NDArray[np.int8] | None = None
    """(H, W): fixed part of each pixel, a code of `fixed_maps`; None if a seed splits the scene."""
    synthetic: bool = False
    notes: tuple[str, ...] = field(default=())
    """Lines for the user on how the scene was read."""

    def __post_init__(self) -> None:
        if self.raster.values.ndim != 3 or self.raster.values.dtype.kind not in "biuf":
            shape = "×".join(map(str, self.raster.values.shape))
            raise SourceError(f"the cube of {self.name} must be height×width×bands of numbers, not {shape}")
        if self.targets is not None and self.targets.shape != self.shape:
            height, width = self.targets.shape
            hint = _turned(self.targets.shape, self.cube.shape)
            raise SourceError(
                f"the label map of {self.name} is {height}×{width}, and its cube {self.shape[0]}×{self.shape[1]}; both "
                f"must have one size{hint}"
            )

    def _facts(self) -> Facts:
        yield "name", self.name + (" (synthetic)" if self.synthetic else "")
        yield "pixels", f"{self.shape[0]:,}×{self.shape[1]:,}"
        left = "" if self.choice.is_whole else f" of {number(self.choice.total)} ({self.choice})"
        yield "bands", number(self.bands) + left
        if self.targets is None:
            yield "", "without a label map"
            return
        yield "labeled pixels", number(int((self.targets != UNLABELED).sum()))
        yield classes(self.labels)

    @property
    def cube(self) -> NDArray[Any]:
        """Return the cube (H, W, bands)."""
        return self.raster.values

    @property
    def shape(self) -> tuple[int, int]:
        """Return (H, W)."""
        return self.cube.shape[0], self.cube.shape[1]

    @property
    def bands(self) -> int:
        """Return the number of bands."""
        return int(self.cube.shape[2])

    @property
    def choice(self) -> BandChoice:
        """Return the bands of the file that the cube holds."""
        return self.raster.choice or BandChoice.whole(self.bands)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Return a mask (H, W) of the pixels with a number in every band."""
        if self.cube.dtype.kind != "f":
            return np.ones(self.shape, bool)
        return np.concatenate([finite(self.cube[start : start + ROWS]) for start in range(0, self.shape[0], ROWS)])

    @property
    def masked(self) -> int:
        """Return the number of pixels without a number in some band, which are neither trained on nor scored."""
        return int((~self.known).sum())

    @cached_property
    def truth(self) -> NDArray[np.int16]:
        """Return the targets (H, W), UNLABELED for masked pixels. Raises SourceError without a label map."""
        if self.targets is None:
            raise SourceError(f"{self.name} has no label map; give one: --labels FILE")
        return np.where(self.known, self.targets, np.int16(UNLABELED))

    @cached_property
    def cube_fingerprint(self) -> str:
        """Return the SHA-256 over sizes and numbers of the cube alone."""
        digest = hashlib.sha256(repr((self.cube.shape, self.cube.dtype.str)).encode())
        for start in range(0, self.shape[0], ROWS):
            digest.update(np.ascontiguousarray(self.cube[start : start + ROWS]).tobytes())
        return "sha256:" + digest.hexdigest()

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 over sizes, numbers and labels."""
        digest = hashlib.sha256(repr((self.cube.shape, self.cube.dtype.str, self.labels)).encode())
        for start in range(0, self.shape[0], ROWS):
            digest.update(np.ascontiguousarray(self.cube[start : start + ROWS]).tobytes())
        if self.targets is not None:
            digest.update(np.ascontiguousarray(self.targets).tobytes())
        if self.parts is not None:
            digest.update(np.ascontiguousarray(self.parts).tobytes())
        return "sha256:" + digest.hexdigest()


def _turned(labels: tuple[int, ...], cube: tuple[int, ...]) -> str:
    """Return a hint for axes that look turned: the sizes agree in another order."""
    if labels == cube[1::-1]:
        return "; the axes of one look turned: transpose the label map, or the first two axes of the cube"
    if labels == cube[1:]:
        return f"; the axes of the cube look turned, {cube[0]} bands first: move the first axis to the end"
    if labels == cube[:0:-1]:
        return f"; the axes of the cube look reversed, {cube[0]} bands first: transpose it"
    return ""
