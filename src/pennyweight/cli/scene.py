"""The commands on hyperspectral scenes, and what `fit`, `evaluate`, `export` and `predict` do with one."""

# No `from __future__ import annotations`: Typer reads the annotations.

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from pennyweight.cli import show
from pennyweight.core.errors import InputError
from pennyweight.core.figures import fine_share, number, share
from pennyweight.core.text import say
from pennyweight.report.tables import Column, table

if TYPE_CHECKING:
    from pennyweight.runtime.scene_bundle import SceneBundle

__all__ = [
    *(
        "Background",
        "Baselines",
        "Bfloat16",
        "Components",
        "Cut",
        "Labels",
        "Map",
        "Names",
        "Protocol",
        "Seeds",
        "Split",
    ),
    *("Train", "Window", "asked", "fit", "is_scene", "leakage", "predict"),
    *("refuse_those_of_pictures", "show_bundle", "show_scores"),
]

PANEL = "Scenes"
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="The label map of a cube's file; FILE#VARIABLE in a .mat.", rich_help_panel=PANEL
    ),
]
Names = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Names of its classes, a line each, in order of id.", rich_help_panel=PANEL),
]
Background = Annotated[
    int | None, typer.Option(metavar="ID", help="The id of unlabelled pixels: 0.", rich_help_panel=PANEL)
]
Split = Annotated[
    Literal["random", "blocks"] | None,
    typer.Option(help="random as in papers; blocks with a guard of half a window.", rich_help_panel=PANEL),
]
Train = Annotated[
    float | None,
    typer.Option(metavar="N", help="Training share of each class (0.3), or pixels of each.", rich_help_panel=PANEL),
]
Window = Annotated[
    int | None, typer.Option(metavar="PIXELS", help="Side of the neighbourhood: 25.", rich_help_panel=PANEL)
]
Components = Annotated[
    int | None, typer.Option(metavar="N", help="Principal components; 0 for the bands.", rich_help_panel=PANEL)
]
Protocol = Annotated[
    Literal["training", "paper"] | None,
    typer.Option(
        help="Where scaling and components are fitted: paper means on test pixels too.", rich_help_panel=PANEL
    ),
]
Cut = Annotated[
    Literal["windows", "tiles"] | None,
    typer.Option(help="tiles: neighbouring windows share the trunk while training.", rich_help_panel=PANEL),
]
Baselines = Annotated[
    bool, typer.Option("--baselines", help="Score four simpler classifiers beside it.", rich_help_panel=PANEL)
]
Seeds = Annotated[
    int | None, typer.Option(metavar="N", help="N runs, and mean and deviation over them.", rich_help_panel=PANEL)
]
Map = Annotated[Path | None, typer.Option(metavar="FILE.png", help="Of a cube: the class map, and others beside it.")]
Bfloat16 = Annotated[bool, typer.Option("--bfloat16", help="Compute a scene's map with products of 16 bits.")]


def is_scene(source: str) -> bool:
    """Whether `fit` is asked for a scene; only then is what reads one loaded."""
    from pennyweight.data.scenes.open import is_scene

    return is_scene(source)


def asked(**options: Any) -> dict[str, Any]:
    """The options of a scene that were given."""
    return {name: value for name, value in options.items() if value is not None}


def refuse_those_of_pictures(options: Mapping[str, Any]) -> None:
    """Raise InputError for the first option that was given: a scene has no use for it, and it is not ignored."""
    for name, given in options.items():
        if given is not None:
            raise InputError(f"{name} is for pictures, not for a scene; a scene takes a window: --window 25")


def fit(source: str, model: str, options: Mapping[str, Any], *, seeds: int | None, baselines: bool, json: bool) -> None:
    """`fit` on a scene, printed."""
    if seeds is not None:
        from pennyweight.verbs.scenes.fit_seeds import fit_seeds

        folder, summary = fit_seeds(source, model, seeds=seeds, with_baselines=baselines, **options)
        if json:
            show.as_json({"folder": str(folder), **summary})
        else:
            _show_seeds(folder, summary)
        return
    from pennyweight.verbs.scenes.fit import fit_scene

    run = fit_scene(source, model, with_baselines=baselines, **options)
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
        show_scores(run.evaluation, run.record["model"]["name"])
        say(f"run     {run.folder}", f"report  {run.report_path}")


def show_bundle(made: "SceneBundle") -> None:
    """Say what was exported, and how it was proved."""
    proof = made.manifest.parity
    say(
        f"{made.path}: {made.path.stat().st_size / 1e6:.1f} MB, proved on {proof['pixels']:,} pixels ({proof['of']}): "
        f"{proof['same_top1']:,} same answers, probabilities within {proof['largest_probability_difference']:.1e}"
    )


def predict(
    run_or_bundle: str, paths: list[Path], *, map: Path, labelled: Mapping[str, Any], bfloat16: bool, json: bool
) -> None:
    """`predict --map`, printed."""
    from pennyweight.verbs.scenes.predict import predict_scene

    if len(paths) != 1:
        raise InputError(f"--map is of one cube, not of {len(paths)}")
    made = predict_scene(run_or_bundle, str(paths[0]), map=map, bfloat16=bfloat16, **labelled)
    if json:
        show.as_json(made.to_dict())
        return
    total = sum(made.pixels.values()) + made.masked
    rows = [(label, count, count / total) for label, count in made.pixels.items()]
    Console().print(table(None, (Column("class"), Column("pixels"), Column("share", share)), rows))
    if made.masked:
        say(f"{made.masked:,} pixels without numbers are masked")
    if made.unknown:
        unknown = ", ".join(str(number) for number in made.unknown)
        say(f"not judged, because the network does not know them: classes {unknown}")
    if made.labelled:
        right = share((made.right or 0) / made.labelled)
        say(f"{right} of {made.labelled:,} labelled pixels right, training pixels too")
    say(*made.files)


def leakage(
    labels: Annotated[
        str,
        typer.Argument(metavar="LABELS", help="The file of a label map (FILE#VARIABLE in a .mat), or scene:NAME."),
    ],
    split: Split = None,
    train: Train = None,
    window: Window = None,
    background: Background = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Decides the split.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Say how many test windows of a scene hold training pixels, before anything is trained."""
    from pennyweight.verbs.scenes.leakage import measure_leakage

    found = measure_leakage(labels, **asked(split=split, train=train, window=window, background=background), seed=seed)
    if json:
        show.as_json(found)
        return
    say(*found["notes"], _leak(found["leakage"]))


def show_scores(scored: Mapping[str, Any], name: str) -> None:
    """Print what a scene's map scored, its baselines and its leakage."""
    columns = (Column("classifier"), Column("overall", fine_share), Column("average", fine_share), Column("kappa"))
    every = {name: scored, **scored.get("baselines", {})}
    rows = [(key, row["overall_accuracy"], row["average_accuracy"], row["kappa"]) for key, row in every.items()]
    title = f"{scored['source']}, {scored['split']} split, {number(scored['pixels'])} test pixels"
    Console().print(table(title, columns, rows))
    say(_leak(scored["leakage"]))
    if scored["left_out"]:
        say(f"not scored, on one side of the guard only: {', '.join(scored['left_out'])}")


def _leak(found: Mapping[str, Any]) -> str:
    return (
        f"leakage: {share(found['share'])} of {found['test_windows']:,} test windows of {found['window']}×"
        f"{found['window']} hold training pixels, {found['mean_centres']:.1f} on average "
        f"({found['mean_centres_own_class']:.1f} of the test pixel's own class)"
    )


def _show_seeds(folder: Path, summary: Mapping[str, Any]) -> None:
    def interval(value: Mapping[str, float]) -> str:
        return f"{100 * value['mean']:.2f} ± {100 * value['deviation']:.2f}"

    columns = (
        Column("classifier"),
        Column("overall, %", interval),
        Column("average, %", interval),
        Column("kappa ×100", interval),
    )
    rows = [(name, *scores.values()) for name, scores in summary["scores"].items()]
    Console().print(table(f"mean ± deviation of {len(summary['seeds'])} seeds", columns, rows))
    least, most = min(summary["leakage"]), max(summary["leakage"])
    spread = share(most) if least == most else f"{share(least)} to {share(most)}"
    say(f"leakage: {spread} of the test windows hold training pixels")
    say(f"runs    {folder}")
