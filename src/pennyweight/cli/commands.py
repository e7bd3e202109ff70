"""The commands: each parses, calls a verb and prints."""

# No `from __future__ import annotations`: Typer reads the annotations.

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pennyweight.cli import read_as as of_source
from pennyweight.cli import scene, show, trained
from pennyweight.core.errors import InputError
from pennyweight.core.settings import parse_pairs

__all__ = ["evaluate", "export", "fit", "names", "pennyweight"]

Stem = Annotated[Literal["imagenet", "cifar"] | None, typer.Option(help="cifar keeps small images large enough.")]
Config = Annotated[
    list[str] | None,
    typer.Option("--config", metavar="NAME=VALUE", help="A field of the network's Config, such as width=0.5."),
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
    json: trained.Json = False,
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


def fit(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder with a folder for each class, a manifest (.csv, .parquet), an .npz or archive of any of "
            "them, a named set (digits), or a scene (scene:NAME).",
        ),
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
            metavar="WEIGHTS",
            help="Start from these: imagenet (the best published), a tag, a file (FILE#SET for one set in it), or a "
            "run; none starts from scratch. Without --model, a file brings its network. auto takes published ones for "
            "photographs.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The run's folder, not there yet; by default runs/SOURCE-MODEL-N."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="steady, quick, sprint, careful, probe, gentle, classic-cifar, classic-transfer."
        ),
    ] = None,
    mode: Annotated[
        Literal["auto", "scratch", "head", "finetune"] | None,
        typer.Option(help="All of the network, its last layer, or first that and then all; auto says why."),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(metavar="RUN_OR_NAME", help="Learn from this trained network as well.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(metavar="M", help="The schedule fits the time.")] = None,
    speed: Annotated[
        Literal["auto", "fixed"] | None,
        typer.Option(help="auto measures the quickest way to step; fixed unless there are --minutes."),
    ] = None,
    preflight: Annotated[
        bool | None,
        typer.Option("--preflight/--no-preflight", help="Check first what would make a training worthless."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the same command stopped.")] = False,
    save_every: Annotated[float, typer.Option(metavar="MINUTES", min=0.0, help="How often the state is saved.")] = 5.0,
    log: Annotated[str | None, typer.Option(metavar="TRACKER", help="tensorboard, mlflow or wandb.")] = None,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Train so often, and give mean and deviation.")] = 1,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="The same as --set epochs=N.")] = None,
    batch: Annotated[int | None, typer.Option(metavar="N", help="The same as --set batch=N.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Decides every random choice.")] = 0,
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="Keep pictures in one split: a manifest's column, 'folder', or a regular expression for their names.",
        ),
    ] = None,
    columns: of_source.Columns = None,
    pictures: of_source.Pictures = None,
    ending: of_source.Ending = None,
    label_from: of_source.LabelFrom = None,
    channels: Annotated[
        int | None, typer.Option(metavar="N", help="1 grey, 3 RGB, 4 with transparency; by default what they have.")
    ] = None,
    max_pixels: trained.MaxPixels = None,
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A field of the recipe, such as lr=0.1."),
    ] = None,
    labels: scene.Labels = None,
    names: scene.Names = None,
    background: scene.Background = None,
    split: scene.Split = None,
    train: scene.Train = None,
    window: scene.Window = None,
    components: scene.Components = None,
    protocol: scene.Protocol = None,
    cut: scene.Cut = None,
    baselines: scene.Baselines = False,
    json: trained.Json = False,
) -> None:
    """Train on pictures, or on a scene (scene:NAME): a run folder with weights, evaluation and report."""
    changes: dict[str, Any] = dict(parse_pairs(set or [], "--set", example="lr=0.1"))
    for option, value in (("epochs", epochs), ("batch", batch), ("mode", mode), ("recipe", recipe)):
        field = "name" if option == "recipe" else option
        if value is not None:
            if field in changes:
                raise InputError(f"--{option} and --set {field}= were both given; keep one")
            changes[field] = value
    fields = parse_pairs(config or [], "--config", example="width=0.5")
    read = of_source.read_as(columns, pictures, ending, label_from)
    if scene.is_scene(source):
        scene.refuse_those_of_pictures(
            {"--input": input, "--stem": stem, "--weights": weights, "--teacher": teacher, "--minutes": minutes}
            | {"--log": log, "--speed": speed, "--preflight": preflight}
            | {"--group-by": group_by, "--channels": channels, "--max-pixels": max_pixels}
            | {"--columns": columns, "--pictures": pictures, "--ending": ending, "--label-from": label_from}
        )
        how: dict[str, Any] = {
            "labels": labels,
            "names": names,
            "background": background,
            "split": split,
            "train": train,
        }
        how |= {"window": window, "components": components, "protocol": protocol, "cut": cut}
        what: dict[str, Any] = {"out": out, "recipe": changes, "config": fields, "seed": seed}
        what |= {"scene": scene.asked(**how), "resume": resume, "save_minutes": save_every}
        scene.fit(source, model, what, seeds=seeds if seeds > 1 else None, baselines=baselines, json=json)
        return
    of_scenes = {"--labels": labels, "--names": names, "--background": background, "--split": split, "--train": train}
    of_scenes |= {"--window": window, "--components": components, "--protocol": protocol, "--cut": cut}
    for option, given in {**of_scenes, "--baselines": baselines or None}.items():
        if given is not None:
            raise InputError(f"{option} is for a scene; {source} is none: scene:synthetic")
    options: dict[str, Any] = {
        "out": out,
        "recipe": changes,
        "input_size": input,
        "stem": stem,
        "config": fields,
        "weights": weights,
        "teacher": teacher,
        "minutes": minutes,
        "speed": speed,
        "preflight": preflight,
        "resume": resume,
        "save_minutes": save_every,
        "log": log,
        "seed": seed,
        "group_by": group_by,
        "read_as": read,
        "channels": channels,
        "max_pixels": max_pixels,
    }
    from pennyweight.verbs.fit import fit as verb

    if seeds > 1:
        from pennyweight.verbs.fitting.fit_seeds import fit_seeds

        several = fit_seeds(source, model, seeds=seeds, **options)
        if json:
            show.as_json(several)
        else:
            show.seeds(several)
        return
    run = verb(source, model, **options)
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
    run_or_bundle_or_name: trained.Trained,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="Pictures to score on; by default those it was trained on."),
    ] = None,
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Which split of the source.")] = "test",
    rename: Annotated[
        list[str] | None,
        typer.Option(
            "--rename",
            metavar="NAME=LABEL",
            help="Score a class of the source as this class of the network, such as cats=Cats; repeatable.",
        ),
    ] = None,
    columns: of_source.Columns = None,
    pictures: of_source.Pictures = None,
    ending: of_source.Ending = None,
    label_from: of_source.LabelFrom = None,
    weights: trained.Weights = None,
    stem: trained.Stem = None,
    input: trained.Input = None,
    config: trained.Config = None,
    mean: trained.Mean = None,
    std: trained.Std = None,
    labels: trained.Labels = None,
    max_pixels: trained.MaxPixels = None,
    json: trained.Json = False,
) -> None:
    """Score a run, a bundle or a name with weights: accuracy with its interval, and each class."""
    from pennyweight.scoring import Evaluation
    from pennyweight.verbs.evaluate import evaluate as verb

    opened = trained.opened(
        run_or_bundle_or_name, weights, stem=stem, input=input, config=config, mean=mean, std=std, labels=labels
    )
    scored = verb(
        opened,
        source,
        split=split,
        rename=parse_pairs(rename or [], "--rename", example="cats=Cats"),
        max_pixels=max_pixels,
        read_as=of_source.read_as(columns, pictures, ending, label_from),
        left_out=lambda each: show.note(f"left out: {each.reason}"),
        note=show.note,
    )
    if json:
        show.as_json(scored.to_dict())
    elif isinstance(scored, Evaluation):
        show.evaluation(scored)
    else:
        scene.show_scores(scored.to_dict(), opened.record["model"]["name"])


def export(
    run_or_name: Annotated[
        str, typer.Argument(metavar="RUN_OR_NAME", help="A folder that fit made, or a network's name with --weights.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The bundle, not there yet; by default model.onnx in the run, or NAME.onnx."),
    ] = None,
    weights: trained.Weights = None,
    stem: trained.Stem = None,
    input: trained.Input = None,
    config: trained.Config = None,
    mean: trained.Mean = None,
    std: trained.Std = None,
    labels: trained.Labels = None,
) -> None:
    """Write a network as a bundle: one ONNX file, proved to answer as the network does."""
    from pennyweight.runtime import Bundle
    from pennyweight.verbs.export import export as verb

    opened = trained.opened(
        run_or_name, weights, stem=stem, input=input, config=config, mean=mean, std=std, labels=labels
    )
    made = verb(opened, out, note=show.note)
    if isinstance(made, Bundle):
        show.bundle(made)
    else:
        scene.show_bundle(made)
