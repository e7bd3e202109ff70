"""Open what `fit` trains on: the source with its splits, the plan, and the network with its teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from rich.console import Console
from torch import nn

from pennyweight import data
from pennyweight.core.errors import InputError
from pennyweight.core.formats import allow_pixels
from pennyweight.core.frame import Size
from pennyweight.core.images import MAX_PIXELS
from pennyweight.core.picture_header import Header
from pennyweight.core.run_record import RunRecord
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.nn import Network
from pennyweight.report.progress import TrainingProgress
from pennyweight.train import Ranks
from pennyweight.train.batches import Teacher
from pennyweight.train.epoch_plan import EpochPlan
from pennyweight.verbs.fitting.auto_width import WIDTHS
from pennyweight.verbs.fitting.choose_recipe import AUTO
from pennyweight.verbs.fitting.choose_size import choose_size
from pennyweight.verbs.fitting.first_weights import LARGE_MODEL, NONE, Fetcher, as_begun, is_named
from pennyweight.verbs.fitting.framing import FramingRequest, as_framed
from pennyweight.verbs.fitting.looking import look_at_pictures, look_for_twins
from pennyweight.verbs.fitting.plan import Plan, make_plan
from pennyweight.verbs.fitting.prepare import open_teacher
from pennyweight.verbs.fitting.probe_detail import probe_detail
from pennyweight.verbs.fitting.request import FitRequest
from pennyweight.verbs.fitting.resume import find_record, hash_files
from pennyweight.verbs.fitting.run_folder import refuse_taken
from pennyweight.verbs.training_pictures import training_digests_of, without_training_pictures
from pennyweight.verbs.twins_in_training import without_twins_of

__all__ = ["PictureFit", "open_fit"]

MUCH = 0.1
"""Share of `--minutes` that the look at the pictures may take before the plan is made again for the rest."""


@dataclass(kw_only=True)
class PictureFit:
    """Training on pictures that is about to begin or to resume."""

    request: FitRequest
    ranks: Ranks
    source: data.Source
    splits: data.Splits
    learned: Mapping[str, TrainingDigests]
    """Pictures that the first weights, or the teacher, have learned from, and their twins, by their run's folder."""
    plan: Plan
    asked: Mapping[str, Any]
    """Settings that a resumed run must have in common with this one."""
    network: nn.Module
    fitted: tuple[str, ...]
    """Lines about first weights, or a teacher, that had to be fitted."""
    teacher: Teacher | None
    pictures: dict[data.Split, data.Pictures]
    unreadable: list[data.Unreadable] = field(default_factory=list)
    rule: data.TwinRule = "group"
    """Rule for twins."""
    augmentation: Mapping[str, Any] | None = None
    """Changes that were tried against the labels, as run.json keeps them."""
    glances: data.Glances | None = None
    """Facts of every picture of the source; None for a stream."""
    twins: data.Twins | None = None
    """Pictures of the same moment; None for a stream, where they are not looked for."""

    @property
    def headers(self) -> list[Header | None]:
        """Headers of the pictures of the source, None for one that cannot be read; empty for a stream."""
        return [] if self.glances is None else [saved and saved.header for saved in self.glances.saved]

    @property
    def run_name(self) -> str:
        """SOURCE-NETWORK, the name of the run's folder without its number."""
        return f"{self.source.name}-{self.plan.model['name']}"

    @property
    def counts(self) -> dict[data.Split, int]:
        """Readable pictures of each split."""
        return {name: len(part) for name, part in self.pictures.items()}

    def open_teacher(self) -> Teacher | None:
        """Return the teacher, which sees the plan's input; None without one."""
        return open_teacher(self.request.teacher, self.source, self.plan.preprocess, self.ranks.device)


def open_fit(request: FitRequest, started: float) -> PictureFit:
    """Open the source, decide the plan, and make the network. Nothing is written.

    Pictures are looked at last, which may take minutes. What can be refused without them is refused before. The plan is
    made again where they show twins, for the split without these, and where the look took much of `--minutes`, for the
    rest of these.

    Args:
        request: Arguments of `fit`.
        started: Clock, as of `perf_counter`, from which `--minutes` count.

    Raises PennyweightError for everything that can be refused before training.
    """
    ranks = Ranks(request.wait)
    source = _open_source(request)
    learned = training_digests_of(request.weights if is_named(request.weights) else None, request.teacher)
    splits = without_training_pictures(data.split(source), learned)
    fetch = Fetcher(request.minutes, ranks)
    plan_fit = partial(_plan_fit, ranks=ranks, source=source, learned=learned, fetch=fetch)
    fitting = plan_fit(request, splits, request.minutes)
    if request.out is not None and not request.resume and not ranks.number:
        refuse_taken(Path(request.out))
    fitting.rule = _rule(request, source)
    looked = perf_counter()
    fitting.glances = look_at_pictures(request, source, started)
    fitting.twins = look_for_twins(request, fitting.glances, started)
    apart = without_training_pictures(data.split_by_rule(source, fitting.twins, fitting.rule), learned)
    apart, fitting.learned = without_twins_of(learned, source, apart, fitting.twins, max_pixels=request.max_pixels)
    seen: dict[str, Any] = {name: getattr(fitting, name) for name in ("rule", "glances", "twins", "learned")}
    late = request.minutes is not None and perf_counter() - looked > MUCH * request.minutes * 60
    left = None if request.minutes is None else request.minutes - (perf_counter() - started) / 60
    left = ranks.gather(left)[0]
    if any(ranks.gather(late or apart.fingerprint != splits.fingerprint)):
        fitting = replace(plan_fit(request, apart, left), **seen)
    fitting.splits = apart

    def at(size: Size) -> PictureFit | None:
        plan = fitting.plan  # whose network, stem and weights stay
        begun = {} if plan.checkpoint is not None else {"model": plan.model["name"], "weights": NONE}
        sized = replace(request, input_size=size, frame=plan.preprocess.frame, stem=plan.model["stem"], **begun)
        try:
            return replace(plan_fit(sized, apart, left), **seen)
        except InputError:  # the network, or a field of --config, allows no other size
            return None

    return _at_suitable_size(fitting, at, left)


def _at_suitable_size(
    fitting: PictureFit, at: Callable[[Size], PictureFit | None], minutes: float | None
) -> PictureFit:
    """Return the training at the input size that suits; a size that was asked for, or that a run began with, stays.

    A last layer compares features of the frozen network, and a training from scratch those of small filters. Every rank
    takes the first one's answers, so that all try the same sizes.
    """
    request, ranks, mode = fitting.request, fitting.ranks, fitting.plan.recipe.mode
    if request.input_size is not None or fitting.glances is None:
        return fitting
    if mode == "finetune" or (mode == "scratch" and fitting.plan.checkpoint is not None):
        return fitting
    if request.resume and _record(request, fitting.source) is not None:
        return fitting
    with TrainingProgress(0, None if request.progress and not ranks.number else Console(quiet=True)) as shown:
        if mode == "head":
            chosen, line = choose_size(fitting, at, shown)
        else:
            chosen, line = probe_detail(fitting, at, minutes, shown)
    return replace(chosen, plan=replace(chosen.plan, why=(*fitting.plan.why, *filter(None, [line]))))


def _plan_fit(
    request: FitRequest,
    splits: data.Splits,
    minutes: float | None,
    *,
    ranks: Ranks,
    source: data.Source,
    learned: Mapping[str, TrainingDigests],
    fetch: Fetcher,
) -> PictureFit:
    """Decide the plan for these splits and the minutes that are left, and make the network."""
    plan = _decide(request, source, splits, minutes, fetch)
    asked = _settings(request, source, splits, plan)
    if request.teacher is not None and plan.recipe.mode == "head":
        raise InputError(
            "mode head trains on features, and a teacher needs pictures: --mode scratch or finetune has both"
        )
    network, fitted = plan.make()
    network.to(ranks.device)
    if isinstance(network, Network):
        network.check(torch.empty(1, source.channels, *plan.preprocess.sides, device="meta"))
    lines: list[str] = []
    teacher = open_teacher(request.teacher, source, plan.preprocess, ranks.device, lines.append)
    return PictureFit(
        request=request,
        ranks=ranks,
        source=source,
        splits=splits,
        learned=learned,
        plan=plan,
        asked=asked,
        network=network,
        fitted=(*fitted, *lines),
        teacher=teacher,
        pictures=data.make_split_pictures(
            source, splits, plan.preprocess, rank=ranks.number, world=ranks.count, buffer=request.buffer_bytes
        ),
        unreadable=list(source.unreadable),
    )


def _open_source(request: FitRequest) -> data.Source:
    """Open the source with the reading options of the request."""
    allow_pixels(request.max_pixels)
    source = data.open(request.source, group_by=request.group_by, read_as=request.reading)
    if source.streamed and request.max_pixels is not None:
        raise InputError(
            f"max_pixels is for pictures that are read alone; of shards up to {MAX_PIXELS:,} pixels are read"
        )
    if not source.streamed and request.buffer_bytes is not None:
        raise InputError(f"shuffle_buffer is for streamed shards; {source.name} is read as files, which need none")
    return source if request.channels is None else replace(source, channels=request.channels)


def _rule(request: FitRequest, source: data.Source) -> data.TwinRule:
    """Return the rule for twins; "keep" where a run resumes that was begun before there was one."""
    if request.resume:
        record = _record(request, source)
        if record is not None and record.data.twins is None:
            return "keep"
    return request.twins


def _record(request: FitRequest, source: data.Source) -> RunRecord | None:
    """Return the record of the run that the request resumes; None without one."""
    networks = (*WIDTHS, LARGE_MODEL) if request.model == AUTO else (request.model,)
    return find_record(request.out, source.name, networks)


def _decide(
    request: FitRequest, source: data.Source, splits: data.Splits, minutes: float | None, fetch: Fetcher
) -> Plan:
    """Make the plan; where a run of auto resumes, with the network and the weights that it began with."""
    model, weights, stem = request.model, request.weights, request.stem
    size, frame = request.size, request.frame
    if request.resume:
        record = _record(request, source)
        size, frame = as_framed(record, size, frame)
        stem = stem if record is None else stem or record.model["stem"]  # a trial of sizes keeps the usual size's
        if model == AUTO:
            model, weights = as_begun(record, weights)
    recipe, stretches = request.recipe, ()
    if isinstance(recipe, Mapping) and "stretches" in recipe:  # a recipe as run.json records it
        recipe, stretches = {name: value for name, value in recipe.items() if name != "stretches"}, recipe["stretches"]
    plan = make_plan(
        source,
        model,
        pictures=len(splits.train),
        used=data.measure_levels(source, splits.train, max_pixels=request.max_pixels),
        recipe=recipe,
        framing=FramingRequest(size, frame, data.aspects_of(splits.train), len(splits.train)),
        stem=stem,
        config=request.config or {},
        weights=weights,
        seed=request.seed,
        minutes=minutes,
        speed=request.speed,
        taught=request.teacher is not None,
        fetch=fetch,
    )
    replanned = EpochPlan(plan.recipe.epochs, tuple(stretches)) if stretches else None
    return replace(plan, preprocess=replace(plan.preprocess, max_pixels=request.max_pixels), replanned=replanned)


def _settings(request: FitRequest, source: data.Source, splits: data.Splits, plan: Plan) -> dict[str, Any]:
    """Return the settings that run.json keeps, and that a resumed run is compared by."""
    return plan.asked(
        source,
        weights=plan.weights,
        teacher=request.teacher,
        minutes=request.minutes,
        speed=request.speed,
        group_by=source.group_by,
        read_as=dict(source.read_as) or None,
        sha256=hash_files(weights=plan.weights, teacher=request.teacher),
        split=splits.fingerprint,  # a pattern for groups splits the same pictures otherwise
        **({} if request.max_pixels is None else {"max_pixels": request.max_pixels}),
        **({} if request.buffer_bytes is None else {"shuffle_buffer": request.buffer_bytes}),  # it decides the order
    )
