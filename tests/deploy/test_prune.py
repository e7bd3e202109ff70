"""A pruned network has fewer channels, in blocks of 8, and answers as the whole one with zeros in their place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from pennyweight import zoo
from pennyweight.core.errors import InputError, MissingPart
from pennyweight.core.preprocess import Preprocess
from pennyweight.cost import count
from pennyweight.deploy import compare_graphs, export_graph, prune
from pennyweight.deploy.channel_groups import BLOCK

pytest.importorskip("torch_pruning")
SHAPE = (3, 16, 16)


class Mixed(nn.Module):
    """A sum of two branches, of which one has a depthwise and the other a grouped convolution."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width))
        self.deep = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
        )
        self.wide = nn.Sequential(
            nn.Conv2d(width, 64, 1), nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1, groups=4),
            nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, width, 1),
        )  # fmt: skip
        self.head = nn.Linear(width * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = F.relu(x + self.deep(x) + self.wide(x))
        return self.head(F.adaptive_avg_pool2d(x, 2).flatten(1))


def with_statistics(network: nn.Module) -> nn.Module:
    """Batch norms as after a training: those of a fresh network would hide a wrong channel."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network.eval()


@pytest.fixture
def mixed() -> nn.Module:
    torch.manual_seed(0)
    return with_statistics(Mixed())


def batches(shape: tuple[int, int, int] = SHAPE) -> list[Tensor]:
    draw = torch.Generator().manual_seed(1)
    return [torch.randn(4, *shape, generator=draw) for _ in range(2)]


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_it_saves_the_share_in_blocks_of_channels(mixed: nn.Module, share: float) -> None:
    before = {name: value.clone() for name, value in mixed.state_dict().items()}
    pruned = prune(mixed, SHAPE, share, batches())
    assert all(torch.equal(value, before[name]) for name, value in mixed.state_dict().items())
    assert pruned.macs == (count(mixed, SHAPE).macs, count(pruned.network, SHAPE).macs)
    assert pruned.params == (count(mixed, SHAPE).params, count(pruned.network, SHAPE).params)
    assert 1 - pruned.macs[1] / pruned.macs[0] >= share
    widths = {module.out_channels for module in pruned.network.modules() if isinstance(module, nn.Conv2d)}
    assert all(width % BLOCK == 0 for width in widths)
    assert pruned.channels[1] < pruned.channels[0]
    answers = pruned.network(torch.randn(3, *SHAPE))
    assert answers.shape == (3, 5)
    assert not any(parameter.requires_grad for parameter in pruned.network.parameters())


def test_channels_that_the_answer_does_not_need_go_first(mixed: Mixed) -> None:
    with torch.no_grad():
        mixed.wide[3].weight[:, 8:] = 0  # of each section of 16, the second half is not used
        mixed.wide[6].weight[:, [number for number in range(64) if number % 16 >= 8]] = 0
    x = torch.randn(3, *SHAPE)
    pruned = prune(mixed, SHAPE, 0.3, batches())
    assert pruned.network.head.in_features == mixed.head.in_features
    assert pruned.channels[1] < pruned.channels[0]
    torch.testing.assert_close(pruned.network(x), mixed(x))


def test_a_network_that_is_sure_of_its_pictures_still_tells_which_channels_it_needs(mixed: Mixed) -> None:
    """The loss has no gradient there. Removing what the logits need would change them."""
    expected = prune(mixed, SHAPE, 0.3, batches())
    with torch.no_grad():
        mixed.head.weight *= 1e4  # probabilities of 0 and 1
        mixed.head.bias *= 1e4
    sure = prune(mixed, SHAPE, 0.3, batches())
    torch.testing.assert_close(sure.network.head.weight, 1e4 * expected.network.head.weight)
    torch.testing.assert_close(sure.network.wide[0].weight, expected.network.wide[0].weight)


class Rolled(nn.Sequential):
    """A network that moves its channels, which a graph of modules does not show."""

    def forward(self, x: Tensor) -> Tensor:
        return self[3](F.adaptive_avg_pool2d(self[2](self[1](self[0](x)).roll(5, dims=1)), 1).flatten(1))


def test_a_wrong_removal_is_refused() -> None:
    torch.manual_seed(0)
    rolled = Rolled(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 16, 3), nn.Linear(16, 5)).eval()
    with pytest.raises(InputError, match="answers otherwise than with zeros in their place"):
        prune(rolled, SHAPE, 0.5, batches())


@pytest.mark.parametrize(
    ("name", "config", "reason"),
    [
        ("shufflenet_v2_x0_5", {}, "torch-pruning does not follow its channels"),
        ("vit_ti_16", {"size": 32, "blocks": 4}, "its layers normalize over channels"),
    ],
)
def test_networks_whose_channels_cannot_be_followed_are_refused(name: str, config: dict, reason: str) -> None:
    network = zoo.create(name, num_classes=5, **config).eval()
    with pytest.raises(InputError, match=f"this network cannot be pruned: {reason}.*MobileNets.* can; nothing was"):
        prune(network, (3, 32, 32), 0.3, batches((3, 32, 32)))


def test_more_than_can_go_is_refused(mixed: nn.Module) -> None:
    with pytest.raises(InputError, match=r"pruning can save 9\d\.\d% of .*, not 99\.0%: .*; ask for less"):
        prune(mixed, SHAPE, 0.99, batches())


def test_without_the_library_the_command_is_named(mixed: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(MissingPart, match=r"needs torch_pruning, .*\[prune\]"):
        prune(mixed, SHAPE, 0.3, batches())


def test_latency_is_that_of_both_graphs(exported: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, times = onnx.load(exported.bundle.path), iter([[4.0, 2.0, 8.0], [1.0, 1.0, 1.0]])

    def timed(calls: Sequence[Callable[[], Any]], **_: object) -> list[list[float]]:
        assert all(call().logits.shape == (1, 4) for call in calls)
        return [next(times) for _ in calls]

    monkeypatch.setattr("pennyweight.deploy.latency.time_in_turns", timed)
    found = compare_graphs(graph, before=graph, preprocess=exported.bundle.manifest.preprocess)
    assert (found["before_ms"], found["after_ms"], found["times_faster"], found["repeats"]) == (4.0, 1.0, 4.0, 3)
    assert found["engine"].startswith("onnxruntime ")


FAMILIES: dict[str, dict[str, Any]] = {
    "mobilenet_v1_x0_25": {},
    "mobilenet_v2_x0_35": {},
    "resnet_9_x0_25": {},
    "vgg11": {"hidden": 256},
    "vgg11_bn": {"hidden": 256},
    "efficientnet_b0": {"depth": 0.3},
    "resnet18": {},
    "se_resnext50_32x4d": {"blocks": (1, 1, 1, 1)},
    "torchvision:densenet121": {},
    "timm:regnetx_002": {},
}
"""A network of each family, and what makes it small: each layer and each weight costs time."""


def family(name: str) -> nn.Module:
    if "densenet" in name:  # its layers cannot be set by name
        return models.DenseNet(16, (2, 3, 2), 32, num_classes=5)
    return zoo.create(name, num_classes=5, **FAMILIES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_pruned_and_exported(name: str) -> None:
    torch.manual_seed(0)
    shape, preprocess = (3, 32, 32), Preprocess.for_input(32)
    network = with_statistics(family(name))
    pruned = prune(network, shape, 0.3, batches(shape))
    assert 0.3 <= 1 - pruned.macs[1] / pruned.macs[0] < 0.45
    float32_bytes = 4 * sum(parameter.numel() for parameter in network.parameters())
    assert export_graph(pruned.network, preprocess).model.ByteSize() < float32_bytes
    F.cross_entropy(pruned.network.train().requires_grad_(True)(torch.randn(4, *shape)), torch.arange(4)).backward()
