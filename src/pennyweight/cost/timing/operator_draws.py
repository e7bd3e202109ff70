"""Random operators of many kinds with sizes from wide ranges, which belong to no particular network."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["MAKERS", "Draw", "Made"]

SIDES = (1, 4, 7, 7, 8, 10, 12, 14, 14, 16, 19, 20, 24, 28, 28, 32, 38, 48, 56, 56, 75, 112, 150)
CHANNELS = (8, 12, 16, 20, 24, 28, 32, 40, 48, 58, 64, 80, 96, 112, 116, 128, 144, 160, 192, 240, 256)
WIDE = (320, 384, 480, 512, 576, 640, 768, 960, 1024, 1152, 1280, 1536, 2048)
BATCHES = (1, 1, 1, 2, 4, 8, 8)

Made = tuple[nn.Module, tuple[int, ...]]
Draw = random.Random


class Call(nn.Module):
    """A function as a module, so that calling it costs what calling a layer costs."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def _image(draw: Draw, channels: int) -> tuple[int, ...]:
    side = draw.choice(SIDES)
    return draw.choice(BATCHES), channels, side, side


def _pointwise(draw: Draw) -> Made:
    c_in, c_out = draw.choice(CHANNELS + WIDE), draw.choice(CHANNELS + WIDE)
    return nn.Conv2d(c_in, c_out, 1, draw.choice((1, 1, 1, 2)), bias=False), _image(draw, c_in)


def _dense(draw: Draw) -> Made:
    window, c_in = draw.choice((2, 3, 3, 3, 3, 5, 7)), draw.choice((*CHANNELS, 320, 512))
    batch, _, side, _ = _image(draw, c_in)
    side, stride = max(side, window), draw.choice((1, 1, 1, 2))
    conv = nn.Conv2d(c_in, draw.choice((*CHANNELS, 320, 512)), window, stride, padding=window // 2, bias=False)
    return conv, (batch, c_in, side, side)


def _first(draw: Draw) -> Made:
    """Draw a first convolution of color channels or few bands, with windows or non-overlapping patches."""
    window, c_in = draw.choice((3, 3, 3, 5, 7, 7, 11, 4, 8, 16, 32)), draw.choice((1, 3, 3, 3, 4))
    stride = window if window in (4, 8, 16, 32) else draw.choice((1, 2, 2, 4))
    side, batch = 32 * draw.choice((1, 2, 3, 4, 5, 6, 7, 8, 9)), draw.choice(BATCHES)
    c_out = draw.choice(WIDE if stride == window else (16, 24, 32, 40, 48, 64, 80, 96, 128))
    padding = 0 if stride == window else window // 2
    return nn.Conv2d(c_in, c_out, window, stride, padding, bias=False), (batch, c_in, side, side)


def _depthwise(draw: Draw) -> Made:
    channels, window = draw.choice(CHANNELS + WIDE), draw.choice((3, 3, 3, 5, 5, 7))
    conv = nn.Conv2d(channels, channels, window, draw.choice((1, 1, 2)), window // 2, groups=channels, bias=False)
    return conv, _image(draw, channels)


def _depthwise_1x1(draw: Draw) -> Made:
    """Draw a scale per channel, as in branches that networks fold after training (MobileOne, FastViT)."""
    channels = draw.choice(CHANNELS + WIDE)
    conv = nn.Conv2d(channels, channels, 1, draw.choice((1, 1, 1, 2)), groups=channels, bias=False)
    return conv, _image(draw, channels)


def _odd_depthwise(draw: Draw) -> Made:
    """Draw a depthwise convolution with a stripe, even or dilated window, or a stride that skips positions."""
    channels = draw.choice(CHANNELS + WIDE)
    window, dilation = draw.choice((((2, 2), 1), ((1, 7), 1), ((7, 1), 1), ((9, 9), 1), ((3, 3), 2), ((3, 3), 3)))
    batch, _, side, _ = _image(draw, channels)
    side, stride = max(side, max(window)), draw.choice((1, 1, 2, 4))
    height, width = window
    padding = dilation * (height // 2), dilation * (width // 2)
    conv = nn.Conv2d(channels, channels, window, stride, padding, dilation, groups=channels, bias=False)
    return conv, (batch, channels, side, side)


WIDE_WINDOWS = ((11, 11), 1), ((13, 13), 1), ((21, 21), 1), ((31, 31), 1), ((7, 7), 3), ((1, 21), 1)
"""Windows and their dilation."""


def _wide_depthwise(draw: Draw) -> Made:
    """Draw a far-reaching depthwise window (as in visual attention) on a small image, because it is slow."""
    channels, side = draw.choice(CHANNELS), draw.choice((7, 14, 14, 28))
    window, dilation = draw.choice(WIDE_WINDOWS)
    height, width = window
    padding = dilation * (height // 2), dilation * (width // 2)
    conv = nn.Conv2d(channels, channels, window, draw.choice((1, 1, 2)), padding, dilation, groups=channels, bias=False)
    return conv, (draw.choice((1, 1, 1, 2)), channels, side, side)


def _multiplied(draw: Draw) -> Made:
    """Draw a depthwise convolution with several outputs per channel."""
    channels, window = draw.choice(CHANNELS), draw.choice((1, 3, 3, 5))
    c_out = channels * draw.choice((2, 2, 3, 4))
    conv = nn.Conv2d(channels, c_out, window, draw.choice((1, 1, 2)), window // 2, groups=channels, bias=False)
    return conv, _image(draw, channels)


def _three_dimensional(draw: Draw) -> Made:
    """Draw a convolution for videos, volumes and spectra."""
    c_in, c_out = draw.choice((1, 3, 8, 16, 32, 64)), draw.choice((8, 16, 32, 64))
    window = draw.choice(((3, 3, 3), (3, 3, 3), (1, 3, 3), (3, 1, 1), (5, 3, 3), (7, 3, 3), (1, 1, 1)))
    depth, height, width = window
    padding = depth // 2, height // 2, width // 2
    return nn.Conv3d(c_in, c_out, window, draw.choice((1, 1, 1, 2)), padding, bias=False), _volume(draw, c_in)


def _three_dimensional_depthwise(draw: Draw) -> Made:
    channels, window = draw.choice((8, 16, 24, 48, 64, 96, 160)), draw.choice((3, 3, 5))
    stride = draw.choice((1, 1, 2))
    conv = nn.Conv3d(channels, channels, window, stride, window // 2, groups=channels, bias=False)
    return conv, _volume(draw, channels)


def _volume(draw: Draw, channels: int) -> tuple[int, ...]:
    side = draw.choice((7, 9, 14, 25, 28))
    return draw.choice((1, 1, 2)), channels, draw.choice((4, 8, 16, 30)), side, side


def _transposed(draw: Draw) -> Made:
    c_in, c_out = draw.choice(CHANNELS), draw.choice(CHANNELS)
    window, stride, padding = draw.choice(((2, 2, 0), (2, 2, 0), (4, 2, 1), (3, 2, 1), (3, 1, 1)))
    conv, side = (
        nn.ConvTranspose2d(c_in, c_out, window, stride, padding, bias=False),
        draw.choice((4, 7, 8, 14, 16, 28)),
    )
    return conv, (draw.choice(BATCHES), c_in, side, side)


def _grouped(draw: Draw) -> Made:
    groups, c_in, c_out = draw.choice((2, 3, 4, 8, 16, 32, 64)), draw.choice((4, 8, 16, 24, 32, 40, 48, 60, 80)), 0
    c_out = draw.choice((c_in, c_in, 2 * c_in, max(1, c_in // 2), 4 * c_in))
    window = draw.choice((1, 1, 3, 3, 3))
    stride = draw.choice((1, 1, 2)) if window == 3 else 1
    conv = nn.Conv2d(groups * c_in, groups * c_out, window, stride, window // 2, groups=groups, bias=False)
    return conv, _image(draw, groups * c_in)


def _linear(draw: Draw) -> Made:
    widths = (64, 128, 192, 256, 384, 512, 768, 1024, 1280, 2048, 3072, 4096)
    c_in, c_out = draw.choice(widths), draw.choice((10, 100, 1000, *widths))
    rows = draw.choice((1, 1, 1, 2, 4, 8, 8, 50, 64, 197, 197, 256, 400, 1000, 1576))
    return nn.Linear(c_in, c_out), (rows, c_in)


def _large_linear(draw: Draw) -> Made:
    """Draw a linear layer whose weights exceed every cache, as in old classifiers."""
    c_in, c_out = draw.choice((2048, 4096, 6144, 8192)), draw.choice((1000, 2048, 4096))
    return nn.Linear(c_in, c_out), (draw.choice((1, 1, 4, 8)), c_in)


def _stack(draw: Draw) -> Made:
    batch, tokens = draw.choice((2, 3, 8, 12, 24, 64)), draw.choice((16, 49, 64, 197, 256))
    return Call(lambda x: x @ x.mT), (batch, tokens, draw.choice((32, 64)))


def _attention(draw: Draw) -> Made:
    """Draw attention over queries, keys and values that one linear layer wrote, in its memory layout."""
    heads, tokens, width = draw.choice((2, 3, 4, 6, 8, 12, 16)), draw.choice((16, 49, 50, 65, 197, 256, 400)), 64
    shape = draw.choice((1, 1, 4, 8)), tokens, 3, heads, draw.choice((32, width, width))
    return Call(lambda x: F.scaled_dot_product_attention(*x.permute(2, 0, 3, 1, 4))), shape


def _feature_map(draw: Draw) -> tuple[int, ...]:
    return _image(draw, draw.choice(CHANNELS + WIDE))


def _batch_norm(draw: Draw) -> Made:
    shape = _feature_map(draw)
    return nn.BatchNorm2d(shape[1]), shape


def _tokens(draw: Draw) -> tuple[int, ...]:
    return draw.choice(BATCHES), draw.choice((16, 50, 65, 197, 256, 577)), draw.choice((192, 384, 512, 768, 1024, 3072))


def _layer_norm(draw: Draw) -> Made:
    shape = _tokens(draw)
    return nn.LayerNorm(shape[-1]), shape


def _gate(draw: Draw) -> Made:
    shape = _feature_map(draw)
    gates = torch.rand(*shape[:2], 1, 1)
    return Call(lambda x: x * gates.to(x.device)), shape


def _shuffle(draw: Draw) -> Made:
    batch, channels, side, _ = _feature_map(draw)
    channels += channels % 2
    return Call(lambda x: x.view(batch, 2, -1, side, side).transpose(1, 2).contiguous()), (batch, channels, side, side)


def _join(draw: Draw) -> Made:
    """Draw a concatenation with the outputs of earlier layers."""
    shape = _feature_map(draw)
    others = [
        torch.rand(shape[0], draw.choice(CHANNELS), *shape[2:]) for _ in range(draw.choice((1, 1, 1, 2, 3, 6, 12)))
    ]
    return Call(lambda x: torch.cat([*(other.to(x.device) for other in others), x], 1)), shape


def _max_pool(draw: Draw) -> Made:
    window, stride = draw.choice(((2, 2), (2, 2), (3, 2), (3, 2), (3, 1), (5, 1)))
    side = draw.choice((7, 13, 14, 28, 27, 55, 56, 112, 112, 147, 150, 224))
    shape = draw.choice(BATCHES), draw.choice((*CHANNELS, 384, 512)), side, side
    return nn.MaxPool2d(window, stride, padding=0 if window == 2 else window // 2), shape


def _average_pool(draw: Draw) -> Made:
    batch, channels, side, _ = _feature_map(draw)
    return nn.AvgPool2d(3, 2, padding=1), (batch, channels, max(side, 4), max(side, 4))


def _each(function: Callable[[Tensor], Any]) -> Callable[[Draw], Made]:
    return lambda draw: (Call(function), draw.choice((_feature_map, _feature_map, _tokens))(draw))


MAKERS: tuple[tuple[int, Callable[[Draw], Made]], ...] = (
    (260, _pointwise),
    (150, _dense),
    (70, _first),
    (160, _depthwise),
    (140, _grouped),
    (90, _linear),
    (20, _large_linear),
    (24, _stack),
    (50, _attention),
    (60, _batch_norm),
    (24, _layer_norm),
    (40, _gate),
    (40, _shuffle),
    (50, _join),
    (90, _max_pool),
    (24, _average_pool),
    (30, _each(lambda x: x.mean((-2, -1)))),
    (24, _each(F.relu)),
    (24, _each(lambda x: F.relu(x, inplace=True))),
    (20, _each(lambda x: F.hardtanh(x, inplace=True))),
    (30, _each(lambda x: x + x)),
    (20, _each(lambda x: x.mul_(1.0))),
    (24, _each(torch.sigmoid)),
    (20, _each(F.silu)),
    (24, _each(lambda x: F.silu(x, inplace=True))),
    (24, _each(F.gelu)),
    (20, _each(lambda x: F.hardswish(x, inplace=True))),
    (20, _each(lambda x: F.hardsigmoid(x))),
    (20, _each(lambda x: x.softmax(-1))),
    (20, _each(lambda x: x.add(1.0))),
    (50, _depthwise_1x1),
    (30, _odd_depthwise),
    (30, _wide_depthwise),
    (30, _multiplied),
    (40, _three_dimensional),
    (24, _three_dimensional_depthwise),
    (40, _transposed),
)
"""Number of cases of each operator, and the function that draws one."""
