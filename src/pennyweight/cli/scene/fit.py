"""`scene fit`: train on a scene."""

# No `from __future__ import annotations`: Typer reads the annotations.

from pathlib import Path
from typing import Annotated, Any

import typer

from pennyweight.cli import options, show
from pennyweight.cli.scene import options as scenes
from pennyweight.cli.scene.show import show_run, show_seeds

__all__ = ["fit"]


def fit(
    source: Annotated[
        str,
        typer.Argument(metavar="SCENE", help="scene:NAME (`scene names` lists them), or a cube's file with --labels."),
    ],
    labels: scenes.Labels = None,
    test_labels: scenes.TestLabels = None,
    split_map: scenes.SplitMap = None,
    names: scenes.Names = None,
    split: scenes.Split = None,
    train: scenes.Train = None,
    background: scenes.Background = None,
    bands: scenes.Bands = None,
    ignore_place: scenes.IgnorePlace = False,
    model: options.Model = "auto",
    window: scenes.Window = None,
    components: scenes.Components = None,
    config: options.Config = None,
    recipe: options.Recipe = None,
    epochs: options.Epochs = None,
    batch: options.Batch = None,
    set: options.Set = None,
    seed: options.Seed = 0,
    seeds: options.Seeds = 1,
    with_baselines: scenes.Baselines = False,
    cut: scenes.Cut = None,
    protocol: scenes.Protocol = None,
    resume: options.Resume = False,
    save_minutes: options.SaveMinutes = 5.0,
    wait: options.Wait = 5.0,
    out: options.Out = None,
    json: options.Json = False,
) -> None:
    """Train on the labeled pixels of a scene, classify every pixel (the map), and score test pixels. Write a run."""
    scene = scenes.given(
        labels=labels, test_labels=test_labels, split_map=split_map, names=names, background=background, bands=bands,
        ignore_place=ignore_place or None, split=split, train=train, window=window, components=components,
        protocol=protocol, cut=cut,
    )  # fmt: skip
    arguments: dict[str, Any] = {
        "recipe": options.recipe_fields(set, epochs=epochs, batch=batch, recipe=recipe),
        "config": options.config_fields(config),
        "scene": scene,
        "seed": seed,
        "out": out,
        "resume": resume,
        "save_minutes": save_minutes,
        "wait": wait,
        "with_baselines": with_baselines,
    }
    if seeds > 1:
        _fit_seeds(source, model, seeds, arguments, json=json)
    else:
        _fit_one(source, model, arguments, json=json)


def _fit_one(source: str, model: str, arguments: dict[str, Any], *, json: bool) -> None:
    from pennyweight.verbs.scenes.fit import fit as verb

    run = verb(source, model, **arguments)
    if json:
        show.as_json(show.run_values(run))
    else:
        show_run(run)


def _fit_seeds(source: str, model: str, seeds: int, arguments: dict[str, Any], *, json: bool) -> None:
    from pennyweight.verbs.fitting.fit_seeds import fit_seeds

    summary = fit_seeds(source, model, seeds=seeds, **arguments)
    if json:
        show.as_json(summary)
    else:
        show_seeds(Path(summary["folder"]), summary)
