"""MobileNetV1: a plain stack of depthwise-separable convolutions, without shortcuts.

Howard et al. 2017, arXiv:1704.04861, Table 1. (B, in_channels, H, W) -> (B, num_classes); the trunk and stem divide
H and W by 32. The small-image form (`stem="cifar"`) keeps stride 1 in the stem and so divides by 16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from pennyweight.nn import ClassifierHead, ConvNormAct, divisible, initialise
from pennyweight.nn.blocks import Activation
from pennyweight.zoo.variant import Variant, check_shape

__all__ = ["VARIANTS", "Config", "DepthwiseSeparable", "MobileNetV1"]


class Stage(NamedTuple):
    """A row of Table 1: depthwise-separable blocks of one width."""

    channels: int
    blocks: int
    stride: int
    """Of the first block; the others have 1."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Table 1, and what the paper varies."""

    width: float = 1.0
    """alpha, on every channel count."""
    activation: Activation = "relu"
    dropout: float = 0.0
    stem_channels: int = 32
    stages: tuple[Stage, ...] = (
        Stage(64, 1, 1),
        Stage(128, 2, 2),
        Stage(256, 2, 2),
        Stage(512, 6, 2),
        Stage(1024, 2, 2),
    )


class DepthwiseSeparable(nn.Sequential):
    """3×3 depthwise then 1×1 pointwise, each with norm and activation. Sec. 3.1.

    (B, c_in, H, W) -> (B, c_out, H/stride, W/stride), rounded up; K·K·M + M·N weights where K·K·M·N were.
    """

    def __init__(self, c_in: int, c_out: int, *, stride: int, act: str) -> None:
        super().__init__(
            ConvNormAct(c_in, c_in, 3, stride=stride, groups=c_in, act=act),
            ConvNormAct(c_in, c_out, act=act),
        )


class MobileNetV1(nn.Module):
    """The network of Table 1. `stem` is "imagenet" (stride 2) or "cifar" (stride 1)."""

    def __init__(self, config: Config, *, num_classes: int, in_channels: int, stem: str) -> None:
        super().__init__()
        self.in_channels = in_channels
        act = config.activation
        c_in = divisible(config.stem_channels * config.width)
        self.stem = ConvNormAct(in_channels, c_in, 3, stride=1 if stem == "cifar" else 2, act=act)
        blocks: list[nn.Module] = []
        for stage in config.stages:
            c_out = divisible(stage.channels * config.width)
            for block in range(stage.blocks):
                blocks.append(DepthwiseSeparable(c_in, c_out, stride=stage.stride if block == 0 else 1, act=act))
                c_in = c_out
        self.trunk = nn.Sequential(*blocks)
        self.head = ClassifierHead(c_in, num_classes, config.dropout)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        check_shape(x, self.in_channels)
        logits: Tensor = self.head(self.trunk(self.stem(x)))
        return logits


def _variant(width: float, params: int, macs: int, top1: float) -> Variant[Config]:
    return Variant(Config(width=width), params=params, macs=macs, top1=top1, paper="arXiv:1704.04861, Tables 6 and 7")


# params and macs (1000 classes, 3×224×224) are claims that a test measures; top1 is the paper's, in %.
VARIANTS = {
    "mobilenet_v1_x0_25": _variant(0.25, params=470_072, macs=41_030_272, top1=50.6),
    "mobilenet_v1_x0_5": _variant(0.5, params=1_331_592, macs=149_497_088, top1=63.7),
    "mobilenet_v1_x0_75": _variant(0.75, params=2_585_560, macs=325_400_448, top1=68.4),
    "mobilenet_v1": _variant(1.0, params=4_231_976, macs=568_740_352, top1=70.6),
}
