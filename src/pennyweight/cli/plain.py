"""The plain form of `predict`, read without Typer, whose import takes as long as a prediction.

Any other command line is Typer's: other options, help, and whatever has to be refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pennyweight.cli.predicting import PredictRequest

__all__ = ["plain_predict"]

FLAGS = ("--json", "--jsonl")
VALUES = ("--top", "--csv")
SCENE = "scene:"


def plain_predict(arguments: Sequence[str]) -> PredictRequest | None:
    """Return what a plain `predict RUN_OR_BUNDLE_OR_NAME PATH...` asks for; None for any other command line.

    It may have the options of FLAGS and VALUES, each once, with its value as the next argument.

    Raises:
        InputError: Two outputs would mix, or one cannot be written.
    """
    if [*arguments[:1]] != ["predict"]:
        return None
    given: dict[str, Any] = {}
    places: list[str] = []
    rest = iter(arguments[1:])
    for word in rest:
        name = word.removeprefix("--")
        if word in (*FLAGS, *VALUES) and name not in given:
            given[name] = True if word in FLAGS else next(rest, "")
        elif (word != "-" and word.startswith("-")) or word.lower().startswith(SCENE):
            return None
        else:
            places.append(word)
    top, csv = given.get("top", "5"), given.get("csv", "-")
    if len(places) < 2 or not _is_count(top) or not csv or (csv.startswith("-") and csv != "-"):
        return None
    from pennyweight.cli.predicting import Outputs, PredictRequest

    outputs = Outputs(**{**given, "top": int(top)})
    outputs.require_possible(places[1:])
    return PredictRequest(places[0], places[1:], outputs)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and not text.startswith("0")
