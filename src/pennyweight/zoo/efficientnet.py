"""EfficientNet: inverted residuals with squeeze-and-excitation, scaled in depth, width and resolution together.

Tan and Le 2019, arXiv:1905.11946, Table 1 and Eq. 3. (B, in_channels, H, W) -> (B, num_classes); stem and trunk
divide H and W by 32, in the small-image form by 8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.nn import ClassifierHead, ConvNormAct, Network, PaddedStyle, SqueezeExcite, divisible
from pennyweight.nn.blocks import Activation
from pennyweight.nn.dilation import Dilatable, Step, Strides
from pennyweight.nn.stochastic_depth import StochasticDepth
from pennyweight.zoo.variant import Variant

__all__ = ["VARIANTS", "Config", "EfficientNet", "MBConv", "compound"]


class Stage(NamedTuple):
    """Row of Table 1."""

    expansion: int
    kernel: int
    channels: int
    blocks: int
    stride: int
    """Stride of the first block; the other blocks have 1."""
    small_stride: int
    """Stride of the first block in the small-image form."""


@dataclass(frozen=True, kw_only=True)
class Config(PaddedStyle, Dilatable):
    """Fields of Table 1 (B0), and those that scaling and other published weights change."""

    activation: Activation = "silu"
    width: float = 1.0
    """Factor on every channel count, rounded to multiples of 8."""
    depth: float = 1.0
    """Factor on every number of blocks, rounded up."""
    se: bool = True
    """Squeeze-and-excitation, reduced to a quarter of the block's input channels."""
    dropout: float = 0.2
    drop_path: float = 0.2
    """Stochastic depth: training skips block i of n with probability drop_path·i/n, i from 0 (their code)."""
    stem_channels: int = 32
    last_channels: int = 1280
    stages: tuple[Stage, ...] = (
        Stage(1, 3, 16, 1, 1, 1),
        Stage(6, 3, 24, 2, 2, 1),
        Stage(6, 5, 40, 2, 2, 2),
        Stage(6, 3, 80, 3, 2, 2),
        Stage(6, 5, 112, 3, 1, 1),
        Stage(6, 5, 192, 4, 2, 2),
        Stage(6, 3, 320, 1, 1, 1),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.depth) and self.depth > 0):
            raise InputError(f"Config field 'depth' must be above 0, not {self.depth}; 1 to 3.1 are usual")


class MBConv(nn.Module):
    """1×1 expand, depthwise, squeeze-and-excitation, linear 1×1 project; added to the input where shapes agree.

    (B, c_in, H, W) -> (B, c_out, H/stride, W/stride). An expansion of 1 has no expanding convolution.
    """

    def __init__(self, c_in: int, c_out: int, row: Stage, *, step: Step, config: Config, drop_path: float) -> None:
        super().__init__()
        hidden = c_in * row.expansion
        layers: list[nn.Module] = [] if row.expansion == 1 else [ConvNormAct(c_in, hidden, style=config)]
        stride, dilation = step.stride, step.dilation
        layers.append(
            ConvNormAct(hidden, hidden, row.kernel, stride=stride, dilation=dilation, groups=hidden, style=config)
        )
        if config.se:
            # A quarter of the block's input, not of the expanded channels (the authors' code).
            layers.append(SqueezeExcite(hidden, max(1, c_in // 4), config.act()))
        layers.append(ConvNormAct(hidden, c_out, act=False, style=config))
        self.layers = nn.Sequential(*layers)
        self.shortcut = step.same_size and c_in == c_out
        self.drop_path = StochasticDepth(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + self.drop_path(out) if self.shortcut else out


class EfficientNet(Network):
    """Network of Table 1, scaled. `stem` is "imagenet" (stride 2) or "cifar" (stride 1)."""

    def __init__(self, config: Config, *, num_classes: int, in_channels: int, stem: str) -> None:
        super().__init__()
        small = stem == "cifar"
        c_in = divisible(config.stem_channels * config.width)
        self.stem = ConvNormAct(in_channels, c_in, 3, stride=1 if small else 2, style=config)
        repeats = [math.ceil(row.blocks * config.depth) for row in config.stages]
        stages: list[nn.Module] = []
        features = []
        reached, strides = 0, Strides(1 if small else 2, config.output_stride)
        for row, blocks in zip(config.stages, repeats, strict=True):
            c_out = divisible(row.channels * config.width)
            first_stride = row.small_stride if small else row.stride
            stage = []
            for block in range(blocks):
                stage.append(
                    MBConv(
                        c_in,
                        c_out,
                        row,
                        step=strides.step(first_stride if block == 0 else 1),
                        config=config,
                        drop_path=config.drop_path * reached / sum(repeats),
                    )
                )
                c_in = c_out
                reached += 1
            stages.append(nn.Sequential(*stage))
            features.append((c_out, strides.scale))
        strides.require_reached()
        self.trunk = nn.Sequential(*stages)
        last = divisible(config.last_channels * config.width)
        self.head = ClassifierHead(c_in, num_classes, style=config, dropout=config.dropout, hidden=last)
        self.assemble(in_channels=in_channels, features=features)


def compound(phi: float, *, alpha: float = 1.2, beta: float = 1.1, gamma: float = 1.15) -> tuple[dict[str, float], int]:
    """(Config fields, input size in pixels) of B0 scaled by φ: depth α^φ, width β^φ, resolution γ^φ. Eq. 3.

    α·β²·γ² ≈ 2, so work about doubles with each step of φ, and more at first, where blocks are rounded up. They are for
    `create("efficientnet_b0", **fields)`. The published B1 to B7 were tuned by hand; no φ gives them exactly.
    """
    return {"depth": alpha**phi, "width": beta**phi}, round(224 * gamma**phi)


def _variant(
    width: float, depth: float, size: int, dropout: float, bn_eps: float, *, params: int, macs: int, top1: float
) -> Variant[Config]:
    config = Config(width=width, depth=depth, dropout=dropout, bn_eps=bn_eps)
    return Variant(
        config, params=params, macs=macs, top1=top1, paper="arXiv:1905.11946, Table 2", input_shape=(3, size, size)
    )


# params and macs (1000 classes) are claims that a test measures; top1 is the paper's, in %; bn_eps is torchvision's.
VARIANTS = {
    "efficientnet_b0": _variant(1.0, 1.0, 224, 0.2, 1e-5, params=5_288_548, macs=385_814_752, top1=77.1),
    "efficientnet_b1": _variant(1.0, 1.1, 240, 0.2, 1e-5, params=7_794_184, macs=686_802_832, top1=79.1),
    "efficientnet_b2": _variant(1.1, 1.2, 260, 0.3, 1e-5, params=9_109_994, macs=993_561_872, top1=80.1),
    "efficientnet_b3": _variant(1.2, 1.4, 300, 0.3, 1e-5, params=12_233_232, macs=1_827_141_392, top1=81.6),
    "efficientnet_b4": _variant(1.4, 1.8, 380, 0.4, 1e-5, params=19_341_616, macs=4_393_771_024, top1=82.9),
    "efficientnet_b5": _variant(1.6, 2.2, 456, 0.4, 1e-3, params=30_389_784, macs=10_266_384_752, top1=83.6),
    "efficientnet_b6": _variant(1.8, 2.6, 528, 0.5, 1e-3, params=43_040_704, macs=19_067_593_536, top1=84.0),
    "efficientnet_b7": _variant(2.0, 3.1, 600, 0.5, 1e-3, params=66_347_960, macs=37_745_884_192, top1=84.3),
}
