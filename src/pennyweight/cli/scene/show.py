"""Results of the commands on scenes, as they read on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pennyweight.core.figures import fine_share, number, share
from pennyweight.core.text import say
from pennyweight.report.tables import Column, table

if TYPE_CHECKING:
    from pennyweight.core.run import Run
    from pennyweight.runtime.scene_bundle import SceneBundle
    from pennyweight.scoring.scene import PixelScores
    from pennyweight.verbs.scenes.predict import Mapped

__all__ = ["leakage_line", "show_bundle", "show_map", "show_run", "show_scores", "show_seeds"]


def show_run(run: Run) -> None:
    """Print the scores of a finished training, and its files."""
    show_scores(run.evaluation, run.info.network)
    say(f"run     {run.folder}", f"report  {run.report_path}")


def show_bundle(made: SceneBundle) -> None:
    """Print the file of a bundle, its size and its proof."""
    proof = made.manifest.parity
    say(
        f"{made.path}: {made.path.stat().st_size / 1e6:.1f} MB, proved on {proof['pixels']:,} pixels ({proof['of']}): "
        f"{proof['same_top1']:,} same answers, probabilities within {proof['largest_probability_difference']:.1e}"
    )


def show_map(mapped: Mapped) -> None:
    """Print the pixels of each class, and the files of a map."""
    total = sum(mapped.pixels.values()) + mapped.masked
    rows = [(label, count, count / total) for label, count in mapped.pixels.items()]
    Console().print(table(None, (Column("class"), Column("pixels"), Column("share", share)), rows))
    if mapped.masked:
        say(f"{mapped.masked:,} pixels without numbers are masked")
    if mapped.unknown:
        unknown = ", ".join(str(number) for number in mapped.unknown)
        say(f"not judged, because the network does not know these classes: {unknown}")
    if mapped.scores is not None:
        show_pixel_scores(mapped.scores)
        say(mapped.training_note)
    say(*mapped.files)


def show_pixel_scores(scores: PixelScores) -> None:
    """Print the scores on the labeled pixels of a map: over all of them, and of each class."""
    columns = (Column("class"), Column("labeled pixels"), Column("accuracy", share), Column("precision", share))
    rows = [(row.label, row.pixels, row.accuracy, row.precision) for row in scores.per_class if row.pixels]
    Console().print(table(None, columns, rows))
    say(
        f"on {scores.pixels:,} labeled pixels: overall accuracy {fine_share(scores.overall_accuracy)}, average "
        f"{fine_share(scores.average_accuracy)}, kappa {number(scores.kappa)}"
    )


def show_scores(scored: Mapping[str, Any], name: str) -> None:
    """Print the scores of a scene's map and of its baselines, and the leakage of its split."""
    columns = (Column("classifier"), Column("overall", fine_share), Column("average", fine_share), Column("kappa"))
    every = {name: scored, **scored.get("baselines", {})}
    rows = [(key, row["overall_accuracy"], row["average_accuracy"], row["kappa"]) for key, row in every.items()]
    say(f"{scored['source']}, {scored['split']} split, {number(scored['pixels'])} test pixels")  # wider than the table
    Console().print(table(None, columns, rows))
    say(leakage_line(scored["leakage"]))
    if scored["left_out"]:
        say(f"not scored, on one side of the guard only: {', '.join(scored['left_out'])}")


def leakage_line(found: Mapping[str, Any]) -> str:
    """Return the leakage of a split as one line."""
    return (
        f"leakage: {share(found['share'])} of {found['test_windows']:,} test windows of {found['window']}×"
        f"{found['window']} hold training pixels, {found['mean_training_pixels']:.1f} on average "
        f"({found['mean_training_pixels_own_class']:.1f} of the test pixel's own class)"
    )


def show_seeds(folder: Path, summary: Mapping[str, Any]) -> None:
    """Print mean ± standard deviation of the scores of several seeds.

    Args:
        folder: Folder of the runs.
        summary: The content of its `seeds.json`: `seeds`, `scores` by classifier, and `leakage`.
    """

    def interval(value: Mapping[str, float]) -> str:
        return f"{100 * value['mean']:.2f} ± {100 * value['deviation']:.2f}"

    columns = (
        Column("classifier"),
        Column("overall, %", interval),
        Column("average, %", interval),
        Column("kappa ×100", interval),
    )
    rows = [(name, *scores.values()) for name, scores in summary["scores"].items()]
    Console().print(table(f"mean ± standard deviation of {len(summary['seeds'])} seeds", columns, rows))
    least, most = min(summary["leakage"]), max(summary["leakage"])
    spread = share(most) if least == most else f"{share(least)} to {share(most)}"
    say(f"leakage: {spread} of the test windows hold training pixels")
    say(f"runs    {folder}")
