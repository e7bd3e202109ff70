"""MobileNetV1 against the figures of its paper."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from pennyweight.cost import count
from pennyweight.nn import Style
from pennyweight.nn.dilation import IN_PLACE
from pennyweight.nn.init import meta_device
from pennyweight.zoo import create
from pennyweight.zoo.mobilenet_v1 import DepthwiseSeparable


@pytest.fixture(autouse=True)
def weightless() -> Iterator[None]:
    """Networks are made without memory: shapes and counts need none."""
    with meta_device():
        yield


@pytest.mark.parametrize(
    ("name", "side", "millions"),
    [
        ("mobilenet_v1", 224, 569),
        ("mobilenet_v1", 192, 418),
        ("mobilenet_v1", 160, 290),
        ("mobilenet_v1", 128, 186),
        ("mobilenet_v1_x0_75", 224, 325),
        ("mobilenet_v1_x0_5", 224, 149),
        ("mobilenet_v1_x0_25", 224, 41),
    ],
)
def test_multiply_adds_are_the_papers(name: str, side: int, millions: int) -> None:
    """Tables 6 and 7, where 290.7 is printed as 290."""
    assert count(create(name), (3, side, side)).macs / 1e6 == pytest.approx(millions, abs=0.7)


def test_exact_counts() -> None:
    cost = count(create("mobilenet_v1"), (3, 224, 224))
    assert (cost.params, cost.macs) == (4_231_976, 568_740_352)


def test_the_small_image_form_with_ten_classes() -> None:
    assert count(create("mobilenet_v1", num_classes=10, stem="cifar"), (3, 32, 32)).params == 3_217_226


def test_the_table_of_the_paper() -> None:
    """Table 1, row by row: (kernel, groups or 1, channels out, stride)."""
    convolutions = [module for module in create("mobilenet_v1").modules() if isinstance(module, nn.Conv2d)]
    rows = [(c.kernel_size[0], c.groups, c.out_channels, c.stride[0]) for c in convolutions]
    expected = [(3, 1, 32, 2)]
    c_in = 32
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for c_out, stride in plan:
        expected += [(3, c_in, c_in, stride), (1, 1, c_out, 1)]
        c_in = c_out
    assert rows == expected


@pytest.mark.parametrize(("stem", "divides_by"), [("imagenet", 32), ("cifar", 16)])
def test_the_feature_map_is_as_small_as_documented(stem: str, divides_by: int) -> None:
    model = create("mobilenet_v1_x0_25", stem=stem).eval()
    features = model.trunk(model.stem(torch.zeros(1, 3, 64, 96)))
    assert features.shape[2:] == (64 // divides_by, 96 // divides_by)


@pytest.mark.parametrize("act", ["relu", "relu6"])
def test_the_activation_is_a_choice(act: str) -> None:
    kinds = {"relu": nn.ReLU, "relu6": nn.ReLU6}
    found = [module for module in create("mobilenet_v1", activation=act).modules() if type(module) in kinds.values()]
    assert len(found) == 27  # after each of 1 + 2·13 convolutions
    assert {type(module) for module in found} == {kinds[act]}


def test_there_is_no_shortcut() -> None:
    """A block whose weights are nothing answers nothing."""
    with torch.device("cpu"):
        block = DepthwiseSeparable(32, 32, step=IN_PLACE, style=Style()).eval()
        for parameter in block.parameters():
            nn.init.zeros_(parameter)
        assert not block(torch.randn(1, 32, 4, 4)).any()
