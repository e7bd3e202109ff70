"""MobileNetV2 against the figures of its paper."""

import pytest
import torch
from torch import nn

from pennyweight.cost import count
from pennyweight.nn import Style
from pennyweight.nn.dilation import Step
from pennyweight.zoo import create, names
from pennyweight.zoo.mobilenet_v2 import InvertedResidual


@pytest.mark.parametrize(
    ("name", "params", "macs"), [("mobilenet_v2", 3_504_872, 300_774_272), ("mobilenet_v2_x1_4", 6_108_776, None)]
)
def test_exact_counts(name: str, params: int, macs: int | None) -> None:
    cost = count(create(name), (3, 224, 224))
    assert cost.params == params
    assert macs in (None, cost.macs)


def test_the_table_of_the_paper() -> None:
    """Table 2: (channels in, hidden, out, stride) of each block."""
    blocks = [module for module in create("mobilenet_v2").modules() if isinstance(module, InvertedResidual)]
    found = []
    for block in blocks:
        convolutions = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
        depthwise = next(c for c in convolutions if c.kernel_size == (3, 3))
        assert depthwise.groups == depthwise.in_channels == depthwise.out_channels
        found.append(
            (convolutions[0].in_channels, depthwise.in_channels, convolutions[-1].out_channels, depthwise.stride[0])
        )
    expected, c_in = [], 32
    table = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for t, c, n, s in table:
        for number in range(n):
            expected.append((c_in, c_in * t, c, s if number == 0 else 1))
            c_in = c
    assert found == expected


@pytest.mark.parametrize(("stem", "divides_by"), [("imagenet", 32), ("cifar", 8)])
def test_the_feature_map_is_as_small_as_documented(stem: str, divides_by: int) -> None:
    model = create("mobilenet_v2_x0_35", stem=stem).eval()
    features = model.trunk(model.stem(torch.zeros(1, 3, 64, 96)))
    assert features.shape[1:] == (112, 64 // divides_by, 96 // divides_by)


@pytest.mark.parametrize("name", names("mobilenet_v2*"))
def test_no_activation_follows_a_projection(name: str) -> None:
    for block in create(name).modules():
        if isinstance(block, InvertedResidual):
            kinds = [type(module) for module in block.modules() if not list(module.children())]
            assert kinds[-2:] == [nn.Conv2d, nn.BatchNorm2d]
            assert kinds.count(nn.ReLU6) == kinds.count(nn.Conv2d) - 1


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("c_out", [8, 16])
@pytest.mark.parametrize("expansion", [1, 6])
def test_the_shortcut_is_there_where_shapes_agree(stride: int, c_out: int, expansion: int) -> None:
    step = Step(stride, 1, 1, same_size=stride == 1)
    block = InvertedResidual(8, c_out, step=step, expansion=expansion, style=Style(activation="relu6")).eval()
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(2, 8, 6, 6)
    out = block(x)
    assert out.shape == (2, c_out, 6 // stride, 6 // stride)
    assert torch.equal(out, x if (stride, c_out) == (1, 8) else torch.zeros_like(out))


@pytest.mark.parametrize(("width", "last"), [(0.35, 1280), (1.0, 1280), (1.4, 1792)])
def test_the_last_layer_is_not_shrunk(width: float, last: int) -> None:
    assert create("mobilenet_v2", width=width).head.linear.in_features == last
