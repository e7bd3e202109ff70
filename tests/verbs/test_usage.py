"""What a file of weights does not say of itself its user says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import pennyweight as pw
from pennyweight import zoo
from pennyweight.core.errors import InputError
from pennyweight.nn.weights import read_weights
from pennyweight.verbs.load import restore


def test_a_file_that_says_nothing_is_told(tmp_path: Path) -> None:
    torch.save(zoo.create("shufflenet_v2_x0_5", num_classes=10).state_dict(), tmp_path / "w.pth")
    made = zoo.open_pretrained("shufflenet_v2_x0_5", tmp_path / "w.pth")
    assert made.model["num_classes"] == 10
    assert made.labels[0] == "class 0"
    assert any("does not say how its pictures were prepared" in note for note in made.notes)
    assert any("does not name its classes" in note for note in made.notes)


@pytest.fixture
def silent(trained: pw.Run, tmp_path: Path) -> Path:
    """The run's weights in a file that says nothing of itself."""
    torch.save(read_weights(trained.weights_path), tmp_path / "w.pth")
    return tmp_path / "w.pth"


def test_what_a_file_does_not_say_its_user_says(trained: pw.Run, silent: Path, shapes: Path, tmp_path: Path) -> None:
    """Then it answers as the run does; each part of what is said counts."""
    preprocess, model = trained.record["preprocess"], trained.record["model"]
    usage = {"stem": model["stem"], "input_size": 16, "mean": preprocess["mean"], "std": preprocess["std"]}
    usage |= {"config": model["config"], "labels": ["blue", "green", "red"]}
    made = zoo.open_pretrained("mobilenet_v1_x0_25", silent, **usage)
    assert made.notes == ()
    assert made.model | {"config": model["config"]} == model
    assert made.preprocess == replace(pw.load(trained).preprocess, decoding="full")
    x = torch.randn(2, 3, 16, 16)
    with torch.inference_mode():
        assert torch.equal(made.network(x), restore(trained)(x))
    (tmp_path / "names.txt").write_text("blue\n green\n\nred\n")
    for labels in (str(shapes), str(tmp_path / "names.txt")):
        assert pw.load("mobilenet_v1_x0_25", weights=silent, **usage | {"labels": labels}).labels == made.labels
    assert pw.evaluate("mobilenet_v1_x0_25", str(shapes), weights=silent, **usage).images > 0


def test_what_is_said_counts_before_what_a_file_says(trained: pw.Run) -> None:
    usual = pw.load("mobilenet_v1_x0_25", weights=trained.weights_path).preprocess
    other = pw.load(
        "mobilenet_v1_x0_25",
        weights=trained.weights_path,
        input_size=32,
        mean=[0.25],
        std=[0.5, 1, 2],
        labels=list("abc"),
    )
    assert other.labels == ("a", "b", "c")
    assert (other.preprocess.size, other.preprocess.resize) == (32, 2 * usual.resize)
    assert (other.preprocess.mean, other.preprocess.std) == ((0.25,) * 3, (0.5, 1, 2))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"labels": ["a", "b"]}, "labels names 2 labels for 3 classes"),
        ({"labels": ["a", "b", "a"]}, "labels names a label twice: a"),
        ({"labels": "gone.txt"}, r"cannot read labels from gone\.txt"),
        ({"mean": [0.5, 0.5]}, "mean and std need one value for each of the 3 channels"),
        ({"stem": "cifr"}, "unknown stem 'cifr'"),
        ({"input_size": 0}, "input_size needs at least 1 pixel per side"),
        ({"config": {"widht": "1"}}, "unknown Config field 'widht'; did you mean 'width'"),
    ],
)
def test_what_cannot_be_said_is_explained(trained: pw.Run, silent: Path, said: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        pw.load("mobilenet_v1_x0_25", weights=silent, **{"config": trained.record["model"]["config"], **said})


def test_a_run_says_how_it_is_used_itself(trained: pw.Run) -> None:
    with pytest.raises(InputError, match="stem, labels belong to a network's name with weights"):
        pw.load(trained, stem="cifar", labels=["a"], input_size=None)


@pytest.mark.slow
def test_a_vit_is_used_at_another_size(tmp_path: Path) -> None:
    small = {"d": 24, "heads": 3, "hidden": 48, "blocks": 4}
    torch.save(zoo.create("vit_ti_16", num_classes=2, **small).state_dict(), tmp_path / "w.pth")
    made = zoo.open_pretrained("vit_ti_16", tmp_path / "w.pth", config=small, input_size=64, labels=["a", "b"])
    assert "w.pth: the positions were interpolated, because 14×14 patches became 4×4" in made.notes
    assert made.model["config"]["size"] == 64
    assert made.network(torch.zeros(1, 3, 64, 64)).shape == (1, 2)
