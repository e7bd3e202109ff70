"""Open what `fit` trains on: the source with its splits, the plan, and the network with its teacher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import nn

from pennyweight import data
from pennyweight.core.errors import InputError
from pennyweight.core.formats import allow_pixels
from pennyweight.core.frame import Size
from pennyweight.core.images import MAX_PIXELS
from pennyweight.core.picture_header import Header
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.nn import Network
from pennyweight.report.progress import TrainingProgress
from pennyweight.train import Ranks
from pennyweight.train.batches import Teacher
from pennyweight.verbs.fitting.choose_folds import choose_folds, split_or_all
from pennyweight.verbs.fitting.choose_network import Planned, candidates_of, with_suitable_network
from pennyweight.verbs.fitting.choose_size import choose_size
from pennyweight.verbs.fitting.decide import begun_record, decide_plan, settings_of
from pennyweight.verbs.fitting.first_weights import NONE, Fetcher, is_named
from pennyweight.verbs.fitting.looking import look_at_pictures, look_for_twins
from pennyweight.verbs.fitting.plan import Plan
from pennyweight.verbs.fitting.prepare import open_teacher
from pennyweight.verbs.fitting.probe_detail import probe_detail
from pennyweight.verbs.fitting.request import FitRequest
from pennyweight.verbs.fitting.run_folder import refuse_taken
from pennyweight.verbs.training_pictures import training_digests_of, without_training_pictures
from pennyweight.verbs.twins_in_training import without_twins_of

__all__ = ["PictureFit", "open_fit", "plan_fit"]

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
    folds: int = 1
    """Number of folds, in which all pictures are scored and learned from; 1 for a test split."""
    fold_inputs: tuple[Preprocess, ...] = ()
    """Input of the head that answers each fold, where the folds did not all choose the plan's; else empty."""
    networks: tuple[Mapping[str, Any], ...] = ()
    """Networks that were tried, as run.json keeps them; empty where there was one."""
    fold_networks: Mapping[int, PictureFit] = field(default_factory=dict)
    """Training of each fold that chose another network than the plan's."""

    @property
    def scored(self) -> data.Pictures:
        """The pictures that score the network: the test split, or in folds all."""
        return self.pictures["test" if self.folds == 1 else "train"]

    @property
    def networks_in_folds(self) -> bool:
        """True where each fold has a training of the whole network, and not of a last layer alone."""
        return self.folds > 1 and self.plan.recipe.mode != "head"

    @property
    def fold_numbers(self) -> NDArray[np.int64]:
        """Fold of each readable picture, (N,). Those that cannot be read have had folds too."""
        clusters, samples = data.clusters_of(self.source, self.twins, self.rule), self.splits.train
        numbers = data.assign_folds(
            samples, self.folds, seed=self.plan.seed, clusters=clusters, labels=self.source.labels
        )
        fold_of = {sample.name: fold for sample, fold in zip(samples, numbers.tolist(), strict=True)}
        return np.array([fold_of[sample.name] for sample in self.scored.samples], np.int64)

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
    request, *others = candidates_of(request)
    learned = training_digests_of(request.weights if is_named(request.weights) else None, request.teacher)
    splits, few = split_or_all(partial(data.split, source), source, request.folds)
    splits = without_training_pictures(splits, learned)
    fetch = Fetcher(request.minutes, ranks)
    plan_with = partial(plan_fit, ranks=ranks, source=source, learned=learned, fetch=fetch)
    fitting = plan_with(request, splits, request.minutes)
    if few is not None and request.folds is None and fitting.plan.recipe.mode != "head":
        raise few
    if request.out is not None and not request.resume and not ranks.number:
        refuse_taken(Path(request.out))
    fitting.rule = _rule(request, source)
    looked = perf_counter()
    fitting.glances = look_at_pictures(request, source, started)
    fitting.twins = look_for_twins(request, fitting.glances, started)
    divide = partial(data.split_by_rule, source, fitting.twins, fitting.rule)
    apart, few = split_or_all(divide, source, request.folds)
    apart = without_training_pictures(apart, learned)
    apart, fitting.learned = without_twins_of(learned, source, apart, fitting.twins, max_pixels=request.max_pixels)
    folds, reason = _choose_folds(fitting, apart)
    if few is not None and folds == 1:
        raise few
    if folds > 1:
        apart = data.in_folds(source, fitting.twins, fitting.rule, folds)
    seen: dict[str, Any] = {name: getattr(fitting, name) for name in ("rule", "glances", "twins", "learned")}
    seen["folds"] = folds
    late = request.minutes is not None and perf_counter() - looked > MUCH * request.minutes * 60
    left = None if request.minutes is None else request.minutes - (perf_counter() - started) / 60
    left = ranks.gather(left)[0]
    if any(ranks.gather(late or folds > 1 or apart.fingerprint != splits.fingerprint)):
        fitting = replace(plan_with(request, apart, left, folds), **seen)
    fitting.splits = apart

    def planned(asked: FitRequest) -> PictureFit:
        return replace(plan_with(asked, apart, left, folds), **seen)

    fitting = with_suitable_network(fitting, others, planned)
    fitting.plan = replace(fitting.plan, why=(*fitting.plan.why, *filter(None, [reason])))
    return _at_suitable_size(fitting, planned, left)


def _choose_folds(fitting: PictureFit, splits: data.Splits) -> tuple[int, str]:
    """Return the number of folds, and the reason of an automatic choice, of the first rank."""
    request, source = fitting.request, fitting.source
    return choose_folds(
        request.folds, source, splits, fitting.plan.recipe,
        learned=fitting.learned, clusters=data.clusters_of(source, fitting.twins, fitting.rule), seed=request.seed,
        ranks=fitting.ranks, begun=begun_record(request, source) if request.resume else None,
    )  # fmt: skip


def _at_suitable_size(fitting: PictureFit, planned: Planned, minutes: float | None) -> PictureFit:
    """Return the training at the input size that suits; a size that was asked for, or that a run began with, stays.

    A last layer compares features of the frozen network, and a training from scratch those of small filters. Every rank
    takes the first one's answers, so that all try the same sizes.
    """
    request, ranks, mode = fitting.request, fitting.ranks, fitting.plan.recipe.mode

    def at(size: Size) -> PictureFit | None:
        plan = fitting.plan  # whose network, stem and weights stay
        begun = {} if plan.checkpoint is not None else {"model": plan.model["name"], "weights": NONE}
        sized = replace(request, input_size=size, frame=plan.preprocess.frame, stem=plan.model["stem"], **begun)
        try:
            other = planned(sized)
        except InputError:  # the network, or a field of --config, allows no other size
            return None
        return replace(other, networks=fitting.networks, fold_networks=fitting.fold_networks)

    if request.input_size is not None or fitting.glances is None:
        return fitting
    if mode == "finetune" or (mode == "scratch" and fitting.plan.checkpoint is not None):
        return fitting
    if request.resume and (begun := begun_record(request, fitting.source)) is not None:
        return replace(fitting, fold_inputs=tuple(map(Preprocess.from_dict, begun.fold_inputs or ())))
    with TrainingProgress(0, None if request.progress and not ranks.number else Console(quiet=True)) as shown:
        if mode == "head":
            chosen, line = choose_size(fitting, at, shown)
        else:
            chosen, line = probe_detail(fitting, at, minutes, shown)
    return replace(chosen, plan=replace(chosen.plan, why=(*fitting.plan.why, *filter(None, [line]))))


def plan_fit(
    request: FitRequest,
    splits: data.Splits,
    minutes: float | None,
    folds: int = 1,
    *,
    ranks: Ranks,
    source: data.Source,
    learned: Mapping[str, TrainingDigests],
    fetch: Fetcher,
) -> PictureFit:
    """Decide the plan for these splits and the minutes that are left, and make the network."""
    plan = decide_plan(request, source, splits, minutes, fetch, folds=folds)
    asked = settings_of(request, source, splits, plan, folds=folds)
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
    pictures = data.make_split_pictures(
        source, splits, plan.preprocess, rank=ranks.number, world=ranks.count, buffer=request.buffer_bytes
    )
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
        pictures={part: made for part, made in pictures.items() if splits[part]},
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
        record = begun_record(request, source)
        if record is not None and record.data.twins is None:
            return "keep"
    return request.twins
