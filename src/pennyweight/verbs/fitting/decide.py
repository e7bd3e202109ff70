"""Decide the plan of a request, and the settings that a resumed run is compared by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pennyweight import data
from pennyweight.core.run_record import RunRecord
from pennyweight.train.epoch_plan import EpochPlan
from pennyweight.verbs.fitting.auto_width import WIDTHS
from pennyweight.verbs.fitting.choose_folds import require_suited
from pennyweight.verbs.fitting.choose_recipe import AUTO, Setting
from pennyweight.verbs.fitting.first_weights import LARGE_MODEL, Fetcher, as_begun
from pennyweight.verbs.fitting.framing import FramingRequest, as_framed
from pennyweight.verbs.fitting.plan import Plan, make_plan
from pennyweight.verbs.fitting.request import FitRequest
from pennyweight.verbs.fitting.resume import find_record, find_tried, hash_files

__all__ = ["begun_record", "decide_plan", "settings_of"]


def begun_record(request: FitRequest, source: data.Source) -> RunRecord | None:
    """Return the record of the run that the request resumes; None without one."""
    networks = (*WIDTHS, LARGE_MODEL) if request.model == AUTO else (request.model,)
    found = find_record(request.out, source.name, networks)
    if request.model != AUTO:
        return found
    both = [record for record in (find_tried(request.out, source.name), found) if record is not None]
    return max(both, key=lambda record: record.created, default=None)


def decide_plan(
    request: FitRequest,
    source: data.Source,
    splits: data.Splits,
    minutes: float | None,
    fetch: Fetcher,
    *,
    folds: int,
) -> Plan:
    """Make the plan; where a run of auto resumes, with the network and the weights that it began with.

    Raises PennyweightError as `make_plan` does, and for a field of the recipe that folds do not have.
    """
    model, weights, stem = request.model, request.weights, request.stem
    size, frame = request.size, request.frame
    if request.resume:
        record = begun_record(request, source)
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
        setting=Setting(taught=request.teacher is not None, folded=folds > 1),
        fetch=fetch,
    )
    require_suited(plan.recipe, folds)
    replanned = EpochPlan(plan.recipe.epochs, tuple(stretches)) if stretches else None
    return replace(plan, preprocess=replace(plan.preprocess, max_pixels=request.max_pixels), replanned=replanned)


def settings_of(
    request: FitRequest, source: data.Source, splits: data.Splits, plan: Plan, *, folds: int
) -> dict[str, Any]:
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
        **({} if folds == 1 else {"folds": folds}),
        **({} if request.max_pixels is None else {"max_pixels": request.max_pixels}),
        **({} if request.buffer_bytes is None else {"shuffle_buffer": request.buffer_bytes}),  # it decides the order
    )
