"""`export --prune`: the lines that it prints, and the shares that it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pennyweight.core.pruning_line import accuracies, fewer_macs, milliseconds

RECORD: dict[str, Any] = {
    "macs": [1000, 690],
    "channels": [64, 48],
    "accuracy_before": 0.9,
    "accuracy": 0.89,
    "validation_pictures": 1200,
    "tuning": {"pictures": 4000, "of": "training split of x", "epochs": 1},
    "latency": {"before_ms": 2.5, "after_ms": 2.0, "times_faster": 1.25, "engine": "onnxruntime 1.32.0", "threads": 1,
                "repeats": 100},
}  # fmt: skip


def test_its_lines() -> None:
    assert fewer_macs(RECORD) == "31.0% fewer MACs, 48 of 64 channels"
    assert milliseconds(RECORD) == (
        "2.5 ms to 2 ms, 1.25 times as fast (onnxruntime 1.32.0, one picture, 1 thread, 100 rounds in turns)"
    )
    assert accuracies(RECORD) == (
        "validation accuracy 90.0% to 89.0% of 1,200 pictures, fine-tuned on 4,000 for 1 epoch"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("30", "--prune '30' is not a share above 0% and below 100%, such as 30%; did you mean --prune 30%?"),
        ("0%", "--prune '0%' is not a share above 0% and below 100%, such as 30%"),
    ],
)
def test_a_share_that_is_none(cannot: Callable[..., str], run_folder: Path, text: str, message: str) -> None:
    assert message in cannot("export", run_folder, f"--prune={text}")
