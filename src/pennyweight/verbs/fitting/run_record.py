"""Content of run.json when a training on pictures begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pennyweight import data
from pennyweight.core.machine import versions
from pennyweight.core.run_folder import RunFolder
from pennyweight.core.run_record import DataRecord, RunRecord
from pennyweight.verbs.fitting.open import PictureFit

__all__ = ["data_record", "make_record"]


def make_record(files: RunFolder, fitting: PictureFit, measured: Mapping[str, Any] | None) -> RunRecord:
    """Return the record of a new run; `measured` is what settled its steps and epochs."""
    plan = fitting.plan
    return RunRecord(
        name=files.folder.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        status="training",
        seed=plan.seed,
        model=plan.model,
        weights=None if plan.checkpoint is None else plan.checkpoint.name,
        data=data_record(fitting),
        preprocess=plan.preprocess.to_dict(),
        recipe=plan.recorded_recipe,
        recipe_name=plan.recipe_name,
        why=list(plan.why),
        machine=fitting.ranks.machine,
        versions=versions(),
        asked=fitting.asked,
        speed=measured,
        networks=list(fitting.networks) or None,
        fold_inputs=[each.to_dict() for each in fitting.fold_inputs] or None,
        augmentation=fitting.augmentation,
    )


def data_record(fitting: PictureFit, lost: Sequence[data.Unreadable] = ()) -> DataRecord:
    """Return the source, its split, and the pictures that were left out, also those `lost` in training."""
    source, splits = fitting.source, fitting.splits
    left_out = [*fitting.unreadable, *lost]
    return DataRecord(
        source=source.name,
        address=source.address,
        labels=list(source.labels),
        counts={str(name): count - len(lost) * (name == "train") for name, count in fitting.counts.items()},
        notes=[*source.notes, *splits.notes, *_left_out(left_out)],
        fingerprint=source.fingerprint,
        split_fingerprint=splits.fingerprint,
        unreadable=[{"name": name, "reason": reason} for name, reason in left_out],
        left_out=[each._asdict() for each in splits.left_out],
        channels=source.channels,
        group_by=source.group_by,
        twins=fitting.rule,
        folds=fitting.folds if fitting.folds > 1 else None,
        read_as=dict(source.read_as),
    )


def _left_out(unreadable: Sequence[data.Unreadable]) -> Sequence[str]:
    """Return a note about unreadable pictures, if there are any."""
    count = len(unreadable)
    pictures = f"{count} picture{'s' * (count > 1)}"
    return [f"{pictures} left out that cannot be read, such as {unreadable[0].name}"] if count else []
