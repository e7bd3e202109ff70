"""View of the network: the share of the pictures that the input of `fit` cuts away, and the scale of what it shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pennyweight.core.figures import share
from pennyweight.core.frame import Sides, cover, fit_within, show_size, sides_of
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.framing import MUCH, Framing, aspects_of, cut_away, cuts_much, suggest_framing
from pennyweight.data.source import Sample

__all__ = ["View", "cut_findings", "view_of"]


@dataclass(frozen=True, kw_only=True)
class View:
    """Input that `fit` chooses by itself, and what it shows of the middle training picture."""

    framing: Framing
    cut_by_square: float
    """Share of a picture that a square cuts away because of its shape: the median."""
    cut_away: float
    """Share of a picture that the chosen input cuts away, its margin included: the median."""
    scale: float
    """Pixels of the input beside one pixel of the picture, along a side: the median."""

    @property
    def line(self) -> str:
        """The view in a line."""
        how = {"crop": f"{share(self.cut_away)} is cut away", "pad": "nothing is cut away"}[self.framing.frame]
        pads = "whole pictures padded to " if self.framing.frame == "pad" else ""
        return (
            f"input {pads}{show_size(self.framing.size)}: of the middle picture {how}, and the rest is shown at "
            f"{self.scale:.2g} times its size"
        )

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
    """Return the view of pictures with these upright sizes; None without a picture.

    Args:
        sizes: Height and width of the readable training pictures.
        samples: The training pictures, by which `fit` chooses.
        side: Side of the square that suits their sizes.
    """
    if not sizes:
        return None
    framing = suggest_framing(aspects_of(samples), side)
    preprocess = Preprocess.for_input(framing.size, frame=framing.frame)
    if framing.frame == "pad":
        placed = [fit_within(each, preprocess.sides) for each in sizes]
    else:
        placed = [cover(each, preprocess.resized, preprocess.sides) for each in sizes]
    areas = np.array([each.height * each.width for each in placed])
    scales = np.sqrt(areas / np.prod(np.array(sizes), axis=1))
    cut = np.maximum(0, 1 - np.prod(preprocess.sides) / areas)
    shapes = np.array([width / height for height, width in sizes])
    return View(
        framing=framing,
        cut_by_square=float(np.median(cut_away(shapes, side))),
        cut_away=float(np.median(cut)),
        scale=float(np.median(scales)),
    )


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
