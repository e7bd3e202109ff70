"""Arguments of `fit` as one checked value."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict, get_args

from pennyweight import data, zoo
from pennyweight.core.errors import InputError
from pennyweight.core.frame import Size, as_size
from pennyweight.core.sizes import parse_size
from pennyweight.core.synonyms import hint_of_value
from pennyweight.train import Recipe
from pennyweight.train.trackers import check_tracker
from pennyweight.verbs.fitting.choose_folds import check_folds
from pennyweight.verbs.fitting.framing import FrameChoice

__all__ = ["FitOptions", "FitRequest", "Speed", "check_save_minutes"]

Speed = Literal["auto", "fixed"]
Augmentation = Literal["check", "keep"]
Place = str | os.PathLike[str]


class FitOptions(TypedDict, total=False):
    """Rarer options of `fit`. Each may be left out; the defaults are those of `FitRequest`."""

    stem: zoo.Stem | None
    speed: Speed | None
    preflight: bool | None
    augment: Augmentation | Mapping[str, Any]
    save_minutes: float
    log: str | None
    group_by: str | None
    twins: data.TwinRule
    read_as: data.ReadAs | Mapping[str, Any] | None
    trust: bool
    frame: FrameChoice
    channels: int | None
    max_pixels: int | None
    shuffle_buffer: str | int | None
    wait: float
    folds: int | None


@dataclass(frozen=True, kw_only=True)
class FitRequest:
    """Arguments of `fit` on pictures. Raises InputError for a value out of range, MissingPart for a missing tracker."""

    source: data.AnySource
    model: str
    out: Place | None = None
    recipe: Recipe | Mapping[str, Any] | str | None = None
    weights: Place | None = None
    teacher: Place | None = None
    config: Mapping[str, Any] | None = None
    input_size: Size | str | None = None
    minutes: float | None = None
    resume: bool = False
    seed: int = 0
    progress: bool = True
    stem: zoo.Stem | None = None
    speed: Speed | None = None
    preflight: bool | None = None
    augment: Augmentation | Mapping[str, Any] = "check"
    save_minutes: float = 5.0
    log: str | None = None
    group_by: str | None = None
    twins: data.TwinRule = "group"
    read_as: data.ReadAs | Mapping[str, Any] | None = None
    trust: bool = False
    frame: FrameChoice = "auto"
    channels: int | None = None
    max_pixels: int | None = None
    shuffle_buffer: str | int | None = None
    wait: float = 5.0
    folds: int | None = None

    @property
    def size(self) -> Size | None:
        """Size of the input; None to choose it. Raises InputError for anything but a size."""
        return None if self.input_size is None else as_size(self.input_size)

    @property
    def reading(self) -> data.ReadAs | None:
        """Options for reading the source, with `trust`; None without any."""
        how = data.ReadAs.of(self.read_as)
        return replace(how, trust=how.trust or self.trust) or None

    @property
    def buffer_bytes(self) -> int | None:
        """Bytes that a stream may take; None for the default. Raises InputError for anything but a size."""
        return None if self.shuffle_buffer is None else parse_size(self.shuffle_buffer, "shuffle_buffer")

    def __post_init__(self) -> None:
        check_save_minutes(self.save_minutes)
        check_folds(self.folds)
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise InputError(f"minutes must be above 0 and finite, not {self.minutes}")
        if self.speed not in (None, *get_args(Speed)):
            raise InputError(f"speed is {' or '.join(get_args(Speed))}, not '{self.speed}'")
        if not isinstance(self.augment, Mapping) and self.augment not in get_args(Augmentation):
            found = "the findings of a run: run.record['augmentation']"
            raise InputError(f"augment is {', '.join(get_args(Augmentation))}, or {found}, not '{self.augment}'")
        if isinstance(self.augment, Mapping) and not {"left_out", "notes"} <= set(self.augment):
            raise InputError(
                f"augment has no left_out and notes, as run.record['augmentation'] has them, but {[*self.augment]}"
            )
        if self.twins not in get_args(data.TwinRule):
            raise InputError(f"twins is {', '.join(get_args(data.TwinRule)[:-1])} or drop, not '{self.twins}'")
        if self.frame not in get_args(FrameChoice):
            close = hint_of_value(self.frame, get_args(FrameChoice))
            raise InputError(f"frame is {', '.join(get_args(FrameChoice)[:-1])} or stretch, not '{self.frame}'{close}")
        _ = self.size
        check_tracker(self.log)


def check_save_minutes(save_minutes: float) -> None:
    """Raise InputError for a negative interval between checkpoints."""
    if not save_minutes >= 0:
        raise InputError(f"save_minutes must be at least 0, not {save_minutes}")
