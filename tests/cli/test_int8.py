"""`export --int8`: the lines that it prints, and the settings that it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_it_prints_accuracies_sizes_and_layers(pennyweight: Callable[..., Any], run_folder: Path, empty: Path) -> None:
    done = pennyweight("export", run_folder, "--int8", "--max-drop", "90%", "--out", "int8.onnx")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0].startswith("int8.onnx: ")
    assert "float graph proved on " in lines[0]
    assert lines[1].startswith("int8 accuracy ")
    assert lines[2].startswith("calibrated on ")
    assert " in float; in float: no layer" in lines[2]


def test_a_refusal_shows_the_layers(
    pennyweight: Callable[..., Any], run_folder: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pennyweight.deploy.int8.MOST_IN_FLOAT", 0.0)
    monkeypatch.setattr("pennyweight.deploy.int8.Gate.drop", 0.3)
    done = pennyweight("export", run_folder, "--int8", "--out", "int8.onnx")
    assert done.status == 1
    assert done.out == ""
    assert "layer in int8 alone" in done.err
    assert "head.linear" in done.err
    assert done.err.splitlines()[-1].startswith("error: int8 loses 30.00% of the accuracy")
    assert not list(empty.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1", "--max-drop '1' is not a share from 0% to below 100%, such as 1%; did you mean --max-drop 1%?"),
        ("one", "--max-drop 'one' is not a share from 0% to below 100%, such as 1%"),
        ("-1%", "--max-drop '-1%' is not a share"),
        ("100%", "--max-drop '100%' is not a share"),
        ("nan", "--max-drop 'nan' is not a share"),
    ],
)
def test_a_drop_that_is_no_share(cannot: Callable[..., str], run_folder: Path, text: str, message: str) -> None:
    assert message in cannot("export", run_folder, "--int8", f"--max-drop={text}")


def test_settings_of_int8_without_it(cannot: Callable[..., str], run_folder: Path) -> None:
    assert "max_drop belongs to int8 and prune; add int8 (--int8) or prune" in cannot(
        "export", run_folder, "--max-drop", "1%"
    )
