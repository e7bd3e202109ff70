"""The same logits as other libraries' networks, with their weights and running statistics."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn

from pennyweight.zoo import FAMILIES, create, variant

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

TORCHVISION_V2 = (
    (r"^features\.0\.(\d)\.", r"stem.\1."),
    (r"^features\.18\.(\d)\.", r"trunk.17.\1."),
    (r"^features\.(\d+)\.conv\.(\d)\.(\d)\.", lambda m: f"trunk.{int(m[1]) - 1}.layers.{m[2]}.{m[3]}."),
    # The projection and its norm stand beside the other layers there: 1 and 2 without an expansion, 2 and 3 with.
    (r"^features\.1\.conv\.([12])\.", lambda m: f"trunk.0.layers.1.{int(m[1]) - 1}."),
    (r"^features\.(\d+)\.conv\.([23])\.", lambda m: f"trunk.{int(m[1]) - 1}.layers.2.{int(m[2]) - 2}."),
    (r"^classifier\.1\.", "head.linear."),
)
BLOCKS_BEFORE = (0, 1, 3, 5, 11)
TIMM_V1 = (
    (r"^conv_stem\.", "stem.0."),
    (r"^bn1\.", "stem.1."),
    (r"^blocks\.(\d)\.(\d)\.conv_dw\.", lambda m: f"trunk.{BLOCKS_BEFORE[int(m[1])] + int(m[2])}.0.0."),
    (r"^blocks\.(\d)\.(\d)\.bn1\.", lambda m: f"trunk.{BLOCKS_BEFORE[int(m[1])] + int(m[2])}.0.1."),
    (r"^blocks\.(\d)\.(\d)\.conv_pw\.", lambda m: f"trunk.{BLOCKS_BEFORE[int(m[1])] + int(m[2])}.1.0."),
    (r"^blocks\.(\d)\.(\d)\.bn2\.", lambda m: f"trunk.{BLOCKS_BEFORE[int(m[1])] + int(m[2])}.1.1."),
    (r"^classifier\.", "head.linear."),
)


def renamed(key: str, rules: Iterable[tuple]) -> str:
    for pattern, replacement in rules:
        if re.search(pattern, key):
            return re.sub(pattern, replacement, key)
    raise AssertionError(f"no rule for {key}")


def pictures(side: int = 96) -> Tensor:
    """Noise of unlike strength and brightness, so that averages over a picture differ; sides of both parities."""
    strength = torch.tensor([0.3, 1.0, 3.0]).view(3, 1, 1, 1)
    return strength * (torch.randn(3, 3, side + 1, side) + torch.randn(3, 3, 1, 1))


def scrambled(network: nn.Module) -> nn.Module:
    """Every parameter and running statistic away from where initialisation leaves it, and the picture still felt."""
    torch.manual_seed(0)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(pictures())  # without its own statistics a signal dies within a few layers
        for norm in norms:
            norm.running_mean += 0.1 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
            norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.8, 1.25)
    return network.eval()


def difference(ours: nn.Module, theirs: nn.Module, rules: Iterable[tuple], x: Tensor) -> float:
    """Largest difference of the logits with the same weights, against their spread."""
    ours.load_state_dict({renamed(key, rules): value for key, value in theirs.state_dict().items()})
    with torch.inference_mode():
        expected, found = theirs.double()(x.double()), ours.eval().double()(x.double())
    assert expected.std(0).max() > 0.01 * expected.abs().max()  # the logits depend on the picture
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("name", FAMILIES[1].variants)
def test_mobilenet_v2_is_torchvisions(name: str) -> None:
    from torchvision.models import mobilenet_v2

    theirs = scrambled(mobilenet_v2(width_mult=variant(name).config.width))
    assert difference(create(name), theirs, TORCHVISION_V2, pictures()) < 1e-10


def test_the_difference_would_be_seen() -> None:
    from torchvision.models import mobilenet_v2

    theirs = scrambled(mobilenet_v2())
    ours = create("mobilenet_v2", activation="relu")
    assert difference(ours, theirs, TORCHVISION_V2, pictures()) > 1e-3


@pytest.mark.parametrize(("width", "peer"), [(1.0, "mobilenetv1_100"), (1.25, "mobilenetv1_125")])
def test_mobilenet_v1_is_timms(width: float, peer: str) -> None:
    import timm

    theirs = scrambled(timm.create_model(peer))
    kinds = {type(module) for module in theirs.modules() if isinstance(module, nn.ReLU | nn.ReLU6)}
    assert kinds == {nn.ReLU6}
    ours = create("mobilenet_v1", width=width, activation="relu6")
    assert difference(ours, theirs, TIMM_V1, pictures()) < 1e-10


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
@pytest.mark.parametrize("name", [name for family in FAMILIES for name in family.variants])
def test_multiply_adds_are_fvcores(name: str, stem: str) -> None:
    from fvcore.nn import FlopCountAnalysis

    from pennyweight.cost import count

    model = create(name, stem=stem).eval()
    peer = FlopCountAnalysis(model, torch.zeros(1, 3, 64, 64)).unsupported_ops_warnings(False)
    theirs = peer.uncalled_modules_warnings(False).by_operator()
    assert count(model, (3, 64, 64)).macs == theirs["conv"] + theirs["linear"]


@pytest.mark.parametrize("name", [name for family in FAMILIES for name in family.variants])
def test_layers_are_torchinfos(name: str) -> None:
    """torchinfo adds the parameters of norms and biases as if they were multiply-adds: compared convolution by one."""
    from torchinfo import summary

    from pennyweight.cost import count

    model = create(name).eval()
    peer = summary(model, (1, 3, 64, 64), verbose=0, device="cpu", col_names=())
    theirs = [layer.macs for layer in peer.summary_list if layer.class_name == "Conv2d"]
    cost = count(model, (3, 64, 64))
    assert [layer.macs for layer in cost.layers if layer.type == "Conv2d"] == theirs
    assert cost.params == peer.total_params
