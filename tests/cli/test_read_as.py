"""Options that read a table or file names as they are: fit, doctor and evaluate take the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SMALL = ("--model", "mobilenet_v1_x0_25", "--config", "stages=[[32, 1, 1]]", "--input", "16")


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    """train.csv with the columns image_id and breed; pictures/ID.png."""
    draw = np.random.default_rng(0)
    rows = ["image_id,breed"]
    for number in range(24):
        path = tmp_path / "pictures" / f"{number:02d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(path)
        rows.append(f"{number:02d},{('beagle', 'poodle')[number % 2]}")
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_a_table_of_kaggle_from_the_doctor_to_the_score(pennyweight: Callable[..., Any], kaggle: Path) -> None:
    how = (
        "--columns",
        "label=breed",
        "--columns",
        "path=image_id",
        "--pictures",
        kaggle / "pictures",
        "--ending",
        "png",
    )
    found = json.loads(pennyweight("doctor", kaggle / "train.csv", *how, "--json").out)
    assert found["counts"] == {"beagle": 12, "poodle": 12}
    small = (*SMALL, "--epochs", "1", "--out", kaggle / "run")
    assert pennyweight("fit", kaggle / "train.csv", *how, *small).status == 0
    scored = json.loads(pennyweight("evaluate", kaggle / "run", "--json").out)
    assert json.loads(pennyweight("evaluate", kaggle / "run", kaggle / "train.csv", *how, "--json").out) == scored


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--columns", "breed"), "--columns 'breed' is no MEANING=NAME"),
        (("--columns", "label=a,label=b"), "--columns names the label twice"),
        (("--columns", "lable=breed"), "not 'lable'; did you mean 'label'"),
        (("--columns", "path=image_id,label=breed", "--pictures", "nowhere"), "there is none at nowhere"),
        (("--label-from", "cat"), "0 groups in place of one"),
        ((), "--columns path=NAME,label=NAME"),
    ],
)
def test_what_cannot_be_is_one_line(
    pennyweight: Callable[..., Any], kaggle: Path, options: tuple[str, ...], said: str
) -> None:
    for command in (("doctor",), ("fit", "--out", kaggle / "run")):
        assert said in pennyweight(command[0], kaggle / "train.csv", *command[1:], *options).error
    assert not (kaggle / "run").exists()


def test_help_shows_a_regular_expression_as_it_is_typed(pennyweight: Callable[..., Any]) -> None:
    assert "'^([a-z]+)'" in pennyweight("fit", "--help").out


def test_predict_reads_the_table_as_fit_does(pennyweight: Callable[..., Any], kaggle: Path) -> None:
    small = (*SMALL, "--epochs", "1", "--out", kaggle / "run")
    how = ("--pictures", kaggle / "pictures", "--ending", "png")
    table = kaggle / "train.csv"
    assert pennyweight("fit", table, *how, "--columns", "path=image_id,label=breed", *small).status == 0
    table.write_text(table.read_text().replace("image_id", "number"))
    answered = pennyweight("predict", kaggle / "run", table, *how, "--columns", "path=number", "--json")
    assert answered.status == 0
    sources = [Path(each["source"]).name for each in json.loads(answered.out)["predictions"]]
    assert sources == [f"{number:02d}.png" for number in range(24)]
    refused = pennyweight("predict", kaggle / "run", table)
    assert "another is named by --columns path=NAME" in refused.error
    refused = pennyweight("predict", kaggle / "run", kaggle / "pictures", "--ending", "png")
    assert "ending belongs to a table" in refused.error


def test_one_hot_labels_of_a_table_are_named_with_what_mends_them(
    pennyweight: Callable[..., Any], kaggle: Path
) -> None:
    table = kaggle / "train.csv"
    table.write_text("image_id,healthy,rust,scab\n00,0,1,0\n01,1,0,0\n")
    refused = pennyweight("doctor", table, "--pictures", kaggle / "pictures", "--ending", "png")
    assert refused.status == 1
    assert "has one-hot labels, a column of 0 and 1 for each class (healthy, rust, scab)" in refused.error
    assert "idxmax(axis=1)" in refused.error
