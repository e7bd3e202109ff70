"""What run.json says of a training when it begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pennyweight import data
from pennyweight.core.machine import versions
from pennyweight.train import Ranks
from pennyweight.verbs.fitting.plan import Plan

__all__ = ["record_of"]


def record_of(
    folder: Path,
    source: data.Source,
    splits: data.Splits,
    counts: Mapping[data.Split, int],
    plan: Plan,
    unreadable: Sequence[data.Unreadable],
    ranks: Ranks,
) -> dict[str, Any]:
    """Return what run.json says at the start; `counts` are the pictures of each split that can be read."""
    return {
        "name": folder.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "status": "training",
        "seed": plan.seed,
        "model": plan.model,
        "weights": None if plan.checkpoint is None else plan.checkpoint.name,
        "data": {
            "source": source.name,
            "address": source.address,
            "labels": list(source.labels),
            "counts": dict(counts),
            "notes": [*source.notes, *splits.notes, *_left_out(unreadable)],
            "fingerprint": source.fingerprint,
            "split_fingerprint": splits.fingerprint,
            "unreadable": [{"name": name, "reason": reason} for name, reason in unreadable],
            "channels": source.channels,
            "group_by": source.group_by,
            "read_as": dict(source.read_as),
        },
        "preprocess": plan.preprocess.to_dict(),
        "recipe": plan.recipe.to_dict(),
        "recipe_name": plan.recipe_name,
        "why": list(plan.why),
        "machine": ranks.machine,
        "versions": versions(),
    }


def _left_out(unreadable: Sequence[data.Unreadable]) -> Sequence[str]:
    """A note, if there is anything to note."""
    count = len(unreadable)
    pictures = f"{count} picture{'s' * (count > 1)}"
    return [f"{pictures} left out that cannot be read, such as {unreadable[0].name}"] if count else []
