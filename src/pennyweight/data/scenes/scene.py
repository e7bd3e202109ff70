"""A scene: a hyperspectral cube with its label map."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.core.spectral import finite
from pennyweight.data.scenes.rasters import Raster

__all__ = ["UNLABELLED", "Scene"]

UNLABELLED = -1
"""In a scene's targets: background, or a pixel without numbers."""
ROWS = 64
"""Rows of a cube that are looked at together, so that one larger than memory may be mapped."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A cube and, where known, what its pixels are."""

    name: str
    address: dict[str, str]
    """What `open_scene` takes to find it again."""
    raster: Raster
    """(H, W, bands), any number type, possibly memory-mapped."""
    targets: NDArray[np.int16] | None = None
    """(H, W): index into `labels`, or UNLABELLED; None where nothing is known."""
    labels: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    """What the label map called each class."""
    synthetic: bool = False
    notes: tuple[str, ...] = field(default=())
    """What a person should know of how the scene was read."""

    def __post_init__(self) -> None:
        if self.raster.values.ndim != 3 or self.raster.values.dtype.kind not in "biuf":
            shape = "×".join(map(str, self.raster.values.shape))
            raise SourceError(f"the cube of {self.name} must be height×width×bands of numbers, not {shape}")
        if self.targets is not None and self.targets.shape != self.shape:
            raise SourceError(
                f"the label map of {self.name} is {self.targets.shape[0]}×{self.targets.shape[1]}, and its cube "
                f"{self.shape[0]}×{self.shape[1]}; both must have one size"
            )

    @property
    def cube(self) -> NDArray[Any]:
        return self.raster.values

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)"""
        return self.cube.shape[0], self.cube.shape[1]

    @property
    def bands(self) -> int:
        return int(self.cube.shape[2])

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """(H, W): which pixels have a number in every band."""
        if self.cube.dtype.kind != "f":
            return np.ones(self.shape, bool)
        return np.concatenate([finite(self.cube[start : start + ROWS]) for start in range(0, self.shape[0], ROWS)])

    @property
    def masked(self) -> int:
        """Pixels that have no number in some band: neither trained on nor scored."""
        return int((~self.known).sum())

    @cached_property
    def truth(self) -> NDArray[np.int16]:
        """(H, W): the targets of pixels that have numbers. Raises SourceError where the scene has no label map."""
        if self.targets is None:
            raise SourceError(f"{self.name} has no label map; give one: --labels FILE")
        return np.where(self.known, self.targets, np.int16(UNLABELLED))

    @property
    def fingerprint(self) -> str:
        """SHA-256 over sizes, numbers and labels."""
        digest = hashlib.sha256(repr((self.cube.shape, self.cube.dtype.str, self.labels)).encode())
        for start in range(0, self.shape[0], ROWS):
            digest.update(np.ascontiguousarray(self.cube[start : start + ROWS]).tobytes())
        if self.targets is not None:
            digest.update(np.ascontiguousarray(self.targets).tobytes())
        return "sha256:" + digest.hexdigest()
