"""The blocks that families share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pennyweight.core.errors import InputError
from pennyweight.nn import ClassifierHead, ConvNormAct, FromPixels, activation, divisible, initialise


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [8, 9])
def test_convolutions_keep_or_halve_the_side(kernel: int, stride: int, side: int) -> None:
    out = ConvNormAct(3, 6, kernel, stride=stride)(torch.zeros(2, 3, side, side + 1))
    assert out.shape == (2, 6, -(-side // stride), -(-(side + 1) // stride))


@pytest.mark.parametrize(("act", "low", "high"), [("relu", 0, 9), ("relu6", 0, 6), (None, -9, 9)])
def test_the_activation_comes_after_the_norm(act: str | None, low: float, high: float) -> None:
    block = ConvNormAct(1, 1, act=act).eval()
    nn.init.ones_(block[0].weight)
    out = block(torch.tensor([-9.0, 9.0]).view(1, 1, 1, 2)).flatten()
    torch.testing.assert_close(out, torch.tensor([low, high], dtype=torch.float32), rtol=1e-4, atol=0)


def test_only_the_norm_shifts_a_convolution() -> None:
    names = [name for name, _ in ConvNormAct(2, 4, 3).named_parameters()]
    assert names == ["0.weight", "1.weight", "1.bias"]


def test_grouped_channels_do_not_see_each_other() -> None:
    block = ConvNormAct(4, 4, 3, groups=4, act=None).eval()
    x = torch.randn(1, 4, 5, 5)
    changed = x.clone()
    changed[:, 2] += 1
    touched = (block(x) != block(changed)).flatten(2).any(2)[0]
    assert touched.tolist() == [False, False, True, False]


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(InputError, match="unknown activation 'gelu'; there are relu, relu6"):
        activation("gelu")


def test_the_head_averages_then_classifies() -> None:
    head = ClassifierHead(3, 2).eval()
    x = torch.randn(4, 3, 5, 7)
    expected = x.mean((2, 3)) @ head.linear.weight.T + head.linear.bias
    torch.testing.assert_close(head(x), expected)


def test_dropout_acts_in_training_only() -> None:
    head = ClassifierHead(64, 2, dropout=0.5)
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
    initialise(network)
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
    initialise(depthwise)
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
