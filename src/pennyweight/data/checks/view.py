"""View of the network: the share of the pictures that an input cuts away, and the scale of what it shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.figures import share
from pennyweight.core.frame import Sides, cover, fit_within, show_size, sides_of
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.framing import MUCH, Framing, aspects_of, cut_away, cuts_much, suggest_framing
from pennyweight.data.source import Sample

__all__ = ["View", "cut_findings", "view_of", "view_through"]

SHOWN = {"crop": "", "pad": ", whole pictures padded", "stretch": ", pictures stretched"}
"""Ways to fit a picture into the input, in a line."""
LEAST = 0.0005
"""Share below which what is cut away would be 0.0%."""


@dataclass(frozen=True, kw_only=True)
class View:
    """Input of a network, and the part and the scale of the middle picture that it shows."""

    framing: Framing
    cut_by_square: float
    """Share of a picture that a square cuts away because of its shape: the median."""
    cut_away: float
    """Share of a picture that the input cuts away, its margin included: the median."""
    scale: float
    """Pixels of the input for one pixel of the picture, along a side: the median."""
    sizes: NDArray[np.int64] = field(repr=False, compare=False)
    """(N, 2): height and width of the pictures, upright."""

    @property
    def line(self) -> str:
        """The view in a line."""
        name = f"input {show_size(self.framing.size)}{SHOWN[self.framing.frame]}"
        times = f"{self.scale:.2g}"
        size = "its own size" if times == "1" else f"{times} times its size"
        if self.cut_away < LEAST:
            return f"{name}: all of the middle picture is shown, at {size}"
        cut = f"{share(self.cut_away)} of the middle picture is cut away"
        return f"{name}: {cut}, and the rest is shown at {size}"

    def to_dict(self) -> dict[str, Any]:
        """Return the view as JSON values; sizes are [height, width]."""
        return {
            "input": list(sides_of(self.framing.size)),
            "frame": self.framing.frame,
            "cut_by_square": self.cut_by_square,
            "cut_away": self.cut_away,
            "scale": self.scale,
        }


def view_of(sizes: Sequence[Sides], samples: Sequence[Sample], side: int) -> View | None:
    """Return the view through the input that `fit` chooses by itself; None without a picture.

    Args:
        sizes: Upright height and width of the readable training pictures.
        samples: The training pictures, by which `fit` chooses.
        side: Side of the square that suits their sizes.
    """
    framing = suggest_framing(aspects_of(samples), side)
    return view_through(Preprocess.for_input(framing.size, frame=framing.frame), sizes) if len(sizes) else None


def view_through(preprocess: Preprocess, sizes: Sequence[Sides] | NDArray[np.int64]) -> View:
    """Return the view of pictures, at least one, of these upright sizes through an input."""
    pictures = np.asarray(sizes, np.int64)
    placed = [_place((height, width), preprocess) for height, width in pictures.tolist()]
    areas = np.prod(np.array(placed), axis=1)
    shapes = pictures[:, 1] / pictures[:, 0]
    return View(
        framing=Framing(preprocess.size, preprocess.frame),
        cut_by_square=float(np.median(cut_away(shapes, 1))),
        cut_away=float(np.median(np.maximum(0, 1 - np.prod(preprocess.sides) / areas))),
        scale=float(np.median(np.sqrt(areas / np.prod(pictures, axis=1)))),
        sizes=pictures,
    )


def _place(picture: Sides, preprocess: Preprocess) -> Sides:
    """Return the size to which a picture is resized before its middle is cut out."""
    if preprocess.frame == "stretch":
        return preprocess.resized
    place = fit_within(picture, preprocess.sides) if preprocess.frame == "pad" else None
    return (place or cover(picture, preprocess.resized, preprocess.sides))[:2]


def cut_findings(named: Sequence[tuple[str, Sides]], view: View | None) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield pictures and details: one for a square that would cut away much, one for each picture that loses half."""
    if view is None:
        return
    shapes = np.array([width / height for _, (height, width) in named])
    if cuts_much(shapes, 1):
        many = int((cut_away(shapes, 1) > MUCH).sum())
        yield (), f"a square would cut away more than {MUCH:.0%} of {many:,} of {len(named):,} pictures"
    if view.framing.frame == "crop":
        lost = cut_away(shapes, view.framing.size)
        for (name, (height, width)), cut in zip(named, lost.tolist(), strict=True):
            if cut > 0.5:
                yield (name,), f"{width}×{height}: {share(cut)} is cut away"
