"""Choose the weights that a training starts from: published ones for photographs, where nobody named any."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from pennyweight import data, zoo
from pennyweight.core.errors import DownloadError
from pennyweight.core.frame import Size, show_size, side_of
from pennyweight.core.offline import OFFLINE, is_offline
from pennyweight.core.run_record import RunRecord
from pennyweight.core.text import say
from pennyweight.train import Ranks, Recipe
from pennyweight.verbs.fitting.choose_recipe import AUTO, trains_from_scratch

__all__ = [
    "LARGE_MODEL",
    "NONE",
    "SMALL_INPUT",
    "WORDS",
    "Fetcher",
    "FirstWeights",
    "as_begun",
    "first_weights",
    "is_named",
]

Weights = str | os.PathLike[str]

NONE = "none"
WORDS = (NONE, AUTO)
"""Values of `weights` that name no tag, file or run."""
LARGE_MODEL = "mobilenet_v2"
"""Network that auto takes for photographs."""
SMALL_INPUT = 96
"""Pixels a side from which on pictures are photographs; those below take the small-image stem unless told otherwise."""
PHOTO_CHANNELS = (1, 3)
"""Gray and RGB: published weights learned from RGB, and their sum over the channels serves gray."""
PATIENCE_S = 300.0
"""Longest time of a fetch that nobody asked for by name, in seconds."""
PATIENCE_SHARE = 0.2
"""Largest share of `--minutes` that the fetch may take."""
GAIN = (
    f"measured with {LARGE_MODEL} at 224 pixels on 400 photographs of cats and dogs: 98% of 150 test pictures are "
    "right with weights trained on ImageNet, 73% from scratch"
)


@dataclass(frozen=True, kw_only=True)
class FirstWeights:
    """Weights that a training starts from."""

    weights: Weights | None
    """Value of `--weights` that names them; None for a fresh network."""
    chosen: bool = False
    """True where auto chose them: they are fetched here, and not opened by their name."""
    checkpoint: zoo.Checkpoint | None = None
    """Weights of LARGE_MODEL, where auto chose and fetched them."""
    why: tuple[str, ...] = ()

    def fetched(self, minutes: float | None, ranks: Ranks) -> FirstWeights:
        """Return the same with what auto chose, or a fresh network and the reason where that cannot be had.

        A line on standard error names the file and its address before the fetch. All ranks must call
        it, and start alike.
        """
        if not self.chosen:
            return self
        within_s = PATIENCE_S if minutes is None else min(PATIENCE_S, PATIENCE_SHARE * minutes * 60)
        row, _ = zoo.published_file(LARGE_MODEL)
        checkpoint, failed = None, ""
        for first in (True, False):  # on one machine the others find the file; on another one they fetch their own
            if first == (ranks.number == 0) and not failed:
                checkpoint, failed = _fetch(within_s)
            failed = next(filter(None, ranks.gather(failed)), "")
        if failed:
            would = f"{row.file}, weights published for {LARGE_MODEL}, would be the start of this training"
            return FirstWeights(
                weights=None, why=(f"{would}, which begins from scratch without them: {failed}; {GAIN}",)
            )
        taken = (
            f"weights {row.file}: suit photographs; published by torchvision (BSD-3), trained on ImageNet; "
            f"--weights {NONE} trains from scratch"
        )
        return replace(self, checkpoint=checkpoint, why=(f"network {LARGE_MODEL}: suits photographs", taken))


class Fetcher:
    """Function that fetches first weights, once for every plan that is made, within a share of `minutes`."""

    def __init__(self, minutes: float | None = None, ranks: Ranks | None = None) -> None:
        self.minutes, self.ranks = minutes, ranks or Ranks()
        self._fetched: dict[FirstWeights, FirstWeights] = {}

    def __call__(self, start: FirstWeights) -> FirstWeights:
        """Return the same with what auto chose; all ranks must call it."""
        if start not in self._fetched:
            self._fetched[start] = start.fetched(self.minutes, self.ranks)
        return self._fetched[start]


def is_named(weights: Weights | None) -> bool:
    """Return True if a user named weights, and did not leave them to auto or refuse them."""
    return weights is not None and str(weights) not in WORDS


def as_begun(record: RunRecord | None, weights: Weights | None) -> tuple[str, Weights | None]:
    """Return the network and weights with which a run of auto began, for a command that resumes it."""
    if record is None:
        return AUTO, weights
    if kept := next((row for row in record.networks or () if row["kept"]), None):
        return kept["network"], kept["weights"]
    if record.network != LARGE_MODEL:
        return record.network, weights
    began = record.asked.get("weights")
    return AUTO, (began or NONE) if not is_named(weights) and began in (None, zoo.BEST) else weights


def first_weights(
    source: data.Source,
    model: str,
    weights: Weights | None,
    *,
    input_size: Size | None,
    stem: zoo.Stem | None,
    config: Mapping[str, Any],
    recipe: Recipe | Mapping[str, Any] | str | None,
) -> FirstWeights:
    """Choose the weights to start from; nothing is fetched yet.

    Published ones where network and weights are left to auto, the pictures are photographs, and nothing that was said
    of network and recipe speaks against them.
    """
    if is_named(weights):
        return FirstWeights(weights=weights)
    if weights == NONE or max(source.size, side_of(input_size or 0)) < SMALL_INPUT:
        return FirstWeights(weights=None)
    scratch, unlike = trains_from_scratch(recipe), _unlike_photographs(source, input_size)
    if model != AUTO:
        return FirstWeights(weights=None, why=() if scratch or unlike else _tip(model))
    if reason := scratch or unlike or _unlike(source, stem, config):
        return FirstWeights(weights=None, why=(f"no published weights are taken: {reason}",))
    return FirstWeights(weights=zoo.BEST, chosen=True)


def _tip(model: str) -> tuple[str, ...]:
    """Say that a network which was named without weights has some."""
    if not zoo.tags(model):
        return ()
    return (f"--weights {zoo.BEST} starts from weights published for {model}; {GAIN}",)


def _unlike_photographs(source: data.Source, input_size: Size | None) -> str:
    """Return the reason why pictures are not photographs, from which published weights learned; empty if they are."""
    named = f"--weights {zoo.BEST} takes them all the same"
    if source.channels not in PHOTO_CHANNELS:
        return f"they have learned from gray and RGB pictures, not from {source.channels} channels; {named}"
    if side_of(input_size or source.size) < SMALL_INPUT:
        given = show_size(input_size or source.size)
        return f"they suit inputs of at least {SMALL_INPUT} pixels, not of {given}; {named}"
    return ""


def _unlike(source: data.Source, stem: zoo.Stem | None, config: Mapping[str, Any]) -> str:
    """Return why the network that was asked for cannot take the published weights; nothing where it can."""
    usual = zoo.form(LARGE_MODEL).stem
    if stem not in (None, usual):
        return f"they were trained with the {usual} stem, not with {stem}"
    kinds: dict[str, Any] = {"num_classes": len(source.labels), "in_channels": source.channels, "stem": None}
    plain, changed = (
        {key: value.shape for key, value in zoo.sketch(LARGE_MODEL, **kinds, config=fields).state_dict().items()}
        for fields in ({}, config)
    )
    if plain == changed:
        return ""
    return f"they do not fit {LARGE_MODEL} with {', '.join(f'{name}={value}' for name, value in config.items())}"


def _fetch(within_s: float) -> tuple[zoo.Checkpoint | None, str]:
    """Announce and fetch; return (the weights, why they cannot be had)."""
    row, path = zoo.published_file(LARGE_MODEL)
    if not path.exists() and not is_offline():
        megabytes = zoo.variant(LARGE_MODEL).params * 4 / 1e6
        say(
            f"fetching published weights {row.file}, about {megabytes:.0f} MB, from {urlsplit(row.url).hostname} into "
            f"{path.parent}; --weights {NONE} or {OFFLINE}=1 forbids it",
            error=True,
        )
    try:
        return zoo.open_published(LARGE_MODEL, within_s=within_s), ""
    except DownloadError as error:
        return None, str(error)
