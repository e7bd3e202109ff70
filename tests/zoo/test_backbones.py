"""Backbones in torchvision's detectors and segmenters, and in a pruning library."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from pennyweight.nn import Network
from pennyweight.nn.attention import EncoderBlock
from pennyweight.zoo import create
from pennyweight.zoo.shufflenet_v2 import Unit

DILATABLE = ("mobilenet_v1_x0_25", "mobilenet_v2_x0_35", "efficientnet_b0", "resnet18", "se_resnext50_32x4d")
DETECTING = (*DILATABLE, "shufflenet_v1_g3_x0_25", "shufflenet_v2_x0_5", "resnet_9_x0_25", "vgg11")
pytestmark = pytest.mark.filterwarnings("ignore:NOTE. The nodes:UserWarning")


def slow(names: tuple[str, ...]) -> list[object]:
    """The first by default, all others in the slow set."""
    return [pytest.param(name, marks=pytest.mark.slow if number else ()) for number, name in enumerate(names)]


@pytest.mark.parametrize("name", slow(DETECTING))
def test_a_detector_learns_with_it(name: str) -> None:
    from torchvision.models.detection import RetinaNet
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.ops import FeaturePyramidNetwork

    network = create(name, num_classes=0)
    last = len(network.trunk) - 1
    body = create_feature_extractor(network, {f"trunk.{stage}": str(stage) for stage in (last - 1, last)})
    backbone = nn.Sequential(body, FeaturePyramidNetwork(network.feature_channels[-2:], 16))
    backbone.out_channels = 16
    anchors = AnchorGenerator(((16,), (32,)), ((1.0,),) * 2)
    detector = RetinaNet(backbone, num_classes=2, anchor_generator=anchors, min_size=64, max_size=64)
    truth = [{"boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]), "labels": torch.tensor([1])}]
    losses = detector.train()([torch.rand(3, 64, 64)], truth)
    sum(losses.values()).backward()
    assert next(network.stem.parameters()).grad.isfinite().all()
    assert {"boxes", "scores", "labels"} == set(detector.eval()([torch.rand(3, 64, 64)])[0])


@pytest.mark.parametrize("name", slow(DILATABLE))
@pytest.mark.parametrize("output_stride", [8, pytest.param(16, marks=pytest.mark.slow)])
def test_a_segmenter_learns_with_it(name: str, output_stride: int) -> None:
    from torchvision.models.segmentation import FCN
    from torchvision.models.segmentation.fcn import FCNHead

    network = create(name, num_classes=0, output_stride=output_stride)
    last = len(network.trunk) - 1
    body = create_feature_extractor(network, {f"trunk.{last}": "out"})
    found = FCN(body, FCNHead(network.feature_channels[-1], 3))(torch.rand(2, 3, 64, 48))["out"]
    assert found.shape == (2, 3, 64, 48)
    found.square().sum().backward()
    assert next(network.stem.parameters()).grad.isfinite().all()


def prunes_faithfully(part: nn.Module, x: torch.Tensor, kept: nn.Module) -> float:
    """Share of parameters that remain when half of the channels go; without them the answer must be what it is if
    they are zero."""
    tp = pytest.importorskip("torch_pruning")
    importance = tp.importance.MagnitudeImportance(p=2)
    pruner = tp.pruner.MagnitudePruner(part, x, importance=importance, pruning_ratio=0.5, ignored_layers=[kept])
    groups = list(pruner.step(interactive=True))
    before = sum(p.numel() for p in part.parameters())
    with torch.no_grad():
        for group in groups:
            for dependency, channels in group:
                layer = dependency.target.module
                norm = isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d))
                if norm or "out" in dependency.handler.__name__:
                    for parameter in layer.parameters(recurse=False):
                        parameter[list(channels)] = 0
        expected = part(x)
        for group in groups:
            group.prune()
        torch.testing.assert_close(part(x), expected, rtol=1e-3, atol=1e-5)
    part.train()
    part(torch.cat([x, x])).square().sum().backward()
    return sum(p.numel() for p in part.parameters()) / before


def with_statistics(model: Network) -> Network:
    """Untouched norms would hide a wrong channel."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.eval()


@pytest.mark.peers
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *((name, (3, 64, 64)) for name in DILATABLE),
        ("resnet_9_x0_25", (3, 32, 32)),
        ("hybrid_sn_bn", (30, 25, 25)),
        ("window_cnn", (30, 25, 25)),
        ("spectral_mlp", (200, 1, 1)),
    ],
)
def test_torch_pruning_removes_the_channels_that_it_says(name: str, shape: tuple[int, int, int]) -> None:
    model = with_statistics(create(name, num_classes=3))
    assert prunes_faithfully(model, torch.randn(1, *shape), model.head.linear) < 0.4
    model.reset_head(2)  # it takes the features that are left
    assert model(torch.randn(2, *shape)).shape == (2, 2)


def branches(model: nn.Module) -> Iterator[tuple[nn.Module, torch.Tensor, nn.Module]]:
    """Parts of ShuffleNetV2 and ViT whose inner channels nothing else sees, an input of each and its last layer."""
    for block in model.modules():
        if isinstance(block, Unit):
            yield block.right, torch.randn(1, block.right[0][0].in_channels, 8, 8), block.right[2][0]
        if isinstance(block, EncoderBlock):
            yield block.feed, torch.randn(1, 4, block.feed[0].in_features), block.feed[-1]


@pytest.mark.peers
@pytest.mark.parametrize(("name", "config"), [("shufflenet_v2_x0_5", {}), ("vit_ti_16", {"size": 32, "blocks": 4})])
def test_shuffles_and_transformers_are_pruned_branch_by_branch(name: str, config: dict) -> None:
    model = with_statistics(create(name, num_classes=3, **config))
    shares = [prunes_faithfully(*branch) for branch in list(branches(model))]
    assert len(shares) >= 4
    assert max(shares) < 0.6
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 3)
