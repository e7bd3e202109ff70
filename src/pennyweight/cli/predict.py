"""`predict`: what is on pictures, or on every pixel of a cube."""

# No `from __future__ import annotations`: Typer reads the annotations.

from pathlib import Path
from typing import Annotated

import typer

from pennyweight.cli import scene, show, trained
from pennyweight.core.errors import ImageError, InputError
from pennyweight.core.files import as_text
from pennyweight.core.walk import Walk

__all__ = ["predict"]


def predict(
    run_or_bundle_or_name: trained.Trained,
    paths: Annotated[
        list[Path],
        # What cannot be read is a line among the others, not wrong usage.
        typer.Argument(metavar="PATH...", help="Picture files, or folders of them.", readable=False),
    ],
    top: Annotated[int, typer.Option(metavar="N", min=1, help="How many labels to name.")] = 5,
    weights: trained.Weights = None,
    stem: trained.Stem = None,
    input: trained.Input = None,
    config: trained.Config = None,
    mean: trained.Mean = None,
    std: trained.Std = None,
    labels: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="The classes of such weights, as evaluate takes them; of a cube its map."),
    ] = None,
    background: scene.Background = None,
    map: scene.Map = None,
    bfloat16: scene.Bfloat16 = False,
    json: trained.Json = False,
) -> None:
    """Say what is on pictures, or with --map on every pixel of a cube. Those that cannot be read are named, and the
    status is 1."""
    if map is not None:
        of_pictures = {"--weights": weights, "--stem": stem, "--input": input, "--config": config, "--mean": mean}
        scene.refuse_those_of_pictures({**of_pictures, "--std": std})
        how = scene.asked(labels=labels, background=background)
        scene.predict(run_or_bundle_or_name, paths, map=map, labelled=how, bfloat16=bfloat16, json=json)
        return
    if background is not None:
        raise InputError("--background is of a cube's label map; it goes with --map")
    from pennyweight.verbs.load import load

    classifier = load(
        trained.opened(
            run_or_bundle_or_name, weights, stem=stem, input=input, config=config, mean=mean, std=std, labels=labels
        )
    )
    made, failures = [], []
    for path in paths:
        walk = Walk(path)
        files = walk.pictures() if path.is_dir() else [path]
        found = False
        for file in files:
            found = True
            try:
                made += classifier.predict(file, top)
            except ImageError as error:
                failures.append({"source": as_text(file), "error": str(error)})
        failures += [
            {"source": as_text(lost.path), "error": f"cannot read {as_text(lost.path)}: {lost.reason}"}
            for lost in walk.lost
        ]
        for note in walk.notes():
            show.note(note)
        if not found and not walk.lost:
            reason = f"{path} has no pictures; give picture files, or a folder that has some"
            failures.append({"source": as_text(path), "error": reason})
    if json:
        show.as_json({"predictions": [prediction.to_dict() for prediction in made], "failures": failures})
    elif made:
        show.predictions(made)
    for failure in failures:
        show.failure(failure["error"])
    if failures:
        raise typer.Exit(1)
