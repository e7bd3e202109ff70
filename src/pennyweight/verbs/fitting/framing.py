"""Choose the size of the input and the frame by the shapes of the training pictures, and say why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pennyweight import data, zoo
from pennyweight.core.frame import Size, show_size, side_of, sides_of
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run_record import RunRecord
from pennyweight.data import Framing

__all__ = ["FrameChoice", "FramingRequest", "as_framed"]

FrameChoice = Literal["auto", "crop", "pad", "stretch"]
PADDED = "--frame pad shows whole pictures"
LIBRARY_STEP = 32
"""Pixels of which the sides of a rectangle are multiples for another library's network."""


@dataclass(frozen=True)
class FramingRequest:
    """Input and frame that the user asked for, and the shapes of the training pictures."""

    size: Size | None = None
    """Size of the input; None to choose it."""
    frame: FrameChoice = "auto"
    aspects: NDArray[np.float64] = field(default_factory=partial(np.empty, 0))
    """Width / height of the training pictures whose headers were read, (n,)."""
    pictures: int = 0
    """Number of training pictures; of very many, `aspects` has a random sample."""

    def framed(
        self, usual: Preprocess, *, network: str, config: Mapping[str, Any]
    ) -> tuple[Preprocess, tuple[str, ...]]:
        """Return the preprocessing with the input and the frame that suit, and lines on what is cut away.

        Args:
            usual: Preprocessing of the weights, or the usual one; its number of pixels is kept.
            network: Name of the network, which may take squares only.
            config: Fields of the network's Config that the user gave.
        """
        aspects, given = self.aspects, usual.size if self.size is None else self.size
        lines: tuple[str, ...]
        if self.frame != "auto":
            chosen = Framing(given, self.frame)
            if self.size is None and self.frame != "crop" and isinstance(given, int):
                chosen = Framing(_suggested(aspects, given, network, config).size, self.frame)
            lines = (data.cut_note(aspects, chosen, PADDED),)
        elif usual.frame != "crop" or not data.cuts_much(aspects, given):
            chosen = Framing(given, usual.frame)
            lines = (data.cut_note(aspects, chosen, PADDED),)
        elif self.size is None:
            chosen = _suggested(aspects, side_of(given), network, config)
            lines = (_line(aspects, given, chosen), data.cut_note(aspects, chosen, PADDED))
        else:
            chosen = Framing(given, "pad")
            lines = (_line(aspects, given, chosen),)
        return usual.at(*chosen), tuple(f"{line}{self._of_some}" for line in lines if line)

    @property
    def _of_some(self) -> str:
        """Return the number of pictures whose shapes decide, for the end of a line; empty if these are all."""
        known = len(self.aspects)
        return f"; seen in the headers of {known:,} of {self.pictures:,} pictures" if known < self.pictures else ""


def as_framed(record: RunRecord | None, size: Size | None, frame: FrameChoice) -> tuple[Size | None, FrameChoice]:
    """Return size and frame with which a run began, for a command that resumes it and leaves them open.

    A command that names the run's own frame gets its size too, which a trial of sizes may have enlarged.
    """
    if record is None or record.preprocess is None:
        return size, frame
    began = Preprocess.from_dict(record.preprocess)
    if frame not in ("auto", began.frame):
        return size, frame
    return began.size if size is None else size, began.frame


def _step_of(network: str, config: Mapping[str, Any]) -> int:
    """Return the pixels of which the sides of a network's input must be multiples; 1 for any size."""
    if ":" in network:
        return LIBRARY_STEP
    return int(config.get("patch", getattr(zoo.variant(network).config, "patch", 1)))


def _suggested(aspects: NDArray[np.float64], side: int, network: str, config: Mapping[str, Any]) -> Framing:
    """Return the framing that suits the pictures and the network."""
    found = data.suggest_framing(aspects, side, step=_step_of(network, config))
    if isinstance(found.size, int) or _takes(network, found.size):
        return found
    return Framing(side, "pad")


def _takes(network: str, size: Size) -> bool:
    """Return whether a network takes a rectangle; every one of ours does."""
    if ":" not in network:
        return True
    channels = zoo.form(network).input_shape[0]
    try:
        sized = zoo.settle(network, {}, size=size)
        made = zoo.sketch(network, num_classes=2, in_channels=channels, stem=None, config=sized)
        made(torch.empty(2, channels, *sides_of(size), device="meta"))
    except Exception:  # other libraries' networks raise anything
        return False
    return True


def _line(aspects: NDArray[np.float64], given: Size, chosen: Framing) -> str:
    """Return a line on an input or a frame that was changed, and the option that takes back the change."""
    what = "a square" if isinstance(given, int) else show_size(given)
    cut = data.describe_cut(aspects, given, f"{what} would cut away")
    shown = "×".join(map(str, sides_of(chosen.size)))
    instead = f"input {shown}" if chosen.frame == "crop" else f"whole pictures are padded to {shown}"
    return f"{cut}: {instead}; --frame crop cuts it all the same"
