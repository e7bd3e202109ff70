"""Weights that were fine-tuned for int8 answer as the float network does, where rounding the float weights does not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from pennyweight.core.images import Pixels
from pennyweight.core.preprocess import Preprocess
from pennyweight.deploy import BundleGraph, Int8Pictures, to_tuned_int8
from pennyweight.deploy.export import export_graph
from pennyweight.deploy.int8 import Int8Error, outputs, to_int8
from pennyweight.deploy.tune import tune

SIDE = 16
PREPROCESS = Preprocess.for_input(SIDE)


@pytest.fixture(scope="module")
def shades() -> Pixels:
    """Noise of many brightnesses."""
    draw = np.random.default_rng(0)
    levels = draw.integers(20, 236, (96, 1, 1, 1))
    return (levels + draw.integers(-20, 20, (96, SIDE, SIDE, 3))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def hard(shades: Pixels) -> nn.Module:
    """A network whose first layer has channels of very different sizes, all of which the next layer needs."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1, groups=16),
            nn.Conv2d(16, 16, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(16, 4),
        )
        with torch.no_grad():
            sizes = torch.logspace(-1, 1, 16)
            network[3].weight *= sizes[:, None, None, None]
            network[4].weight /= sizes[None, :, None, None]
            # Logits of mean 0 and deviation 2 over the pictures: the brightness decides the answer.
            logits = BundleGraph(network.eval(), PREPROCESS)(torch.from_numpy(shades))[1]
            mean, deviation = logits.mean(0), logits.std(0) / 2
            network[8].weight /= deviation[:, None]
            network[8].bias.copy_((network[8].bias - mean) / deviation)
    return network.eval()


@pytest.fixture(scope="module")
def graph(hard: nn.Module) -> onnx.ModelProto:
    return export_graph(hard, PREPROCESS).model


def pictures_of(shades: Pixels, targets: NDArray[np.int64] | None = None) -> Int8Pictures:
    return Int8Pictures(
        calibration=shades[:32],
        calibrated_on="half",
        tuning=shades[:64],
        gate=shades[64:],
        targets=targets,
        gated_on="rest",
    )


def test_fine_tuned_weights_answer_as_the_float_network_more_often(
    hard: nn.Module, graph: onnx.ModelProto, shades: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pennyweight.deploy.tune.LEARNING_RATE", 1e-3)
    before = {name: value.clone() for name, value in hard.state_dict().items()}
    pictures = pictures_of(shades)
    expected = outputs(graph, pictures.gate)
    tuned = tune(hard, PREPROCESS, shades[:64], passes=20)
    assert all(torch.equal(value, before[name]) for name, value in hard.state_dict().items())
    assert tuned.state_dict().keys() == before.keys()
    assert not any(parameter.requires_grad for parameter in tuned.parameters())
    assert not any(module.training for module in tuned.modules())
    same = [
        to_int8(float_graph, pictures, max_drop=0.99, expected=expected)[1]["gate"]["same_top1"]
        for float_graph in (graph, export_graph(tuned, PREPROCESS).model)
    ]
    assert same[1] > same[0]


def test_the_better_form_is_taken_and_said(hard: nn.Module, graph: onnx.ModelProto, shades: Pixels) -> None:
    pictures, notes = pictures_of(shades), list[str]()
    options = {"network": hard, "preprocess": PREPROCESS, "max_drop": 0.99, "note": notes.append}
    _, record = to_tuned_int8(graph, pictures=pictures, **options)
    plain = to_int8(graph, pictures, max_drop=0.99)[1]
    assert record["gate"]["int8_accuracy"] >= plain["gate"]["int8_accuracy"]
    if "tuning" in record:
        assert record["tuning"] | {"passes": 0} == {
            "pictures": 64,
            "of": "half",
            "passes": 0,
            "int8_accuracy_before": plain["gate"]["int8_accuracy"],
        }
    assert any("fine-tun" in note for note in notes)


def test_weights_that_lose_nothing_stay(hard: nn.Module, graph: onnx.ModelProto, shades: Pixels) -> None:
    notes: list[str] = []
    targets = outputs(to_int8(graph, pictures_of(shades), max_drop=0.99)[0], shades[64:]).logits.argmax(1)
    _, record = to_tuned_int8(
        graph, network=hard, preprocess=PREPROCESS, pictures=pictures_of(shades, targets), note=notes.append
    )
    assert "tuning" not in record
    assert notes == ["int8 without fine-tuning loses no accuracy, so the weights stay as they are"]


def test_where_both_miss_the_limit_it_is_refused(
    hard: nn.Module, graph: onnx.ModelProto, shades: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pennyweight.deploy.int8.MOST_IN_FLOAT", 0.0)
    monkeypatch.setattr("pennyweight.deploy.int8.Gate.drop", 0.3)
    with pytest.raises(Int8Error):
        to_tuned_int8(graph, network=hard, preprocess=PREPROCESS, pictures=pictures_of(shades))
