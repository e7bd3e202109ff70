"""The same counts as other libraries' counters, where those count."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pennyweight.cost import count
from pennyweight.nn import Network
from pennyweight.zoo import FAMILIES, create, names, variant
from pennyweight.zoo.vit import ViT

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

# Larger ones repeat blocks of smaller ones, and HybridSN takes bands, not colours.
NAMES = [name for name in names() if variant(name).params < 30e6 and variant(name).input_shape[0] == 3]
FIRST = [
    next(name for name in family.variants if name in NAMES) for family in FAMILIES if {*family.variants} & {*NAMES}
]
"""The first network of each family: the stem for small pictures is the same in all of them."""


def made(name: str, stem: str) -> tuple[Network, tuple[int, int, int]]:
    network = create(name, stem=stem).eval()
    side = network.size if isinstance(network, ViT) else 64
    return network, (3, side, side)


@pytest.mark.parametrize(
    ("name", "stem"), [*((name, "imagenet") for name in NAMES), *((name, "cifar") for name in FIRST)]
)
def test_multiply_adds_are_fvcores(name: str, stem: str) -> None:
    from fvcore.nn import FlopCountAnalysis

    network, shape = made(name, stem)
    peer = FlopCountAnalysis(network, torch.zeros(1, *shape)).unsupported_ops_warnings(False)
    theirs = peer.uncalled_modules_warnings(False).by_operator()
    attention = 0
    if isinstance(network, ViT):  # its two products, which fvcore does not count
        tokens, d = network.stem.positions.shape[1:]
        attention = 2 * tokens**2 * d * sum(len(list(stage.children())) for stage in network.trunk)
    assert count(network, shape).macs == theirs["conv"] + theirs["linear"] + attention


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("vit")])
def test_layers_are_torchinfos(name: str) -> None:
    """torchinfo adds the parameters of norms and biases as if they were multiply-adds: compared convolution by one."""
    from torchinfo import summary

    network, shape = made(name, "imagenet")
    peer = summary(network, (1, *shape), verbose=0, device="cpu", col_names=())
    theirs = [layer.macs for layer in peer.summary_list if layer.class_name.startswith("Conv2d") and unbiased(layer)]
    cost = count(network, shape)
    plain = {name for name, module in network.named_modules() if getattr(module, "bias", None) is None}
    ours = [layer.macs for layer in cost.layers if layer.type.startswith("Conv2d") and layer.name in plain]
    assert sorted(ours) == sorted(theirs)  # theirs come as they were made, ours as they run
    assert cost.params == peer.total_params


def unbiased(layer: Any) -> bool:
    return layer.module.bias is None


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["mobilenet_v2", "resnext50_32x4d", "shufflenet_v1_g3_x1_0", "vit_ti_16"])
def test_products_are_those_of_torchs_own_counter(name: str, training: bool) -> None:
    """It counts two operations for each multiply-accumulate, of a real pass; fused attention not in every version."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    network = create(name).train(training)
    shape = (3, 224, 224) if name.startswith("vit") else (3, 64, 64)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        network(torch.rand(2, *shape))
    assert 2 * count(network, shape, batch=2).macs == counter.get_total_flops()


def published() -> list[str]:
    """torchvision's classifiers without attention, which it does not count, or heads for training alone."""
    from torchvision import models

    return [
        name
        for name in models.list_models(module=models)
        if not name.startswith(("maxvit", "swin", "vit", "inception", "googlenet"))
    ]


@pytest.mark.parametrize("name", published())
def test_torchvisions_networks_cost_what_it_publishes(name: str) -> None:
    from torchvision import models

    from pennyweight.verbs.weigh import weigh

    said = models.get_model_weights(name).DEFAULT
    crop = said.transforms().crop_size[0]
    cost = weigh(f"torchvision:{name}", (3, crop, crop))
    assert cost.uncounted == {}
    assert cost.params == said.meta["num_params"]
    assert cost.macs == pytest.approx(said.meta["_ops"] * 1e9, rel=0.01, abs=1e6)
