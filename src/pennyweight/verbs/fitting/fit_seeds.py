"""`fit` several times with consecutive seeds, on pictures or on a scene: mean and standard deviation of the scores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from pennyweight import data
from pennyweight.core.errors import InputError
from pennyweight.core.files import write_json
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run_folder import SEEDS
from pennyweight.data.scenes.open import is_scene
from pennyweight.data.scenes.scene import Scene
from pennyweight.scoring.scene import mean_and_deviation
from pennyweight.train import Ranks
from pennyweight.train.rendezvous import WAIT_MINUTES
from pennyweight.verbs.fit import fit
from pennyweight.verbs.fitting.choose_recipe import AUTO
from pennyweight.verbs.fitting.first_weights import as_begun
from pennyweight.verbs.fitting.run_folder import claiming_run_folders
from pennyweight.verbs.scenes.fit import fit as fit_scene

__all__ = ["fit_seeds"]


def fit_seeds(
    source: data.AnySource | Scene,
    model: str = "auto",
    *,
    seeds: int,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Train `seeds` times with consecutive seeds, and report mean and standard deviation of the test scores.

    Args:
        source: Pictures as `fit` takes them, or a scene as `scene.fit` does.
        model: Name of a network, or "auto". Network, first weights, input size and the changes that the first run
            leaves out serve for all; in folds, each run chooses its input size.
        seeds: Number of runs, at least 2.
        seed: First seed. It decides the weights and every random choice; of a scene also the split.
        out: Folder that will hold a run seed-N for each seed, and seeds.json; by default runs/SOURCE-seeds-N, for a
            scene runs/SCENE-MODEL-seeds-N.
        resume: Continue or keep the runs that are there.
        **options: Other arguments of `fit`, or of `scene.fit`.

    Returns:
        Content of seeds.json. "folder"; of pictures the scored "split", "accuracies" by seed, their "mean" and sample
            "deviation" (0 to 1);
        of a scene "seeds", "leakage" of each, and "scores": mean and deviation for the network and each baseline.

    Raises:
        InputError: There are fewer than 2 seeds, or several ranks.
        PennyweightError: Something else cannot be used, as `fit` says.
    """
    if seeds < 2:
        raise InputError(f"a deviation needs at least 2 seeds, not {seeds}; papers take 10")
    if (ranks := Ranks(options.get("wait", WAIT_MINUTES)).count) > 1:
        raise InputError(
            f"several ranks ({ranks}) train one run, after which all but the first end; give each seed a torchrun of "
            "its own: --seed N"
        )
    train: Callable[..., dict[str, Any]] = _train_on_scene if is_scene(source) else _train_on_pictures
    return train(source, model, range(seed, seed + seeds), out=out, resume=resume, options=options)


def _train_on_pictures(
    source: data.AnySource,
    model: str,
    seeds: Sequence[int],
    *,
    out: str | os.PathLike[str] | None,
    resume: bool,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Train on pictures with each of `seeds`, and return what seeds.json keeps."""
    how = data.ReadAs.of(options.pop("read_as", None))
    how = replace(how, trust=options.pop("trust", False) or how.trust)
    opened = data.open(source, group_by=options.pop("group_by", None), read_as=how)
    accuracies, split = {}, "test"
    with claiming_run_folders(out, f"{opened.name}-seeds", resume=resume) as folder:
        for seed in seeds:
            run = fit(opened, model, out=folder / f"seed-{seed}", seed=seed, resume=resume, **options)
            accuracies[str(seed)], split = float(run.evaluation["accuracy"]), str(run.evaluation["split"])
            # A mean is of one network, start, input and recipe, however busy the machine becomes.
            in_folds = run.evaluation.get("folds")
            if model == AUTO and not (in_folds and run.info.networks):
                model, options["weights"] = as_begun(run.info, options.get("weights"))
            # In folds, an input that another run chose would be chosen by the pictures that it is scored on.
            if options.get("input_size") is None and run.info.preprocess is not None and not in_folds:
                options["input_size"] = Preprocess.from_dict(run.info.preprocess).size
                options["stem"] = options.get("stem") or run.info.model["stem"]
            if run.info.augmentation is not None and options.get("augment", "check") == "check":
                options["augment"] = run.info.augmentation
        values = list(accuracies.values())
        found = {"split": split, "accuracies": accuracies, "mean": fmean(values), "deviation": stdev(values)}
        return _keep(folder, found)


def _train_on_scene(
    source: str | os.PathLike[str] | Scene,
    model: str,
    seeds: Sequence[int],
    *,
    out: str | os.PathLike[str] | None,
    resume: bool,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Train on a scene with each of `seeds`, and return what seeds.json keeps."""
    name = source.name if isinstance(source, Scene) else Path(os.fspath(source).removeprefix("scene:")).stem
    with claiming_run_folders(out, f"{name}-{model}-seeds", resume=resume) as folder:
        runs = [
            fit_scene(source, model, out=folder / f"seed-{seed}", seed=seed, resume=resume, **options) for seed in seeds
        ]
        evaluations = [run.evaluation for run in runs]
        rows = {runs[0].info.network: evaluations}
        for baseline in evaluations[0].get("baselines", {}):
            rows[baseline] = [evaluation["baselines"][baseline] for evaluation in evaluations]
        found = {
            "seeds": list(seeds),
            "leakage": [evaluation["leakage"]["share"] for evaluation in evaluations],
            "scores": {name: mean_and_deviation(scored) for name, scored in rows.items()},
        }
        return _keep(folder, found)


def _keep(folder: Path, found: dict[str, Any]) -> dict[str, Any]:
    """Write seeds.json, and return its content."""
    found = {"folder": str(folder), **found}
    write_json(folder / SEEDS, found)
    return found
