"""Names of the files in a run's folder: the one place that knows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pennyweight.core.locks import LOCK

__all__ = ["SEEDS", "RunFolder", "is_run_folder"]

SEEDS = "seeds.json"
"""File in the folder that holds a run for each seed."""


@dataclass(frozen=True)
class RunFolder:
    """Paths of the files in a run's folder, which may not be there yet."""

    folder: Path

    @property
    def record_path(self) -> Path:
        """run.json: the settings, the resolved recipe, versions, machine and data of a run."""
        return self.folder / "run.json"

    @property
    def metrics_path(self) -> Path:
        """metrics.jsonl: a line for each epoch."""
        return self.folder / "metrics.jsonl"

    @property
    def weights_path(self) -> Path:
        """weights.safetensors: the weights of the best epoch on validation."""
        return self.folder / "weights.safetensors"

    @property
    def evaluation_path(self) -> Path:
        """evaluation.json: the scores on the held-out test split."""
        return self.folder / "evaluation.json"

    @property
    def report_path(self) -> Path:
        """report.html: the page for a person."""
        return self.folder / "report.html"

    @property
    def bundle_path(self) -> Path:
        """model.onnx: the bundle that `export` writes by default."""
        return self.folder / "model.onnx"

    @property
    def seen_path(self) -> Path:
        """seen.npy: the digests of the pictures that the run trained and selected on."""
        return self.folder / "seen.npy"

    @property
    def typicality_path(self) -> Path:
        """typicality.npz: principal directions of the training features, and how far held-out pictures lie."""
        return self.folder / "typicality.npz"

    @property
    def projection_path(self) -> Path:
        """projection.json: scaling and principal components of a scene's bands."""
        return self.folder / "projection.json"

    @property
    def checkpoints_path(self) -> Path:
        """Folder of the checkpoints, from which a training resumes."""
        return self.folder / "checkpoints"

    @property
    def features_path(self) -> Path:
        """Folder of the features of the frozen layers, until the run is complete."""
        return self.folder / "features"

    @property
    def folds_path(self) -> Path:
        """Folder of the trainings without each fold, until the run is complete."""
        return self.folder / "folds"

    @property
    def answers_path(self) -> Path:
        """answers.npz: the answers of a training without a fold to the pictures of the fold, in its part of `folds`."""
        return self.folder / "answers.npz"

    @property
    def written_before_record(self) -> frozenset[Path]:
        """Files that may be there before run.json."""
        return frozenset({self.folder / LOCK, self.seen_path, self.projection_path})

    @property
    def written_before_weights(self) -> frozenset[Path]:
        """Files and folders that may be there before anything is worth keeping."""
        training = {
            self.folder / "tensorboard",
            self.metrics_path,
            self.checkpoints_path,
            self.features_path,
            self.folds_path,
        }
        return self.written_before_record | {self.record_path} | training


def is_run_folder(folder: Path) -> bool:
    """Return true for a folder with a run.json."""
    return RunFolder(folder).record_path.exists()
