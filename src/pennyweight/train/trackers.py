"""Trackers by name: figures of each epoch for TensorBoard, MLflow or Weights & Biases, through accelerate."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pennyweight.core.errors import InputError, MissingPart, PennyweightError, nearest

__all__ = ["TRACKERS", "Tracker", "open_tracker"]

# name: (the module that it needs, accelerate's class, what it is opened with)
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
    """An open tracker, or none. One that fails later is said once, and training goes on without it."""

    def __init__(self, tracker: Any = None, note: Callable[[str], None] = lambda line: None) -> None:
        self._tracker = tracker
        self._note = note

    def epoch(self, metrics: Mapping[str, Any]) -> None:
        """Pass on a line of metrics.jsonl."""
        figures = {name: value for name, value in metrics.items() if name != "epoch"}
        self._tell(lambda tracker: tracker.log(figures, step=metrics["epoch"]))

    def close(self) -> None:
        """Flush what it holds."""
        self._tell(lambda tracker: tracker.finish())

    def _tell(self, tell: Callable[[Any], None]) -> None:
        if self._tracker is None:
            return
        try:
            tell(self._tracker)
        except Exception as error:  # anything: a server that is away is no reason to lose a training
            self._note(f"{self._tracker.name} fails, and hears no more of this training: {_reason(error)}")
            self._tracker = None


def open_tracker(
    name: str | None,
    run: str,
    folder: Path,
    recipe: Mapping[str, Any],
    note: Callable[[str], None] = lambda line: None,
) -> Tracker:
    """A tracker for a run, told its recipe; TensorBoard's files go into the run's folder. None tracks nothing.

    `note` is told when it fails later. Raises InputError for an unknown name, MissingPart when its package is not
    installed, PennyweightError when it cannot start.
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
    except Exception as error:  # each has its own
        raise PennyweightError(f"--log {name} cannot start: {_reason(error)}") from error
    return Tracker(tracker, note)


def _plain(value: Any) -> int | float | str | bool:
    """Return a field as trackers take it: TensorBoard refuses lists and None, which become text."""
    return value if isinstance(value, (int, float, str, bool)) else json.dumps(value)


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def check_tracker(name: str | None) -> None:
    """Raise now what `open_tracker` would raise later."""
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
