"""The commands: each parses, calls a verb and prints."""

# No `from __future__ import annotations`: Typer reads the annotations.

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pennyweight.cli import scene, show
from pennyweight.core.errors import ImageError, InputError
from pennyweight.core.settings import parse_pairs

__all__ = ["evaluate", "export", "fit", "names", "pennyweight", "predict", "weigh"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")]
Stem = Annotated[Literal["imagenet", "cifar"] | None, typer.Option(help="cifar keeps small images large enough.")]
Config = Annotated[
    list[str] | None,
    typer.Option("--config", metavar="NAME=VALUE", help="A field of the network's Config, such as width=0.5."),
]
Trained = Annotated[
    str,
    typer.Argument(
        metavar="RUN_OR_BUNDLE",
        help="A folder that fit made, a file that export made, or a network's name with --weights.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(metavar="WEIGHTS", help="For a name: imagenet (the best published), a tag, a file, or a run."),
]


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"pennyweight {version('pennyweight')}")
        raise typer.Exit


def pennyweight(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Image classifiers that fit a budget: weigh, fit, evaluate, export, predict."""


def names(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="As in a shell: '*v2*'.")] = "*",
    json: Json = False,
) -> None:
    """List the networks with their counts and published accuracy."""
    from pennyweight import zoo

    rows = []
    for name in zoo.names(pattern):
        row = None if ":" in name else zoo.variant(name)
        rows.append(
            {
                "name": name,
                "params": row and row.params,
                "macs": row and row.macs,
                "input_shape": row and row.input_shape,
                "published_top1": row and row.top1,
                "weights": zoo.tags(name),
            }
        )
    if not rows:
        raise InputError(f"no network matches '{pattern}'; `pennyweight names` lists them all")
    if json:
        show.as_json({"networks": rows})
    else:
        show.networks(rows)


def weigh(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A network, as `names` lists them.")],
    input: Annotated[
        str | None,
        typer.Option(metavar="CxHxW", help="Input shape; by default what the network is published for."),
    ] = None,
    stem: Stem = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Count what a network costs: parameters and multiply-accumulates, layer by layer."""
    from pennyweight.verbs.weigh import weigh as verb

    changes = parse_pairs(config or [], "--config")
    counted = verb(name, _shape(input) if input is not None else None, stem=stem, config=changes)
    if json:
        show.as_json({"name": name, **counted.to_dict()})
    else:
        show.cost(name, counted)


def fit(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder with a folder for each class, or a named set: digits.")
    ],
    model: Annotated[str, typer.Option(help="A network, as `names` lists them; auto chooses.")] = "auto",
    input: Annotated[
        int | None,
        typer.Option(metavar="PIXELS", help="Side of the network's input; by default what suits the source."),
    ] = None,
    stem: Stem = None,
    config: Config = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="WEIGHTS", help="Start from these: imagenet (the best published), a tag, a file, or a run."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The run's folder, not there yet; by default runs/SOURCE-MODEL-N."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="The same as --set epochs=N.")] = None,
    batch: Annotated[int | None, typer.Option(metavar="N", help="The same as --set batch=N.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Decides every random choice.")] = 0,
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A field of the recipe, such as lr=0.1."),
    ] = None,
    labels: scene.Labels = None,
    background: scene.Background = None,
    split: scene.Split = None,
    train: scene.Train = None,
    window: scene.Window = None,
    components: scene.Components = None,
    protocol: scene.Protocol = None,
    cut: scene.Cut = None,
    baselines: scene.Baselines = False,
    seeds: scene.Seeds = None,
    json: Json = False,
) -> None:
    """Train on pictures, or on a scene (scene:NAME): a run folder with weights, evaluation and report."""
    changes: dict[str, Any] = dict(parse_pairs(set or [], "--set"))
    for field, value in (("epochs", epochs), ("batch", batch)):
        if value is not None:
            if field in changes:
                raise InputError(f"--{field} and --set {field}= were both given; keep one")
            changes[field] = value
    fields = parse_pairs(config or [], "--config")
    if scene.is_scene(source):
        for name, given in (("--input", input), ("--stem", stem), ("--weights", weights)):
            if given is not None:
                raise InputError(f"{name} is for pictures, not for a scene; a scene takes a window: --window 25")
        how: dict[str, Any] = {"labels": labels, "background": background, "split": split, "train": train}
        how |= {"window": window, "components": components, "protocol": protocol, "cut": cut}
        trained = {"out": out, "recipe": changes, "config": fields, "seed": seed, "scene": scene.asked(**how)}
        scene.fit(source, model, trained, seeds=seeds, baselines=baselines, json=json)
        return
    if split or train or seeds or baselines:
        raise InputError(
            f"--split, --train, --seeds and --baselines are for a scene; {source} is none: scene:synthetic"
        )
    from pennyweight.verbs.fit import fit as verb

    run = verb(
        source,
        model,
        out=out,
        recipe=changes,
        input_size=input,
        stem=stem,
        config=fields,
        weights=weights,
        seed=seed,
    )
    if json:
        show.as_json(
            {
                "run": str(run.folder),
                "report": str(run.report_path),
                "model": run.record["model"],
                "best": run.record["best"],
                "evaluation": run.evaluation,
            }
        )
    else:
        show.run(run)


def evaluate(
    run_or_bundle: Trained,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="Pictures to score on; by default those it was trained on."),
    ] = None,
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Which split of the source.")] = "test",
    weights: Weights = None,
    json: Json = False,
) -> None:
    """Score a run or a bundle: accuracy with its interval, and each class."""
    from pennyweight.verbs.evaluate import evaluate as verb

    opened = _opened(run_or_bundle, weights)
    if scene.is_scene_run(opened):
        scene.evaluate(opened, json=json)
        return
    scored = verb(opened, source, split=split)
    if json:
        show.as_json(scored.to_dict())
    else:
        show.evaluation(scored)


def export(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A folder that fit made, or a network's name with --weights.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The bundle, not there yet; by default model.onnx in the run, or NAME.onnx."),
    ] = None,
    weights: Weights = None,
) -> None:
    """Write a run's network as a bundle: one ONNX file, proved to answer as the network does."""
    from pennyweight.verbs.export import export as verb

    opened = _opened(run, weights)
    if scene.is_scene_run(opened):
        scene.export(opened, out)
        return
    show.bundle(verb(opened, out))


def predict(
    run_or_bundle: Trained,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Picture files, or folders of them.")],
    top: Annotated[int, typer.Option(metavar="N", min=1, help="How many labels to name.")] = 5,
    weights: Weights = None,
    map: scene.Map = None,
    labels: scene.Labels = None,
    bfloat16: scene.Bfloat16 = False,
    json: Json = False,
) -> None:
    """Say what is on pictures, or with --map on every pixel of a cube. Those that cannot be read are named, and the
    status is 1."""
    if map is not None:
        scene.predict(run_or_bundle, paths, map=map, labels=labels, bfloat16=bfloat16, json=json)
        return
    from pennyweight.verbs.load import load

    classifier = load(_opened(run_or_bundle, weights))
    made, failures = [], []
    for path in _files(paths):
        try:
            made += classifier.predict(path, top)
        except ImageError as error:
            failures.append({"source": str(path), "error": str(error)})
    if json:
        show.as_json({"predictions": [prediction.to_dict() for prediction in made], "failures": failures})
    elif made:
        show.predictions(made)
    for failure in failures:
        show.failure(failure["error"])
    if failures:
        raise typer.Exit(1)


def _opened(what: str, weights: str | None) -> Any:
    """What `what` names, ready to use; what its weights did not say is told on standard error."""
    from pennyweight.verbs.load import open_trained

    opened = open_trained(what, weights)
    for note in getattr(opened, "notes", ()):
        show.note(note)
    return opened


def _files(paths: list[Path]) -> Iterator[Path]:
    """The files among `paths`, and the pictures in the folders among them."""
    from pennyweight.core.images import EXTENSIONS

    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in EXTENSIONS)
            if not inside:
                raise InputError(f"{path} has no pictures; give picture files, or a folder that has some")
            yield from inside
        else:
            yield path


def _shape(text: str) -> tuple[int, ...]:
    """ "3x224x224" -> (3, 224, 224)."""
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) != 3 or not all(side.isascii() and side.isdigit() and int(side) for side in sides):
        raise InputError(f"--input '{text}' is not CxHxW, such as 3x224x224")
    return tuple(map(int, sides))
