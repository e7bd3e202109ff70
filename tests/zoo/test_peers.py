"""The same logits as other libraries' networks, with their weights and running statistics."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.nn import Network
from pennyweight.nn.init import meta_device
from pennyweight.zoo import create, variant
from pennyweight.zoo.weights.layouts import Layout
from pennyweight.zoo.weights.translate import translate

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


class Pair(NamedTuple):
    """A network of ours and the peer's that it equals."""

    ours: str
    theirs: str
    config: Mapping[str, Any] = {}
    options: Mapping[str, Any] = {}
    """Of the peer's constructor."""
    size: tuple[int, int] = (97, 64)
    """Odd and even, where the network takes any: paddings differ there."""


WHOLE = (224, 224)
TORCHVISION = [
    *(
        Pair(name, "mobilenet_v2", options={"width_mult": variant(name).config.width})
        for name in (
            "mobilenet_v2_x0_35",
            "mobilenet_v2_x0_5",
            "mobilenet_v2_x0_75",
            "mobilenet_v2",
            "mobilenet_v2_x1_4",
        )
    ),
    *(Pair(f"shufflenet_v2_{width}", f"shufflenet_v2_{width}") for width in ("x0_5", "x1_0", "x1_5", "x2_0")),
    *(Pair(f"efficientnet_b{number}", f"efficientnet_b{number}") for number in range(8)),
    *(Pair(name, name) for name in ("resnet18", "resnet34", "resnet50", "resnet101")),
    *(Pair(name, name) for name in ("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d")),
    *(
        Pair(f"vgg{depth}{norm}", f"vgg{depth}{norm}", options={"init_weights": False})
        for depth in (11, 13, 16, 19)
        for norm in ("", "_bn")
    ),
    *(Pair(name, name, size=WHOLE) for name in ("vit_b_16", "vit_b_32")),
    # The widths of L; all of its 24 blocks would need gigabytes.
    Pair(
        "vit_l_16",
        "VisionTransformer",
        config={"blocks": 4},
        options={
            "image_size": 224,
            "patch_size": 16,
            "num_layers": 4,
            "num_heads": 16,
            "hidden_dim": 1024,
            "mlp_dim": 4096,
        },
        size=WHOLE,
    ),
]
TIMM = [
    Pair("mobilenet_v1", "mobilenetv1_100", config={"activation": "relu6"}),
    Pair("mobilenet_v1_x1_25", "mobilenetv1_125", config={"activation": "relu6"}),
    Pair("mobilenet_v2_x0_35", "mobilenetv2_035"),
    Pair("mobilenet_v2_x0_5", "mobilenetv2_050"),
    Pair("mobilenet_v2_x0_75", "mobilenetv2_075"),
    Pair("mobilenet_v2", "mobilenetv2_100"),
    Pair("mobilenet_v2_x1_4", "mobilenetv2_140"),
    Pair("efficientnet_b0", "efficientnet_b0"),
    Pair("efficientnet_b0", "tf_efficientnet_b0", config={"padding": "tf_same", "bn_eps": 1e-3}),
    Pair("resnet18", "resnet18"),
    Pair("resnet50", "resnet50"),
    Pair("resnext50_32x4d", "resnext50_32x4d"),
    Pair("se_resnet50", "seresnet50"),
    Pair("se_resnext50_32x4d", "seresnext50_32x4d"),
    Pair("vgg11", "vgg11", size=WHOLE),
    Pair("vgg11_bn", "vgg11_bn", size=WHOLE),
    Pair("vit_ti_16", "vit_tiny_patch16_224", size=WHOLE),
    Pair("vit_s_16", "vit_small_patch16_224", size=WHOLE),
    Pair("vit_b_16", "vit_base_patch16_224", size=WHOLE),
]
PAIRS: list[tuple[Layout, Pair]] = [
    *(("torchvision", pair) for pair in TORCHVISION),
    *(("timm", pair) for pair in TIMM),
]
each_pair = pytest.mark.parametrize(
    ("layout", "pair"), PAIRS, ids=[f"{layout}-{pair.theirs}-{pair.ours}" for layout, pair in PAIRS]
)


def peer(layout: Layout, pair: Pair) -> nn.Module:
    if layout == "timm":
        made: nn.Module = importlib.import_module("timm").create_model(pair.theirs, **pair.options)
    else:
        made = getattr(importlib.import_module("torchvision.models"), pair.theirs)(**pair.options)
    return made


def ours(pair: Pair) -> Network:
    """Without memory of its own: the weights come from the peer."""
    with meta_device():
        return create(pair.ours, **pair.config)


def pictures(size: tuple[int, int]) -> Tensor:
    """Noise of unlike strength and brightness, so that averages over a picture differ."""
    strength = torch.tensor([0.3, 1.0, 3.0]).view(3, 1, 1, 1)
    return strength * (torch.randn(3, 3, *size) + torch.randn(3, 3, 1, 1))


def scramble(network: nn.Module, x: Tensor) -> None:
    """Every parameter and running statistic away from where initialisation leaves it, and the picture still felt."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1 or parameter.std() == 0:
                parameter += 0.3 * torch.randn_like(parameter)
        for norm in norms:
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            norm.momentum = 1.0
        # A signal lives through many layers either by norms with its own statistics or by He's initialisation.
        if norms:
            network.train()(x)
        else:
            for module in network.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight)
        for norm in norms:
            norm.running_mean += 0.1 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
            norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.8, 1.25)


@each_pair
def test_logits_are_the_peers(layout: Layout, pair: Pair) -> None:
    torch.manual_seed(0)
    x = pictures(pair.size)
    theirs = peer(layout, pair)
    scramble(theirs, x)
    theirs.eval().double()
    with torch.inference_mode():
        expected = theirs(x.double())
    assert expected.std(0).max() > 0.01 * expected.abs().max()  # the logits depend on the picture
    network = ours(pair).eval()
    network.load_state_dict(translate(network, theirs.state_dict(), layout), assign=True)
    del theirs
    with torch.inference_mode():
        found = network(x.double())
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-10


@each_pair
def test_the_layout_is_recognised(layout: Layout, pair: Pair) -> None:
    """Also in another order and without the counts of batches."""
    network = ours(pair)
    with meta_device():
        state = peer(layout, pair).state_dict()
    fewer = {key: state[key] for key in sorted(state, reverse=True) if "num_batches" not in key}
    found = translate(network, fewer)
    own = network.state_dict()
    assert {key: tensor.shape for key, tensor in found.items()} == {key: tensor.shape for key, tensor in own.items()}
    assert list(found) == list(own)


def test_a_difference_would_be_seen() -> None:
    """One wrong activation, padding or epsilon is far above the bound."""
    torch.manual_seed(0)
    pair = Pair("mobilenet_v2_x0_35", "mobilenet_v2", options={"width_mult": 0.35})
    x = pictures(pair.size)
    theirs = peer("torchvision", pair)
    scramble(theirs, x)
    with torch.inference_mode():
        expected = theirs.eval().double()(x.double())
        for config in ({"activation": "relu"}, {"padding": "tf_same"}, {"bn_eps": 1e-3}):
            network = ours(pair._replace(config=config)).eval()
            network.load_state_dict(translate(network, theirs.state_dict()), assign=True)
            assert (network(x.double()) - expected).abs().max() > 1e-5 * expected.abs().max()


@pytest.mark.parametrize("layout", ["auto", "torchvision", "timm"])
@pytest.mark.parametrize("name", ["resnet34", "vgg11", "mobilenet_v2"])
def test_another_networks_weights_are_refused(name: str, layout: Layout) -> None:
    with meta_device():
        state = peer("torchvision", Pair("resnet18", "resnet18")).state_dict()
    network = ours(Pair(name, name))
    with pytest.raises(InputError, match=rf"of {len(network.state_dict())} keys are missing .* of 122 are odd, first "):
        translate(network, state, layout)
