"""`fit` several times with seeds that follow each other: what chance contributes to a figure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from statistics import fmean, stdev
from typing import Any

from pennyweight import data
from pennyweight.core.errors import InputError
from pennyweight.core.files import write_json
from pennyweight.train import Ranks
from pennyweight.verbs.fit import fit
from pennyweight.verbs.fitting.choose_recipe import AUTO
from pennyweight.verbs.fitting.first_weights import as_begun
from pennyweight.verbs.fitting.run_folder import claiming_run_folders

__all__ = ["fit_seeds"]


def fit_seeds(
    source: str | os.PathLike[str] | data.Source,
    model: str = "auto",
    *,
    seeds: int,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    group_by: str | None = None,
    read_as: data.ReadAs | Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Runs out/seed-N, each as `fit` makes it, and seeds.json beside them: what is returned.

    {"folder", "accuracies" by seed, "mean", "deviation"}: test accuracies, and their sample deviation. With `resume`
    runs that are there go on, or are taken as they are.
    """
    if seeds < 2:
        raise InputError(f"a deviation needs at least 2 seeds, not {seeds}")
    if (ranks := Ranks().count) > 1:
        raise InputError(
            f"several ranks ({ranks}) train one run, after which all but the first end; give each seed a torchrun of "
            "its own: --seed N"
        )
    opened = data.open(source, group_by=group_by, read_as=read_as)
    accuracies = {}
    with claiming_run_folders(out, f"{opened.name}-seeds", resume=resume) as folder:
        for number in range(seed, seed + seeds):
            run = fit(opened, model, out=folder / f"seed-{number}", seed=number, resume=resume, **options)
            accuracies[str(number)] = float(run.evaluation["accuracy"])
            if model == AUTO:  # a mean is of one network and one start, however busy the machine becomes
                model, options["weights"] = as_begun(run.record, options.get("weights"))
        values = list(accuracies.values())
        found = {"folder": str(folder), "accuracies": accuracies, "mean": fmean(values), "deviation": stdev(values)}
        write_json(folder / "seeds.json", found)
    return found
