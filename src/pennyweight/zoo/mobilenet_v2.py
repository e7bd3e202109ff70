"""MobileNetV2: inverted residuals with linear bottlenecks.

Sandler et al. 2018, arXiv:1801.04381, Table 2. (B, in_channels, H, W) -> (B, num_classes); stem and trunk divide H
and W by 32. The small-image form (`stem="cifar"`) keeps stride 1 in the stem and in the 24-channel stage, and so
divides by 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from pennyweight.nn import ClassifierHead, ConvNormAct, Network, PaddedStyle, Style, divisible
from pennyweight.nn.blocks import Activation
from pennyweight.nn.dilation import Dilatable, Step, Strides
from pennyweight.zoo.variant import Variant

__all__ = ["VARIANTS", "Config", "InvertedResidual", "MobileNetV2"]


class Stage(NamedTuple):
    """Row of Table 2: t, c, n, s."""

    expansion: int
    channels: int
    blocks: int
    stride: int
    """Stride of the first block; the other blocks have 1."""
    small_stride: int
    """Stride of the first block in the small-image form."""


@dataclass(frozen=True, kw_only=True)
class Config(PaddedStyle, Dilatable):
    """Fields of Table 2, and those that the paper varies."""

    width: float = 1.0
    """Factor on every channel count; the last layer keeps at least `last_channels`."""
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
    """Inverted residual: 1×1 expand, 3×3 depthwise, linear 1×1 project; added to the input if shapes agree. Fig. 3b.

    (B, c_in, H, W) -> (B, c_out, H/stride, W/stride), rounded up. No activation after the projection: ReLU in a narrow
    space destroys information (Sec. 3.2). An expansion of 1 has no expanding convolution.
    """

    def __init__(self, c_in: int, c_out: int, *, step: Step, expansion: int, style: Style) -> None:
        super().__init__()
        hidden = c_in * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [ConvNormAct(c_in, hidden, style=style)]
        layers += [
            ConvNormAct(hidden, hidden, 3, stride=step.stride, dilation=step.dilation, groups=hidden, style=style),
            ConvNormAct(hidden, c_out, act=False, style=style),
        ]
        self.layers = nn.Sequential(*layers)
        self.shortcut = step.same_size and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + out if self.shortcut else out


class MobileNetV2(Network):
    """Network of Table 2. `stem` is "imagenet" or "cifar"."""

    def __init__(self, config: Config, *, num_classes: int, in_channels: int, stem: str) -> None:
        super().__init__()
        small = stem == "cifar"
        strides = Strides(1 if small else 2, config.output_stride)
        c_in = divisible(config.stem_channels * config.width)
        self.stem = ConvNormAct(in_channels, c_in, 3, stride=strides.scale, style=config)
        stages: list[nn.Module] = []
        features = []
        for row in config.stages:
            c_out = divisible(row.channels * config.width)
            first_stride = row.small_stride if small else row.stride
            stage = []
            for block in range(row.blocks):
                step = strides.step(first_stride if block == 0 else 1)
                stage.append(InvertedResidual(c_in, c_out, step=step, expansion=row.expansion, style=config))
                c_in = c_out
            stages.append(nn.Sequential(*stage))
            features.append((c_out, strides.scale))
        strides.require_reached()
        self.trunk = nn.Sequential(*stages)
        last = divisible(config.last_channels * max(1.0, config.width))
        self.head = ClassifierHead(c_in, num_classes, style=config, dropout=config.dropout, hidden=last)
        self.assemble(in_channels=in_channels, features=features)


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
