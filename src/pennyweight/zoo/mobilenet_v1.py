"""MobileNetV1: a plain stack of depthwise-separable convolutions, without shortcuts.

Howard et al. 2017, arXiv:1704.04861, Table 1. (B, in_channels, H, W) -> (B, num_classes); the trunk and stem divide
H and W by 32. The small-image form (`stem="cifar"`) keeps stride 1 in the stem and so divides by 16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from pennyweight.nn import ClassifierHead, ConvNormAct, Network, PaddedStyle, Style, divisible
from pennyweight.nn.dilation import Dilatable, Step, Strides
from pennyweight.zoo.variant import Variant

__all__ = ["VARIANTS", "Config", "DepthwiseSeparable", "MobileNetV1"]


class Stage(NamedTuple):
    """Row of Table 1: depthwise-separable blocks of one width."""

    channels: int
    blocks: int
    stride: int
    """Stride of the first block; the other blocks have 1."""


@dataclass(frozen=True, kw_only=True)
class Config(PaddedStyle, Dilatable):
    """Fields of Table 1, and those that the paper varies."""

    width: float = 1.0
    """Factor alpha on every channel count."""
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
    """Depthwise-separable block: 3×3 depthwise, 1×1 pointwise, each with norm and activation. Sec. 3.1.

    It has K·K·M + M·N weights instead of K·K·M·N.
    """

    def __init__(self, c_in: int, c_out: int, *, step: Step, style: Style) -> None:
        super().__init__(
            ConvNormAct(c_in, c_in, 3, stride=step.stride, dilation=step.dilation, groups=c_in, style=style),
            ConvNormAct(c_in, c_out, style=style),
        )


class MobileNetV1(Network):
    """Network of Table 1. `stem` is "imagenet" (stride 2) or "cifar" (stride 1)."""

    def __init__(self, config: Config, *, num_classes: int, in_channels: int, stem: str) -> None:
        super().__init__()
        strides = Strides(1 if stem == "cifar" else 2, config.output_stride)
        c_in = divisible(config.stem_channels * config.width)
        self.stem = ConvNormAct(in_channels, c_in, 3, stride=strides.scale, style=config)
        stages: list[nn.Module] = []
        features = []
        for row in config.stages:
            c_out = divisible(row.channels * config.width)
            stage = []
            for block in range(row.blocks):
                step = strides.step(row.stride if block == 0 else 1)
                stage.append(DepthwiseSeparable(c_in, c_out, step=step, style=config))
                c_in = c_out
            stages.append(nn.Sequential(*stage))
            features.append((c_out, strides.scale))
        strides.require_reached()
        self.trunk = nn.Sequential(*stages)
        self.head = ClassifierHead(c_in, num_classes, style=config, dropout=config.dropout)
        self.assemble(in_channels=in_channels, features=features)


def _variant(
    width: float, params: int, macs: int, top1: float | None = None, paper: str = "arXiv:1704.04861, Tables 6 and 7"
) -> Variant[Config]:
    return Variant(Config(width=width), params=params, macs=macs, top1=top1, paper=paper)


# params and macs (1000 classes, 3×224×224) are claims that a test measures; top1 is the paper's, in %.
VARIANTS = {
    "mobilenet_v1_x0_25": _variant(0.25, params=470_072, macs=41_030_272, top1=50.6),
    "mobilenet_v1_x0_5": _variant(0.5, params=1_331_592, macs=149_497_088, top1=63.7),
    "mobilenet_v1_x0_75": _variant(0.75, params=2_585_560, macs=325_400_448, top1=68.4),
    "mobilenet_v1": _variant(1.0, params=4_231_976, macs=568_740_352, top1=70.6),
    "mobilenet_v1_x1_25": _variant(1.25, params=6_270_840, macs=879_516_800, paper="timm, mobilenetv1_125"),
}
