"""A run as it lies on disk: what the report is made of, small and free of training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pennyweight.report.run_page import Mistake

Parts = dict[str, Any]


def _parts(labels: list[str], confusion: list[list[int]]) -> Parts:
    counts = np.array(confusion)
    right, images = int(np.trace(counts)), int(counts.sum())
    layers = [
        {"name": "stem.conv", "type": "Conv2d", "input_shape": [3, 32, 32], "output_shape": [8, 16, 16]}
        | {"params": 216, "macs": 55_296},
        {"name": "trunk.0", "type": "Conv2d", "input_shape": [8, 16, 16], "output_shape": [16, 8, 8]}
        | {"params": 1_152, "macs": 73_728},
        {"name": "head", "type": "Linear", "input_shape": [16], "output_shape": [2], "params": 34, "macs": 32},
    ]
    return {
        "run": {
            "name": "night-run",
            "created": "2026-03-01T12:30:00+00:00",
            "model": {
                "name": "mobilenet_v1_x0_25",
                "stem": "cifar",
                "num_classes": len(labels),
                "in_channels": 3,
                "config": {"width": 0.25},
            },
            "data": {
                "source": "pets",
                "labels": labels,
                "counts": {"train": 1257, "val": 270, "test": images},
                "notes": ["split 70/15/15 by class, seed 7"],
                "fingerprint": "sha256:0123456789abcdef",
            },
            "preprocess": {"height": 32, "width": 32, "resize": "squash", "mean": [0.5, 0.5, 0.5]},
            "recipe": {"epochs": 3, "lr": 0.001, "ema": True, "mixup": None},
            "seed": 20261,
            "machine": {"cpu": "some processor", "cores": 2},
            "versions": {"pennyweight": "0.1.0", "torch": "2.14.0"},
            "best": {"epoch": 2, "val_accuracy": 0.93, "val_loss": 0.21},
            "seconds": 200.4,
        },
        "epochs": [
            {
                "epoch": epoch,
                "train_loss": 1 / epoch,
                "train_accuracy": 1 - 0.5 / epoch,
                "val_loss": 1.1 / epoch,
                "val_accuracy": 1 - 0.6 / epoch,
                "lr": 0.001,
                "seconds": 4.0,
                "images_per_s": 1234.4,
            }
            for epoch in (1, 2, 3)
        ],
        "evaluation": {
            "split": "test",
            "source": "pets",
            "images": images,
            "accuracy": right / images,
            "accuracy_interval": [0.757, 0.921],
            "loss": 0.31,
            "majority_accuracy": float(counts.sum(axis=1).max() / images),
            "per_class": [
                {
                    "label": label,
                    "precision": 0.5,
                    "recall": row / 100,
                    "f1": row / 100,
                    "images": int(counts[row].sum()),
                }
                for row, label in enumerate(labels)
            ],
            "confusion": confusion,
            "labels": labels,
        },
        "cost": {
            "params": 1_402,
            "trainable_params": 1_402,
            "macs": 129_056,
            "input_shape": [3, 32, 32],
            "layers": layers,
            "uncounted": {"aten.hardtanh_": 35},
        },
        "mistakes": [
            Mistake(
                image=np.full((8, 8, 1), 90, np.uint8),
                source="pets/test/cats/cat.7.png",
                truth=labels[0],
                predicted=labels[1],
                probability=0.97,
                truth_probability=0.03,
            ),
            Mistake(
                image=np.full((90, 120, 3), 90, np.uint8),
                source="pets/test/dogs/dog.4.jpg",
                truth=labels[1],
                predicted=labels[0],
                probability=0.61,
                truth_probability=0.39,
            ),
        ],
    }


@pytest.fixture
def parts() -> Parts:
    """The arguments of `run_page` for a run on cats and dogs: 60 of 70 right, two mistakes."""
    return _parts(["cats", "dogs"], [[31, 4], [6, 29]])


@pytest.fixture
def parts_of() -> Callable[[list[str], list[list[int]]], Parts]:
    """The same for classes and a confusion matrix of one's own."""
    return _parts


def _weighed(name: str, layers: int, *, ms: float | None = 1.5, findings: int = 0, macs: int = 40_140_800) -> Parts:
    rows = [
        {
            "name": f"trunk.{place}.layers.0.0" if place else "",
            "type": "InvertedResidual",
            "input_shape": (144, 112, 112),
            "output_shape": (144, 112, 112),
            "params": 1_000_000,
            "macs": macs,
            "ops": 2 * macs,
            "bytes_read": 1_000_000 * (layers - place),
            "bytes_written": 4_816_896,
        }
        for place in range(layers)
    ]
    sums = {key: sum(row[key] for row in rows) for key in ("params", "macs", "ops", "bytes_read", "bytes_written")}
    bounds = ("compute", "memory")
    times = [{"predicted_ms": ms, "bound": bounds[place % 2]} for place in range(layers)] if ms is not None else []
    found = {"guideline": "G4", "name": "", "found": 0.5, "best": 0.0, "extra_bytes": 2_000_000, "extra_ms": ms}
    return {
        "name": name,
        "cost": {
            **sums,
            "batch": 1,
            "layers": rows,
            "uncounted": {},
            "notes": [],
            "conventions": {"macs": "M", "ops": "O", "bytes_read": "R", "bytes_written": "W"},
        },
        "times": times,
        "rows": [{**row, **time} for row, time in zip(rows, times or [{}] * layers, strict=True)],
        "findings": [{**found, "advice": "batch norm, relu: leave some out " * 3}] * findings,
        "predicted_ms": None if ms is None else ms * layers,
        "measured_ms": None,
        "facts": [("input", "3×224×224, batch 1"), ("uncounted operators", "none")],
    }


@pytest.fixture
def weighed() -> Callable[..., Parts]:
    """What `cost_page` takes of a network: its name, number of layers, of which the first is the network itself."""
    return _weighed
