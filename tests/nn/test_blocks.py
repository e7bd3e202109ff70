"""The blocks that families share."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pennyweight.core.errors import InputError
from pennyweight.nn import (
    ClassifierHead,
    ConvNormAct,
    FromPixels,
    PaddedStyle,
    SqueezeExcite,
    Style,
    divisible,
    initialize,
)

PLAIN = Style()


@pytest.mark.parametrize("padding", ["same", "tf_same"])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [8, 9])
def test_convolutions_keep_or_halve_the_side(padding: str, kernel: int, stride: int, side: int) -> None:
    out = ConvNormAct(3, 6, kernel, stride=stride, style=PaddedStyle(padding=padding))(
        torch.zeros(2, 3, side, side + 1)
    )
    assert out.shape == (2, 6, -(-side // stride), -(-(side + 1) // stride))


def test_tensorflows_padding_puts_the_odd_row_last() -> None:
    convolution = PaddedStyle(padding="tf_same").conv(1, 1, 3, stride=2)
    nn.init.ones_(convolution.weight)
    x = torch.arange(16.0).view(1, 1, 4, 4)
    expected = F.conv2d(F.pad(x, (0, 1, 0, 1)), convolution.weight, stride=2)
    assert torch.equal(convolution(x), expected)
    assert not torch.equal(convolution(x), F.conv2d(x, convolution.weight, stride=2, padding=1))


@pytest.mark.parametrize(
    ("act", "low", "high"),
    [
        ("relu", 0.0, 9.0),
        ("relu6", 0.0, 6.0),
        ("leaky_relu_0.1", -0.9, 9.0),
        ("hardswish", 0.0, 9.0),
        ("silu", -9 / (1 + math.exp(9)), 9 / (1 + math.exp(-9))),
    ],
)
def test_the_activation_comes_after_the_norm(act: str, low: float, high: float) -> None:
    x = torch.tensor([-9.0, 9.0]).view(1, 1, 1, 2)
    for used, expected in ((True, [low, high]), (False, [-9.0, 9.0])):
        block = ConvNormAct(1, 1, style=Style(activation=act), act=used).eval()
        nn.init.ones_(block[0].weight)
        torch.testing.assert_close(block(x).flatten(), torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_only_the_norm_shifts_a_convolution() -> None:
    names = [name for name, _ in ConvNormAct(2, 4, 3, style=PLAIN).named_parameters()]
    assert names == ["0.weight", "1.weight", "1.bias"]


def test_grouped_channels_do_not_see_each_other() -> None:
    block = ConvNormAct(4, 4, 3, groups=4, act=False, style=PLAIN).eval()
    x = torch.randn(1, 4, 5, 5)
    changed = x.clone()
    changed[:, 2] += 1
    touched = (block(x) != block(changed)).flatten(2).any(2)[0]
    assert touched.tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"activation": "gelu"}, "'gelu'"), ({"padding": "valid"}, "same, tf_same"), ({"bn_eps": 0.0}, "above 0")],
)
def test_an_unknown_style_is_refused(fields: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        PaddedStyle(**fields)


def test_squeeze_and_excitation_scales_channels_by_the_whole_picture() -> None:
    block = SqueezeExcite(4, 2)
    x = torch.randn(2, 4, 5, 3)
    hidden = (x.mean((2, 3)) @ block.reduce.weight.flatten(1).T + block.reduce.bias).relu()
    scale = (hidden @ block.expand.weight.flatten(1).T + block.expand.bias).sigmoid()
    torch.testing.assert_close(block(x), x * scale[:, :, None, None])


def test_the_head_averages_then_classifies() -> None:
    head = ClassifierHead(3, 2, style=PLAIN).eval()
    x = torch.randn(4, 3, 5, 7)
    expected = x.mean((2, 3)) @ head.linear.weight.T + head.linear.bias
    torch.testing.assert_close(head(x), expected)


def test_dropout_acts_in_training_only() -> None:
    head = ClassifierHead(64, 2, style=PLAIN, dropout=0.5)
    x = torch.randn(4, 64, 1, 1)
    assert not torch.equal(head(x), head(x))
    head.eval()
    assert torch.equal(head(x), head(x))


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(1, 8), (8, 8), (11, 16), (12, 16), (19, 24), (20, 24), (33.6, 32), (44.8, 48), (1280, 1280), (10.9, 16)],
)
def test_channel_counts_are_rounded_to_eights(channels: float, expected: int) -> None:
    assert divisible(channels) == expected


def test_channel_counts_never_lose_more_than_a_tenth() -> None:
    for tenths in range(80, 20_000):
        channels = tenths / 10
        rounded = divisible(channels)
        assert rounded % 8 == 0
        assert 0.9 * channels <= rounded < channels + 8


def test_channel_counts_are_torchvisions() -> None:
    from torchvision.models._utils import _make_divisible

    widths = [base * share / 100 for base in (16, 24, 32, 64, 96, 160, 320, 1280) for share in range(10, 200, 5)]
    assert [divisible(width) for width in widths] == [_make_divisible(width, 8) for width in widths]


def test_initialisation_is_hes_for_convolutions() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(16, 64, 3), nn.BatchNorm2d(64), nn.Linear(400, 300))
    for parameter in network.parameters():
        nn.init.constant_(parameter, 7.0)
    initialize(network)
    convolution, norm, linear = network
    assert convolution.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.03)
    assert linear.weight.std().item() == pytest.approx(0.01, rel=0.03)
    assert (norm.weight == 1).all()
    for bias in (convolution.bias, norm.bias, linear.bias):
        assert (bias == 0).all()


def test_initialisation_sees_the_groups() -> None:
    """A depthwise weight is fed back to by one channel alone; by all, it would start twenty times too small."""
    torch.manual_seed(0)
    depthwise = nn.Conv2d(512, 512, 3, groups=512, bias=False)
    initialize(depthwise)
    assert depthwise.weight.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.05)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_scaled_normalised_and_turned(channels: int) -> None:
    mean, std = (0.485, 0.456, 0.406)[:channels], (0.229, 0.224, 0.225)[:channels]
    pixels = torch.randint(0, 256, (2, 4, 5, channels), dtype=torch.uint8)
    out = FromPixels(mean, std)(pixels)
    expected = (pixels.double().permute(0, 3, 1, 2) / 255 - torch.tensor(mean).double().view(-1, 1, 1)) / torch.tensor(
        std
    ).double().view(-1, 1, 1)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, expected.float(), rtol=1e-6, atol=1e-6)


def test_pixel_scaling_is_no_part_of_the_weights() -> None:
    assert not FromPixels((0.5,), (0.5,)).state_dict()
