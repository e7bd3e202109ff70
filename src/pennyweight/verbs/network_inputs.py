"""Show some pictures of training and validation as they enter a network: of a run, or of a training to come."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pennyweight import data, zoo
from pennyweight.core.errors import InputError
from pennyweight.core.frame import Size, show_size
from pennyweight.core.images import Pixels
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run
from pennyweight.core.run_folder import is_run_folder
from pennyweight.data.augment.alone import changes_of
from pennyweight.data.balance import drawn_in_turn
from pennyweight.data.batch import Batch
from pennyweight.data.checks.view import View, view_through
from pennyweight.data.readers.input_size import header_or_none
from pennyweight.report.network_inputs import NetworkInput, NetworkInputs
from pennyweight.train import Recipe
from pennyweight.verbs.fitting.choose_recipe import AUTO
from pennyweight.verbs.fitting.choose_size import sizes_to_try
from pennyweight.verbs.fitting.first_weights import LARGE_MODEL, NONE
from pennyweight.verbs.fitting.framing import FramingRequest
from pennyweight.verbs.fitting.plan import Plan, make_plan
from pennyweight.verbs.fitting.probe_detail import doubled
from pennyweight.verbs.fitting.size_trial import PICTURES, median_scale
from pennyweight.verbs.load import preprocess_of

__all__ = ["for_page", "inputs_as", "show_inputs"]

SHOWN = 16
"""Pictures of each split."""


def show_inputs(
    pictures: Mapping[data.Split, data.Pictures],
    recipe: Recipe,
    *,
    seed: int,
    labels: tuple[str, ...],
    network: str,
    view: View | None = None,
    reasons: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> NetworkInputs:
    """Return some training pictures as in the first epoch, and some validation pictures as they are scored.

    A training in folds has no validation pictures.

    Args:
        pictures: The pictures of the splits, of which training and validation are shown.
        recipe: The recipe, whose changes training pictures go through.
        seed: Seed of the training.
        labels: Names of the classes.
        network: Name of the network, for the page.
        view: Share of the pictures that is cut away, and their scale; None where their sizes are unknown.
        reasons: Lines on the choice of the input, of its frame and of the changes.
        notes: Lines on what the training may still change.
    """
    training, validation = pictures["train"], pictures.get("val")
    changes = _changes(recipe, training.reach(recipe.augment))
    height, width, channels = training.preprocess.shape
    first = (height, width) if recipe.mode == "head" else recipe.sides(training.preprocess.size, 1)
    return NetworkInputs(
        training=_shown(training, seed, labels, recipe if changes else None),
        validation=() if validation is None else _shown(validation, seed, labels, None),
        network=network,
        shape=(channels, height, width),
        first=None if first == (height, width) else (channels, *first),
        view="" if view is None else view.line,
        reasons=reasons,
        notes=notes,
        changes=changes,
    )


def inputs_as(
    source: data.Source,
    network: str | os.PathLike[str],
    *,
    view: View | None = None,
    unreadable: frozenset[str] = frozenset(),
    max_pixels: int | None = None,
) -> tuple[NetworkInputs, View | None, tuple[str, ...]]:
    """Return pictures of a source as they would enter a network in `fit`, or as they enter that of a run.

    Args:
        source: The source.
        network: Name of a network, "auto", or a run's folder. Weights are never fetched.
        view: View of the pictures through some input, with their sizes; None without a picture.
        unreadable: Names of pictures to leave out.
        max_pixels: Pixels of the largest picture to read; by default 80 million.

    Returns:
        The pictures, the view of them through the network's input, and lines on assumptions and open choices.

    Raises:
        InputError: `network` is neither a network's name nor a run.
        SourceError: The source cannot be split.
    """
    splits = data.split(source)
    if Path(network).is_dir() and is_run_folder(Path(network)):
        known = _of_run(Path(network), source)
    else:
        known = _of_name(os.fspath(network), source, splits.train, max_pixels)
    preprocess = replace(known.preprocess, max_pixels=max_pixels)
    readable = {part: [each for each in splits[part] if each.name not in unreadable] for part in data.SPLITS[:2]}
    pictures = {
        part: data.make_pictures(source, samples, preprocess, margin=part == "train")
        for part, samples in readable.items()
    }
    view = None if view is None else view_through(preprocess, view.sizes)
    inputs = show_inputs(
        pictures, known.recipe, seed=known.seed, labels=source.labels, network=known.shown, view=view,
        reasons=known.reasons, notes=[f"{line}." for line in known.open_choices],
    )  # fmt: skip
    return inputs, view, known.notes


class _Known(NamedTuple):
    """Input and changes of a training."""

    preprocess: Preprocess
    recipe: Recipe
    seed: int
    shown: str
    """Name of the network on the page."""
    notes: tuple[str, ...] = ()
    open_choices: tuple[str, ...] = ()
    """Lines on choices that are open before the training."""
    reasons: Sequence[str] = ()
    """Lines on the choices of a run."""


def _of_run(folder: Path, source: data.Source) -> _Known:
    """Return the input and the changes of a run, with a line where it takes other channels than the source has."""
    run = Run(folder)
    preprocess, recipe = preprocess_of(run), Recipe.from_dict(run.info.recipe)
    notes: tuple[str, ...] = ()
    if preprocess.channels != source.channels:
        notes = (f"{folder} takes {preprocess.channels} channels; the pictures of {source.name} are converted",)
    return _Known(preprocess, recipe, run.info.seed, str(folder), notes, reasons=run.info.why or ())


def _of_name(network: str, source: data.Source, training: Sequence[data.Sample], max_pixels: int | None) -> _Known:
    """Return the input and the changes that `fit` would choose. Raises InputError for a bundle."""
    if Path(network).is_file():
        raise InputError(f"a bundle does not say how pictures change in training; give its run, not {network}")
    weights: str | None = None
    notes: tuple[str, ...] = ()
    if network == AUTO and not zoo.published_file(LARGE_MODEL)[1].exists():
        weights = NONE
        notes = ("shown as trained from scratch: no published weights are fetched to look at a source",)
    plan = make_plan(
        source, network, pictures=len(training), recipe=None, stem=None, config={}, weights=weights, seed=0,
        used=data.measure_levels(source, training, max_pixels=max_pixels),
        framing=FramingRequest(aspects=data.aspects_of(training), pictures=len(training)),
    )  # fmt: skip
    choices = _open_choices(plan, training, streamed=source.streamed)
    notes = (*notes, *plan.why, *choices)
    return _Known(plan.preprocess, plan.recipe, plan.seed, plan.model["name"], notes, choices)


def _open_choices(plan: Plan, samples: Sequence[data.Sample], *, streamed: bool) -> tuple[str, ...]:
    """Return lines on what `fit` decides only after it has looked at the pictures, and that is shown undecided."""
    lines: list[str] = []
    recipe, preprocess = plan.recipe, plan.preprocess
    if changes_of(recipe.augment) and (recipe.mode != "head" or recipe.views):
        lines.append("fit tries these changes against the labels first, and leaves out what contradicts them")
    if not streamed and (recipe.mode == "head" or (recipe.mode == "scratch" and plan.checkpoint is None)):
        some = drawn_in_turn(np.array([sample.label for sample in samples]), PICTURES, seed=0)
        headers = [header_or_none(samples[number].read()) for number in some.tolist()]

        def scale(size: Size) -> float:
            return median_scale(headers, size, preprocess.frame)

        if larger := (sizes_to_try if recipe.mode == "head" else doubled)(preprocess.size, scale):
            sizes = " and ".join(show_size(size) for size in larger)
            lines.append(f"fit also tries inputs of {sizes}, and takes one if more detail tells the classes apart")
    return tuple(lines)


def for_page(pixels: Pixels) -> Pixels:
    """Return the channels that a page can show: the first three of many, the first of two."""
    return pixels if pixels.shape[2] in (1, 3) else pixels[..., : 3 if pixels.shape[2] > 3 else 1]


def _changes(recipe: Recipe, reach: float) -> tuple[str, ...]:
    """Return the random changes of training pictures in words; `reach` is the share by which they are shifted."""
    if recipe.mode == "head" and not recipe.views:
        return ()
    augment = recipe.augment
    words = {
        "mirrored": augment.flip,
        f"shifted by up to {reach:.0%}": reach,
        f"{augment.policy} policy": augment.policy != "none",
        f"{augment.erase:.0%} partly erased": augment.erase,
        "mixup": augment.mixup and recipe.mode != "head",
        "CutMix": augment.cutmix and recipe.mode != "head",
    }
    return tuple(word for word, used in words.items() if used)


def _shown(
    pictures: data.Pictures, seed: int, labels: tuple[str, ...], recipe: Recipe | None
) -> tuple[NetworkInput, ...]:
    """Return some pictures of every class in turn, changed as `recipe` says; None leaves them unchanged."""
    numbers = drawn_in_turn(pictures.targets, SHOWN, seed=seed)
    if not len(numbers):
        return ()
    if recipe is None:
        batch = Batch(pictures.pixels(numbers), pictures.targets[numbers])
    else:
        augment = recipe.augment if recipe.mode != "head" else replace(recipe.augment, mixup=0.0, cutmix=0.0)
        batch = pictures.changed(numbers, epoch=1, seed=seed, augment=augment)
    return tuple(
        NetworkInput(for_page(np.asarray(pixels)), pictures.samples[number].name, label)
        for number, pixels, label in zip(numbers.tolist(), batch.pixels, _labels(batch, labels), strict=True)
    )


def _labels(batch: Batch, labels: tuple[str, ...]) -> Iterator[str]:
    """Yield the class of each picture, or the shares of both classes of a mixed one."""
    if batch.mixed is None:
        yield from (labels[target] for target in batch.targets.tolist())
        return
    others, shares = batch.mixed.targets.tolist(), batch.mixed.share.tolist()
    for target, other, share in zip(batch.targets.tolist(), others, shares, strict=True):
        share = share if other != target else 1.0  # mixed with a picture of its own class
        parts = {other: f"{1 - share:.0%} {labels[other]}", target: f"{share:.0%} {labels[target]}"}
        shown = [text for text in reversed(parts.values()) if not text.startswith("0%")]
        yield ", ".join(shown) if len(shown) > 1 else shown[0].partition(" ")[2]
