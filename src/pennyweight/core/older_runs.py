"""Runs of earlier versions: detect edits of a run.json without digests, and read keys that have other names now."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pennyweight.core.errors import PennyweightError, RunError
from pennyweight.core.files import read_json
from pennyweight.core.run_folder import RunFolder

__all__ = ["require_agreement", "with_current_names"]

RENAMED = {
    "mean_centres": "mean_training_pixels",
    "mean_centres_own_class": "mean_training_pixels_own_class",
    "nearest neighbour": "nearest neighbor",
}
"""Keys of evaluation.json in version 0.1.0 -> their names now."""

MAX_HEADER_BYTES = 100 << 20
"""Largest header of a safetensors file; the limit of its library."""


def _size(text: str) -> int | list[int]:
    """Return a size of the metadata, "224" or "96x384", as JSON keeps it."""
    sides = [int(side) for side in text.split("x")]
    return sides if len(sides) > 1 else sides[0]


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


KINDS: Mapping[str, Callable[[str], Any]] = {
    "size": _size, "resize": _size, "channels": int, "mean": _numbers, "std": _numbers,
    "interpolation": str, "decoding": str, "frame": str,
}  # fmt: skip
"""Fields of the preprocessing, and the value of each by the text in the metadata of weights."""


def with_current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of evaluation.json under their present names, inside its objects too."""
    return {
        RENAMED.get(key, key): with_current_names(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
    }


def require_agreement(record: Mapping[str, Any], run: RunFolder) -> None:
    """Check run.json against the run's evaluation.json and the metadata of its weights.

    Files that are missing, damaged or silent on a field are skipped: the code that reads them refuses them.

    Args:
        record: Values of run.json.
        run: Folder of the run.

    Raises:
        RunError: Labels, network or preprocessing differ.
    """
    for file, field, theirs in _other_values(run):
        *above, last = field.split(".")
        ours: Any = record
        for part in above:
            ours = ours.get(part) if isinstance(ours, Mapping) else None
        if isinstance(ours, Mapping) and last in ours and ours[last] != theirs:
            raise RunError(
                f"{run.record_path} is not as `fit` wrote it: its {_difference(field, ours[last], theirs)} in "
                f"{file}; restore it from a copy"
            )


def _other_values(run: RunFolder) -> Iterator[tuple[str, str, Any]]:
    """Yield (file name, dotted field of run.json, value) from the other files of a run."""
    with suppress(PennyweightError):
        if isinstance(labels := read_json(run.evaluation_path).get("labels"), list):
            yield run.evaluation_path.name, "data.labels", labels
    metadata = _metadata(run.weights_path)
    with suppress(ValueError):
        if isinstance(labels := json.loads(metadata.get("labels", "null")), list):
            yield run.weights_path.name, "data.labels", labels
        for key, field in {"network": "name", "stem": "stem"}.items():
            if key in metadata:
                yield run.weights_path.name, f"model.{field}", metadata[key]
        texts = {"size": metadata["input"], **metadata} if "input" in metadata else metadata
        for key in texts.keys() & KINDS.keys():
            yield run.weights_path.name, f"preprocess.{key}", KINDS[key](texts[key])


def _metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            found = json.loads(file.read(min(length, MAX_HEADER_BYTES)))["__metadata__"]
        return {key: value for key, value in found.items() if isinstance(value, str)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _difference(field: str, ours: Any, theirs: Any) -> str:
    """Describe the first difference, as the end of "its …" before the name of the other file."""
    name = field.rpartition(".")[2]
    both = isinstance(ours, Sequence) and isinstance(theirs, Sequence) and not isinstance(theirs, str)
    if both and len(ours) != len(theirs):
        return f"number of {name} is {len(ours)}, and {len(theirs)}"
    if both:
        number = next(n for n, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other)
        return f"{name}[{number}] is {ours[number]!r}, and {theirs[number]!r}"
    return f"{name} is {ours!r}, and {theirs!r}"
