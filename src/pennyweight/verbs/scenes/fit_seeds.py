"""`fit --seeds N`: the same scene and network from several seeds, and the mean and deviation that papers print."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pennyweight.core.errors import InputError
from pennyweight.core.files import write_json
from pennyweight.core.run import Run
from pennyweight.data.scenes.scene import Scene
from pennyweight.scoring.scene import mean_and_deviation
from pennyweight.verbs.fitting.run_folder import claiming_run_folders
from pennyweight.verbs.scenes.fit import fit_scene

__all__ = ["fit_seeds"]


def fit_seeds(
    source: str | os.PathLike[str] | Scene,
    model: str = "auto",
    *,
    seeds: int,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    resume: bool = False,
    **options: Any,
) -> tuple[Path, dict[str, Any]]:
    """A run for each of `seeds` seeds from `seed` on, in `out`/seed-N; the seed decides split and network alike.

    Gives the folder and what its seeds.json holds: for the network, and each baseline, mean and deviation of every
    score. `options` are those of `fit_scene`; with `resume` runs that are there go on, or are taken as they are.
    """
    if seeds < 1:
        raise InputError(f"--seeds must be at least 1, not {seeds}; papers take 10")
    name = source.name if isinstance(source, Scene) else Path(os.fspath(source).removeprefix("scene:")).stem
    with claiming_run_folders(out, f"{name}-{model}-seeds", resume=resume) as folder:
        runs = [
            fit_scene(source, model, out=folder / f"seed-{number}", seed=number, resume=resume, **options)
            for number in range(seed, seed + seeds)
        ]
        summary = _summary(runs, list(range(seed, seed + seeds)))
        write_json(folder / "seeds.json", summary)
    return folder, summary


def _summary(runs: Sequence[Run], seeds: list[int]) -> dict[str, Any]:
    """Return what seeds.json holds of the runs of `seeds`."""
    evaluations = [run.evaluation for run in runs]
    rows = {str(runs[0].record["model"]["name"]): evaluations}
    for baseline in evaluations[0].get("baselines", {}):
        rows[baseline] = [evaluation["baselines"][baseline] for evaluation in evaluations]
    return {
        "seeds": seeds,
        "leakage": [evaluation["leakage"]["share"] for evaluation in evaluations],
        "scores": {name: mean_and_deviation(scored) for name, scored in rows.items()},
    }
