"""Experiment trackers: log the metrics of each epoch to TensorBoard, MLflow or Weights & Biases through accelerate."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pennyweight.core.errors import InputError, MissingPart, PennyweightError, nearest

__all__ = ["TRACKERS", "Tracker", "open_tracker"]

# name: (the module it needs, accelerate's class, its arguments)
TRACKERS: Mapping[str, tuple[str, str, Callable[[str, Path], dict[str, Any]]]] = {
    "tensorboard": (
        "tensorboard",
        "TensorBoardTracker",
        lambda name, folder: {"run_name": "tensorboard", "logging_dir": folder},
    ),
    "mlflow": ("mlflow", "MLflowTracker", lambda name, folder: {"experiment_name": "pennyweight", "run_name": name}),
    "wandb": ("wandb", "WandBTracker", lambda name, folder: {"run_name": "pennyweight", "name": name}),
}


class Tracker:
    """Open tracker, or none. If logging fails, `note` gets one line, and training continues without the tracker."""

    def __init__(self, tracker: Any = None, note: Callable[[str], None] = lambda line: None) -> None:
        self._tracker = tracker
        self._note = note

    def epoch(self, metrics: Mapping[str, Any]) -> None:
        """Log a line of metrics.jsonl."""
        figures = {name: value for name, value in metrics.items() if name != "epoch"}
        self._call(lambda tracker: tracker.log(figures, step=metrics["epoch"]))

    def close(self) -> None:
        """Flush and close the tracker."""
        self._call(lambda tracker: tracker.finish())

    def _call(self, action: Callable[[Any], None]) -> None:
        """Run `action` on the tracker; drop the tracker if it fails."""
        if self._tracker is None:
            return
        try:
            action(self._tracker)
        except Exception as error:  # anything: an unreachable server is no reason to lose a training
            self._note(f"{self._tracker.name} failed, and logs no more of this training: {_reason(error)}")
            self._tracker = None


def open_tracker(
    name: str | None,
    run: str,
    folder: Path,
    recipe: Mapping[str, Any],
    note: Callable[[str], None] = lambda line: None,
) -> Tracker:
    """Open a tracker for a run and log the recipe.

    Args:
        name: A key of TRACKERS; None tracks nothing.
        run: Name of the run.
        folder: The run's folder, where TensorBoard's files go.
        recipe: Fields of the recipe.
        note: Function that gets one line if the tracker fails later.

    Returns:
        The open tracker.

    Raises:
        InputError: The name is unknown.
        MissingPart: The tracker's package is not installed.
        PennyweightError: The tracker cannot start.
    """
    check_tracker(name)
    if name is None:
        return Tracker()
    _, kind, options = TRACKERS[name]
    try:
        tracker = getattr(import_module("accelerate.tracking"), kind)(**options(run, folder))
        if hasattr(tracker, "start"):
            tracker.start()
        tracker.store_init_configuration({name: _plain(value) for name, value in recipe.items()})
    except Exception as error:  # each tracker raises its own
        raise PennyweightError(f"--log {name} cannot start: {_reason(error)}") from error
    return Tracker(tracker, note)


def _plain(value: Any) -> int | float | str | bool:
    """Return a field in a type that trackers accept: lists and None, which TensorBoard rejects, become text."""
    return value if isinstance(value, (int, float, str, bool)) else json.dumps(value)


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def check_tracker(name: str | None) -> None:
    """Raise InputError or MissingPart before a run begins, as `open_tracker` would later."""
    if name is None:
        return
    if name not in TRACKERS:
        known = f"; there are {', '.join(TRACKERS)}"
        raise InputError(f"unknown tracker '{name}'{nearest(name, TRACKERS, otherwise=known)}")
    module = TRACKERS[name][0]
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPart(
            f"--log {name} needs {module}, which is not installed; add it with: pip install {module}"
        ) from error
