"""MobileNetV2: inverted residuals with linear bottlenecks.

Sandler et al. 2018, arXiv:1801.04381, Table 2. (B, in_channels, H, W) -> (B, num_classes); stem and trunk divide H
and W by 32. The small-image form (`stem="cifar"`) keeps stride 1 in the stem and in the 24-channel stage, and so
divides by 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from pennyweight.nn import ClassifierHead, ConvNormAct, divisible, initialise
from pennyweight.nn.blocks import Activation
from pennyweight.zoo.variant import Variant, check_shape

__all__ = ["VARIANTS", "Config", "InvertedResidual", "MobileNetV2"]


class Stage(NamedTuple):
    """A row of Table 2: t, c, n, s."""

    expansion: int
    channels: int
    blocks: int
    stride: int
    """Of the first block; the others have 1."""
    small_stride: int
    """The same in the small-image form."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Table 2, and what the paper varies."""

    width: float = 1.0
    """On every channel count; the last layer is not shrunk below `last_channels`."""
    activation: Activation = "relu6"
    dropout: float = 0.2
    stem_channels: int = 32
    last_channels: int = 1280
    stages: tuple[Stage, ...] = (
        Stage(1, 16, 1, 1, 1),
        Stage(6, 24, 2, 2, 1),
        Stage(6, 32, 3, 2, 2),
        Stage(6, 64, 4, 2, 2),
        Stage(6, 96, 3, 1, 1),
        Stage(6, 160, 3, 2, 2),
        Stage(6, 320, 1, 1, 1),
    )


class InvertedResidual(nn.Module):
    """1×1 expand, 3×3 depthwise, linear 1×1 project; added to the input where shapes agree. Fig. 3b.

    (B, c_in, H, W) -> (B, c_out, H/stride, W/stride), rounded up. No activation after the projection: ReLU in a narrow
    space destroys information (Sec. 3.2). An expansion of 1 has no expanding convolution.
    """

    def __init__(self, c_in: int, c_out: int, *, stride: int, expansion: int, act: str) -> None:
        super().__init__()
        hidden = c_in * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [ConvNormAct(c_in, hidden, act=act)]
        layers += [
            ConvNormAct(hidden, hidden, 3, stride=stride, groups=hidden, act=act),
            ConvNormAct(hidden, c_out, act=None),
        ]
        self.layers = nn.Sequential(*layers)
        self.shortcut = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + out if self.shortcut else out


class MobileNetV2(nn.Module):
    """The network of Table 2. `stem` is "imagenet" or "cifar"."""

    def __init__(self, config: Config, *, num_classes: int, in_channels: int, stem: str) -> None:
        super().__init__()
        self.in_channels = in_channels
        small = stem == "cifar"
        act = config.activation
        c_in = divisible(config.stem_channels * config.width)
        self.stem = ConvNormAct(in_channels, c_in, 3, stride=1 if small else 2, act=act)
        blocks: list[nn.Module] = []
        for stage in config.stages:
            c_out = divisible(stage.channels * config.width)
            first_stride = stage.small_stride if small else stage.stride
            for block in range(stage.blocks):
                stride = first_stride if block == 0 else 1
                blocks.append(InvertedResidual(c_in, c_out, stride=stride, expansion=stage.expansion, act=act))
                c_in = c_out
        last = divisible(config.last_channels * max(1.0, config.width))
        self.trunk = nn.Sequential(*blocks, ConvNormAct(c_in, last, act=act))
        self.head = ClassifierHead(last, num_classes, config.dropout)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        check_shape(x, self.in_channels)
        logits: Tensor = self.head(self.trunk(self.stem(x)))
        return logits


def _variant(width: float, params: int, macs: int, top1: float) -> Variant[Config]:
    return Variant(Config(width=width), params=params, macs=macs, top1=top1, paper="arXiv:1801.04381, Table 4 and code")


# params and macs (1000 classes, 3×224×224) are claims that a test measures; top1 is the authors', in %.
VARIANTS = {
    "mobilenet_v2_x0_35": _variant(0.35, params=1_677_128, macs=59_285_808, top1=60.3),
    "mobilenet_v2_x0_5": _variant(0.5, params=1_968_680, macs=97_131_840, top1=65.4),
    "mobilenet_v2_x0_75": _variant(0.75, params=2_636_424, macs=209_069_792, top1=69.8),
    "mobilenet_v2": _variant(1.0, params=3_504_872, macs=300_774_272, top1=72.0),
    "mobilenet_v2_x1_4": _variant(1.4, params=6_108_776, macs=582_195_824, top1=74.7),
}
