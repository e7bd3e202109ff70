"""Trackers by name: figures of each epoch for TensorBoard, MLflow or Weights & Biases, through accelerate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pennyweight.core.errors import InputError, MissingPart, nearest

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
    """An open tracker, or none."""

    def __init__(self, tracker: Any = None) -> None:
        self._tracker = tracker

    def epoch(self, metrics: Mapping[str, Any]) -> None:
        """Pass on a line of metrics.jsonl."""
        if self._tracker is not None:
            figures = {name: value for name, value in metrics.items() if name != "epoch"}
            self._tracker.log(figures, step=metrics["epoch"])

    def close(self) -> None:
        """Flush what it holds."""
        if self._tracker is not None:
            self._tracker.finish()


def open_tracker(name: str | None, run: str, folder: Path, recipe: Mapping[str, Any]) -> Tracker:
    """A tracker for a run, told its recipe; TensorBoard's files go into the run's folder. None tracks nothing.

    Raises InputError for an unknown name, MissingPart when its package is not installed.
    """
    check_tracker(name)
    if name is None:
        return Tracker()
    _, kind, options = TRACKERS[name]
    tracker = getattr(import_module("accelerate.tracking"), kind)(**options(run, folder))
    if hasattr(tracker, "start"):
        tracker.start()
    tracker.store_init_configuration(dict(recipe))
    return Tracker(tracker)


def check_tracker(name: str | None) -> None:
    """Raise now what `open_tracker` would raise later."""
    if name is None:
        return
    if name not in TRACKERS:
        raise InputError(
            f"unknown tracker '{name}'{nearest(name, TRACKERS, otherwise=f'; there are {chr(44).join(TRACKERS)}')}"
        )
    module = TRACKERS[name][0]
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPart(
            f"--log {name} needs {module}, which is not installed; add it with: pip install {module}"
        ) from error
