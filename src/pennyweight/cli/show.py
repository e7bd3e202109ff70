"""Results as they read on a terminal."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennyweight.core.accuracy_line import accuracy_line
from pennyweight.core.errors import PennyweightError
from pennyweight.core.figures import number, several, shape, share
from pennyweight.core.int8_line import calibration, files, in_words, layers_in_float
from pennyweight.core.pruning_line import accuracies, fewer_macs, milliseconds
from pennyweight.core.reasons import Reasons
from pennyweight.core.rounding_line import float_rounding
from pennyweight.core.text import say, write_as_file

if TYPE_CHECKING:
    from pennyweight.core.manifest import Manifest
    from pennyweight.core.run import Run
    from pennyweight.deploy import LayerLoss
    from pennyweight.runtime import Bundle
    from pennyweight.scoring import Evaluation
    from pennyweight.verbs.convert import Converted

__all__ = [
    "as_json",
    "bundle",
    "converted",
    "evaluation",
    "facts",
    "failure",
    "layer_losses",
    "markdown",
    "networks",
    "note",
    "noting_left_out",
    "run",
    "run_values",
    "seeds",
    "strangers",
    "written",
]

MANY = 20
"""Pictures from which on the number of strangers is compared with the expected one."""


def strangers(strange: int, answered: int, least_typical: float, expected: float) -> None:
    """Note how many pictures are unlike anything the network was taught, and how many of own pictures would be.

    Args:
        strange: Number of pictures that are at most `least_typical` typical.
        answered: Number of pictures that were compared with what the network was taught.
        least_typical: Largest `typical` of a stranger.
        expected: Share of own pictures that are at most `least_typical` typical.
    """
    if not strange:
        return
    of_all = "the picture is" if answered == 1 else f"{number(strange)} of {number(answered)} are"
    chance = f"; {number(round(expected * answered))} expected by chance" if answered >= MANY else ""
    note(f"{of_all} unlike anything it was taught ({100 * least_typical:.3g}% typical or less{chance})")


def as_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output. Raises PennyweightError that names a value that is not a number."""
    try:
        text = json.dumps(value, allow_nan=False)  # in ASCII, which every encoding of a pipe can take
    except ValueError as error:
        where = next(_not_finite(value), "")
        raise PennyweightError(
            f"the answer holds a value that is not a finite number ({where}), which JSON cannot hold; "
            "without --json the value is printed"
        ) from error
    print(text.replace("\x7f", "\\u007f"))  # the one control character that JSON leaves


def _not_finite(value: object, place: str = "") -> Iterator[str]:
    """Yield where in an answer values are NaN or infinite, and the values."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{place}: {value}"
    inside = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    )
    for key, item in inside:
        yield from _not_finite(item, f"{place}.{key}".lstrip("."))


@contextmanager
def noting_left_out(listed: str) -> Iterator[Reasons]:
    """Give a counter of pictures that are left out, and note them by reason at the end, also after an error.

    Args:
        listed: Line that says where all of them are listed.
    """
    lost = Reasons()
    try:
        yield lost
    finally:
        for line in lost.lines("left out: ", listed=listed):
            note(line)


def networks(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print the table of networks: their counts and their published accuracy."""
    from pennyweight.report.tables import Column, print_table  # with rich: 0.03 s

    def percent(value: float) -> str:
        return f"{value:.1f}%"

    columns = (
        Column("network"),
        Column("params"),
        Column("MACs"),
        Column("input", shape),
        Column("paper", percent),
        Column("weights", percent),
    )
    keys = ("name", "params", "macs", "input_shape", "published_top1")
    cells = [
        [*(row[key] for key in keys), max((top1 for top1 in row["weights"].values() if top1 is not None), default=None)]
        for row in rows
    ]
    print_table(columns, cells)
    say("paper, weights: ImageNet top-1 as published, by the authors and of the best weights")


def evaluation(scored: Evaluation) -> None:
    """Print the accuracy with its 95% interval, and a row for each class."""
    from pennyweight.report.tables import Column, print_table  # with rich: 0.03 s

    whole = f"all of {scored.source}" if scored.split == "all" else f"{scored.split} split of {scored.source}"
    say(
        f"{whole}: accuracy {accuracy_line(scored.to_dict())}",
        f"majority baseline, which always predicts the most frequent class: {share(scored.majority_accuracy)}",
    )
    columns = (
        Column("class"),
        Column("precision", share),
        Column("recall", share),
        Column("F1", share),
        Column("pictures"),
    )
    rows = [(c.label, c.precision, c.recall, c.f1, c.images) for c in scored.per_class]
    print_table(columns, rows)


def run(made: Run) -> None:
    """Print the test accuracy of a finished training, and its files."""
    scored = made.evaluation
    if left_out := made.info.data.unreadable:
        say(f"left out {several(len(left_out), 'picture')} that cannot be read; run.json names them")
    weights = "weights of all pictures" if scored.get("folds") else f"weights of epoch {made.info.best_epoch}"
    say(
        f"{scored['split']} accuracy {accuracy_line(scored)}, {weights}",
        f"run     {made.folder}",
        f"report  {made.report_path}",
    )


def run_values(made: Run) -> dict[str, Any]:
    """Return the JSON object of a finished training."""
    return {
        "run": str(made.folder),
        "report": str(made.report_path),
        "model": dict(made.info.model),
        "best": made.info.best,
        "evaluation": made.evaluation,
    }


def seeds(found: Mapping[str, Any]) -> None:
    """Print the accuracy of each seed on the scored split, and mean ± standard deviation."""
    from pennyweight.report.tables import Column, print_table  # with rich: 0.03 s

    columns = (Column("seed"), Column(f"{found['split']} accuracy", share))
    print_table(columns, list(found["accuracies"].items()))
    say(f"mean {share(found['mean'])}, standard deviation {share(found['deviation'])}; runs in {found['folder']}")


def note(line: str) -> None:
    """Print a note on standard error; of several ranks, the first one prints."""
    if os.environ.get("RANK", "0") != "0":
        return
    say(f"note: {line}", error=True)


def written(path: Path) -> None:
    """Name on standard error the file that was written."""
    say(f"wrote {path}", error=True)


def failure(line: str) -> None:
    """Print one line of an error on standard error."""
    say(line, error=True, label="error:")


def bundle(made: Bundle) -> None:
    """Print the file of a bundle, its size and its proof."""
    quantization = made.manifest.quantization
    _proved(made.path, made.path.stat().st_size, made.manifest, "float graph " if quantization else "")
    if quantization is not None:
        say(
            f"int8 {in_words(quantization)}",
            f"{calibration(quantization)}; {files(quantization)}; in float: {layers_in_float(quantization)}",
        )


def converted(made: Converted) -> None:
    """Print the folder of a network for another engine, its size and its proof."""
    _proved(made.folder, made.bytes, made.manifest, "")


def _proved(path: Path, size: int, manifest: Manifest, what: str) -> None:
    """Print files, their proof, and the pruning of their network."""
    proof = manifest.parity
    say(
        f"{path}: {size / 1e6:.1f} MB, {what}proved on {proof['pictures']} pictures ({proof['of']}): "
        f"{proof['same_top1']} same answers, probabilities within {proof['largest_probability_difference']:.1e}"
        f"{float_rounding(proof)}"
    )
    if (pruning := manifest.pruning) is not None:
        say(f"pruned {milliseconds(pruning)}: {fewer_macs(pruning)}", accuracies(pruning))


def layer_losses(layers: Sequence[LayerLoss]) -> None:
    """Print on standard error what each layer loses in int8, the largest loss first."""
    from pennyweight.report.tables import Column, print_table  # with rich: 0.03 s

    columns = (Column("layer in int8 alone"), Column("change of the logits", share), Column("weights"))
    rows = [(each.layer, each.loss, each.weights) for each in layers]
    print_table(columns, rows, error=True)


def facts(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and texts in two columns."""
    from pennyweight.report.tables import Column, print_table  # with rich: 0.03 s

    print_table((Column("fact"), Column("value")), rows)


def markdown(text: str) -> None:
    """Print a page of Markdown, in UTF-8 unless a terminal reads it."""
    write_as_file()
    print(text, end="")
