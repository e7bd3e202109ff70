"""Plan of a training: every choice that was left to `fit`, decided by the source before the first step."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

from torch import nn

from pennyweight import data, zoo
from pennyweight.core.errors import InputError
from pennyweight.core.frame import side_of
from pennyweight.core.preprocess import Preprocess
from pennyweight.train import Ranks, Recipe, reproducible
from pennyweight.train.epoch_plan import EpochPlan
from pennyweight.train.presets import MANY
from pennyweight.train.recipe import Layout, Precision
from pennyweight.verbs.fitting.auto_width import widest
from pennyweight.verbs.fitting.choose_recipe import AUTO, Setting, choose_recipe, requested_fields
from pennyweight.verbs.fitting.first_weights import (
    LARGE_MODEL,
    SMALL_INPUT,
    WORDS,
    Fetcher,
    FirstWeights,
    first_weights,
)
from pennyweight.verbs.fitting.framing import FramingRequest
from pennyweight.verbs.fitting.resolve_network import resolve_network

__all__ = ["Plan", "make_plan", "require_seed"]

SMALL_MODEL, SMALL_MODEL_FOR_MANY = "resnet_9_x0_25", "resnet_9_x0_375"
"""Networks that auto takes for small pictures, because on a processor dense layers learn more per second: for fewer
pictures, and for thousands, if `--minutes` does not decide the width."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Network, input and training, fully decided."""

    model: dict[str, Any]
    """Arguments of `zoo.build`: name, num_classes, in_channels, stem and the changed fields of the Config."""
    preprocess: Preprocess
    recipe: Recipe
    recipe_name: str | None
    """Name of the recipe whose fields were changed; None for a recipe that was given whole."""
    seed: int
    checkpoint: zoo.Checkpoint | None
    """Weights that training starts from; None for a fresh network."""
    weights: str | os.PathLike[str] | None
    """Value of `--weights` for the same training, also where auto chose; None for a fresh network."""
    said: frozenset[str] = frozenset()
    """Fields of the recipe that the user set, and that stay."""
    why: tuple[str, ...] = ()
    """Automatic choices, with their reasons."""
    replanned: EpochPlan | None = None
    """Plan of the epochs where `--minutes` changed it on the way; None for the recipe's."""

    @property
    def note(self) -> str:
        """The plan in a line."""
        size, epochs = "×".join(map(str, self.preprocess.sides)), self.recipe.epochs
        padded = {"crop": "", "pad": ", padded", "stretch": ", stretched"}[self.preprocess.frame]
        config = "".join(f" {name}={value}" for name, value in self.model["config"].items())
        weights = "" if self.checkpoint is None else f" with {self.checkpoint.name}"
        network = f"{self.model['name']}{config}{weights}, {self.model['stem']} stem"
        seen = f"{network}, input {self.preprocess.channels}×{size}{padded}, "
        if self.recipe.optimizer == "lbfgs":
            return f"{seen}logistic regression on the last layer"
        return f"{seen}{epochs} epoch{'s' * (epochs > 1)} of {self.recipe.optimizer}" + {
            "head": " on the last layer",
            "finetune": f" after {self.recipe.head_epochs} of the last layer",
        }.get(self.recipe.mode, "")

    @property
    def recorded_recipe(self) -> dict[str, Any]:
        """The recipe with the plan of the epochs, as run.json keeps it."""
        return self.recipe.to_record(self.replanned)

    @property
    def epochs(self) -> int:
        """Epochs of all phases of the training."""
        return self.recipe.epochs + (self.recipe.head_epochs if self.recipe.mode == "finetune" else 0)

    def asked(self, source: data.Source, **others: Any) -> dict[str, Any]:
        """Return the settings that a resumed command must share with the first one, as JSON keeps them."""
        asked = {
            "data": source.fingerprint,
            "model": self.model,
            "preprocess": self.preprocess.to_dict(),
            "recipe": self.recorded_recipe,
            "seed": self.seed,
            **{name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in others.items()},
        }
        plain: dict[str, Any] = json.loads(json.dumps(asked))
        return plain

    def make(self) -> tuple[nn.Module, tuple[str, ...]]:
        """Return the network, drawn from the seed, with its first weights, and a line for each fitted one."""
        with reproducible(self.seed):
            network = zoo.build(**self.model)
        return network, zoo.put_weights(network, self.checkpoint) if self.checkpoint is not None else ()

    def describe(self, labels: Sequence[str], trained_on: Mapping[str, Any]) -> dict[str, str]:
        """Return the metadata of the trained weights."""
        return zoo.describe(model=self.model, preprocess=self.preprocess, labels=labels, data=trained_on)


def make_plan(
    source: data.Source,
    model: str,
    *,
    pictures: int,
    used: data.UsedLevels | None = None,
    recipe: Recipe | Mapping[str, Any] | str | None,
    framing: FramingRequest,
    stem: zoo.Stem | None,
    config: Mapping[str, Any],
    weights: str | os.PathLike[str] | None,
    seed: int,
    minutes: float | None = None,
    speed: str | None = None,
    setting: Setting = Setting(),  # noqa: B008 - a value
    fetch: Fetcher | None = None,
) -> Plan:
    """Decide every choice that was left to `fit`.

    Args:
        source: Pictures.
        model: Name of a network, or "auto".
        pictures: Number of training pictures.
        used: Range of 16-bit pictures.
        recipe: Recipe, the name of one, or fields to change.
        framing: Input and frame that the user asked for, and the shapes of the pictures.
        stem: Stem of the network; None for the suitable one.
        config: Fields of the network's Config.
        weights: Weights to start from, as `fit` takes them.
        seed: Seed of every random choice.
        minutes: Minutes of the whole run; None without a limit.
        speed: "fixed" keeps the recipe's layout and precision, else only those that `recipe` sets stay.
        setting: Whether there are a teacher and folds.
        fetch: Fetcher of first weights, with the processes of a distributed training; None for one of `minutes`.

    Raises:
        InputError: A value cannot be used; as far as possible before anything is fetched.
    """
    require_seed(seed)
    if model != AUTO:
        zoo.sketch(model, num_classes=len(source.labels), in_channels=source.channels, stem=stem, config=config)
    start = first_weights(source, model, weights, input_size=framing.size, stem=stem, config=config, recipe=recipe)
    ways = _ways_to_step(source, model, pictures, recipe, start, minutes=minutes, speed=speed, setting=setting)
    fetch = fetch or Fetcher(minutes)
    start = fetch(start)
    framed = partial(framing.framed, config=config)
    usual = Preprocess.for_input(framing.size or source.size, channels=source.channels, decoding="draft")
    name, checkpoint, why = _network(source, model, pictures, start, minutes, ways, fetch.ranks, usual, framed)
    preprocess, range_note = _preprocess(source, usual, checkpoint, used)
    preprocess, frame_notes = framed(preprocess, network=name)
    resolved, settled, recipe_name, reasons = resolve_network(
        source, name, checkpoint, preprocess.size, recipe, pictures=pictures, stem=stem, config=config, setting=setting
    )
    return Plan(
        model=resolved, preprocess=preprocess, recipe=settled, recipe_name=recipe_name, seed=seed,
        checkpoint=checkpoint, weights=start.weights, said=requested_fields(recipe),
        why=(*start.why, *why, *_unsaid(checkpoint, source), *reasons, *range_note, *frame_notes),
    )  # fmt: skip


def require_seed(seed: int) -> None:
    """Raise InputError for a seed out of range."""
    if not 0 <= seed < 2**63:
        raise InputError(f"seed must be at least 0 and below 2^63, not {seed}")


def _ways_to_step(
    source: data.Source,
    model: str,
    pictures: int,
    recipe: Recipe | Mapping[str, Any] | str | None,
    start: FirstWeights,
    *,
    minutes: float | None,
    speed: str | None,
    setting: Setting,
) -> list[tuple[Layout, Precision]]:
    """Return the memory layouts and precisions that training may take. Raises InputError for minutes and epochs."""
    suitable = choose_recipe(source, recipe, pictures, model, fresh=start.weights is None, setting=setting)[0]
    said = requested_fields(recipe)
    if minutes is not None and "epochs" in said:
        raise InputError("minutes and epochs were both given; keep one: the time decides how many epochs there are")
    layout: Layout = suitable.layout if speed == "fixed" or "layout" in said else "channels_last"
    fixed = speed == "fixed" or "precision" in said
    precisions: Sequence[Precision] = (suitable.precision,) if fixed else ("float32", "bfloat16")
    return [(layout, precision) for precision in precisions]


def _unsaid(checkpoint: zoo.Checkpoint | None, source: data.Source) -> tuple[str, ...]:
    """Return lines about the choices that weights leave open."""
    if checkpoint is None:
        return ()
    labels, lines = checkpoint.labels, []
    if checkpoint.preprocess is None:
        default = "the default resize, mean and standard deviation are used"
        lines.append(f"{checkpoint.name} does not say how its pictures were prepared; {default}")
    if labels is not None and len(labels) == len(source.labels) and labels != tuple(source.labels):
        lines.append(f"the head of {checkpoint.name} is kept, though its classes were {', '.join(labels[:3])}, …")
    return tuple(lines)


def _network(
    source: data.Source,
    model: str,
    pictures: int,
    start: FirstWeights,
    minutes: float | None,
    ways: Sequence[tuple[Layout, Precision]],
    ranks: Ranks,
    usual: Preprocess,
    framed: Callable[..., tuple[Preprocess, tuple[str, ...]]],
) -> tuple[str, zoo.Checkpoint | None, tuple[str, ...]]:
    """Return the network's name, its first weights, and the reasons of an automatic choice."""
    weights = start.weights
    if start.checkpoint is not None:
        return LARGE_MODEL, start.checkpoint, ()
    if model != AUTO:
        zoo.form(model)  # an unknown network is refused before unknown weights
        return model, None if weights is None else zoo.open_checkpoint(weights, model, words=WORDS), ()
    if weights is None:
        if side_of(usual.size) >= SMALL_INPUT:
            name, suited = LARGE_MODEL, "photographs"
        elif pictures < MANY:
            name, suited = SMALL_MODEL, "small pictures"
        elif minutes is not None:
            size = framed(usual, network=SMALL_MODEL)[0].size
            name, reason = widest(
                minutes, pictures=pictures, size=size, channels=source.channels,
                classes=len(source.labels), ranks=ranks, ways=ways,
            )  # fmt: skip
            return name, None, (reason,)
        else:
            name, suited = SMALL_MODEL_FOR_MANY, "many small pictures"
        return name, None, (f"network {name}: suits {suited}",)
    checkpoint = zoo.open_checkpoint(weights, LARGE_MODEL, words=WORDS)
    found = zoo.recognize(checkpoint)
    checkpoint = replace(zoo.open_checkpoint(weights, found.name), stem=checkpoint.stem or found.stem)
    return found.name, checkpoint, (f"network {found.name}: {found.reason}",)


def _preprocess(
    source: data.Source, usual: Preprocess, checkpoint: zoo.Checkpoint | None, used: data.UsedLevels | None
) -> tuple[Preprocess, tuple[str, ...]]:
    """Return the input that the weights ask for, else the usual one, and a line on 16-bit pictures."""
    asked = None if checkpoint is None else checkpoint.preprocess
    levels, note = ((), "") if used is None else used
    if asked is None:
        return replace(usual, levels=levels), (note,) * bool(note)
    if used is not None and asked.levels and len(asked.levels) in (1, source.channels):
        shown = ", ".join(f"{black:,} to {white:,}" for black, white in asked.levels)
        levels, note = asked.levels, f"16-bit pictures are read by the levels of the weights, {shown}"
    means = [
        values if asked.channels == source.channels else (fmean(values),) * source.channels
        for values in (asked.mean, asked.std)
    ]
    preprocess = replace(asked, channels=source.channels, mean=means[0], std=means[1], levels=levels)
    return preprocess, (note,) * bool(note)
