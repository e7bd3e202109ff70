"""Networks of 0 classes take the weights of classifiers, in every layout, and classifiers take theirs."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from pennyweight.core.errors import InputError
from pennyweight.zoo import create, open_pretrained
from pennyweight.zoo.weights.load import AdaptedWeights, load_weights

SMALL = {"torchvision:resnet18": 512, "torchvision:squeezenet1_1": 512, "torchvision:mobilenet_v3_small": 1024}
TIMM = {"timm:mobilenetv3_small_050": 1024, "timm:resnet10t": 512}


@pytest.fixture(autouse=True)
def loud() -> None:
    warnings.simplefilter("error")


@pytest.mark.parametrize(("name", "features"), [*SMALL.items(), *TIMM.items()])
def test_a_network_of_another_library_returns_features_and_takes_whole_weights(name: str, features: int) -> None:
    if name.startswith("timm"):
        pytest.importorskip("timm")
    whole = create(name, num_classes=5)
    model = load_weights(create(name, num_classes=0), whole.state_dict())
    with torch.inference_mode():
        assert model.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, features)
    assert sum(p.numel() for p in model.parameters()) < sum(p.numel() for p in whole.parameters())
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[key])


@pytest.mark.parametrize("ours", ["resnet18", "mobilenet_v2"])
def test_weights_of_torchvisions_classifier_fit_ours_without_classes(ours: str) -> None:
    theirs = create(f"torchvision:{ours}", num_classes=7).eval()
    model = load_weights(create(ours, num_classes=0), theirs.state_dict()).eval()
    last = [module for module in theirs.modules() if isinstance(module, nn.Linear)][-1]
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(last(model(x)), theirs(x), rtol=1e-3, atol=1e-4)


def test_weights_without_a_head_leave_a_classifiers_head_new(tmp_path: Path) -> None:
    backbone = create("mobilenet_v1_x0_25", num_classes=0)
    torch.save(backbone.state_dict(), tmp_path / "backbone.pth")
    with pytest.warns(AdaptedWeights, match="the head is new, because there is none"):
        model = create("mobilenet_v1_x0_25", num_classes=3, weights=tmp_path / "backbone.pth")
    assert torch.equal(model.stem[0].weight, backbone.stem[0].weight)
    again = create("mobilenet_v1_x0_25", num_classes=0, weights=tmp_path / "backbone.pth")
    assert torch.equal(again.stem[0].weight, backbone.stem[0].weight)


def test_weights_without_a_head_are_no_classifier(tmp_path: Path) -> None:
    """What predicts, exports and scores opens a network in this way; `fit` takes its classes from the source."""
    torch.save(create("mobilenet_v1_x0_25", num_classes=0).state_dict(), tmp_path / "backbone.pth")
    with pytest.raises(InputError, match=r"backbone\.pth has no head, so it names nothing; `fit --weights` trains one"):
        open_pretrained("mobilenet_v1_x0_25", tmp_path / "backbone.pth")


def test_other_tensors_than_the_head_are_still_odd() -> None:
    state = create("mobilenet_v1_x0_25", num_classes=3).state_dict()
    with pytest.raises(InputError, match="1 of 165 are odd"):
        load_weights(create("mobilenet_v1_x0_25", num_classes=0), {**state, "head.other.weight": torch.zeros(3)})
