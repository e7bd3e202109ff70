"""`export --to`: the settings that it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.parametrize("option", ["--int8", "--tune", "--calibrate=digits"])
def test_settings_of_int8_are_refused(cannot: Callable[..., str], run_folder: Path, option: str) -> None:
    assert "--to ncnn writes float32; leave --int8 and its settings out" in cannot(
        "export", run_folder, "--to", "ncnn", option
    )


def test_a_drop_is_refused_without_pruning(cannot: Callable[..., str], run_folder: Path) -> None:
    assert "max_drop belongs to prune; add prune (--prune SHARE), or leave max_drop out" in cannot(
        "export", run_folder, "--to", "ncnn", "--max-drop=1%"
    )
