"""Residual networks: the shared parts of ResNet, ResNeXt and their squeeze-and-excitation forms.

He et al. 2015, arXiv:1512.03385, Table 1 and Fig. 5; Xie et al. 2016, arXiv:1611.05431, Table 1; Hu et al. 2017,
arXiv:1709.01507, Table 1. The stride of a bottleneck is on its 3×3 convolution, as in torchvision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.nn.blocks import ClassifierHead, ConvNormAct, PooledStem, SqueezeExcite, Style, divisible
from pennyweight.nn.dilation import Dilatable, Step, Strides
from pennyweight.nn.network import Network
from pennyweight.nn.stochastic_depth import StochasticDepth

__all__ = ["Residual", "ResidualConfig", "ResidualNetwork", "ResidualStyle", "basic", "bottleneck"]


@dataclass(frozen=True, kw_only=True)
class ResidualStyle(Style):
    """Config fields of every network of residual blocks."""

    channels: int = 64
    """Channels of the stem and of the first stage's inner convolutions; each later stage doubles them."""
    se: bool = False
    """Squeeze-and-excitation, reduced to a sixteenth of the channels."""
    dropout: float = 0.0
    drop_path: float = 0.0
    """Stochastic depth: probability that training skips the last block; earlier blocks have less, linearly."""


@dataclass(frozen=True, kw_only=True)
class ResidualConfig(ResidualStyle, Dilatable):
    """Config fields of the papers' tables."""

    block: Literal["basic", "bottleneck"] = "bottleneck"
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    """Blocks of each stage."""
    groups: int = 1
    """Cardinality: the number of paths in a ResNeXt."""
    group_channels: int = 64
    """Channels of a path in the first stage if `channels` is 64, else in proportion; each stage doubles them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.groups < 1 or self.group_channels < 1:
            raise InputError(
                "Config fields 'groups' and 'group_channels' must be at least 1, "
                f"not {self.groups} and {self.group_channels}"
            )
        if self.block == "basic" and (self.groups, self.group_channels) != (1, 64):
            raise InputError(
                f"a basic block cannot be grouped (groups={self.groups}, group_channels={self.group_channels}): "
                "two convolutions in a row are not a sum of paths (arXiv:1611.05431, Sec. 3.3); "
                "take a network of bottlenecks, such as resnet50"
            )
        if self.channels * self.group_channels < 64:
            raise InputError(
                f"channels={self.channels} leave a path of group_channels={self.group_channels} nothing; "
                f"channels must be at least {-(-64 // self.group_channels)}"
            )


def basic(c_in: int, planes: int, *, step: Step, config: ResidualStyle) -> tuple[nn.Sequential, int]:
    """Make two 3×3 convolutions; return them and their output channels. ResNet, Fig. 5 left."""
    layers = nn.Sequential(
        ConvNormAct(c_in, planes, 3, stride=step.stride, dilation=step.dilation, style=config),
        ConvNormAct(planes, planes, 3, dilation=step.dilation_after, act=False, style=config),
    )
    return layers, planes


def bottleneck(c_in: int, planes: int, *, step: Step, config: ResidualConfig) -> tuple[nn.Sequential, int]:
    """Make 1×1, (grouped) 3×3, 1×1; return them and their output channels. ResNet, Fig. 5 right; ResNeXt, Fig. 3c."""
    # A path of group_channels in the first stage, where planes are 64; later ones in proportion.
    hidden = planes * config.group_channels // 64 * config.groups
    c_out = 4 * planes
    layers = nn.Sequential(
        ConvNormAct(c_in, hidden, style=config),
        ConvNormAct(hidden, hidden, 3, stride=step.stride, dilation=step.dilation, groups=config.groups, style=config),
        ConvNormAct(hidden, c_out, act=False, style=config),
    )
    return layers, c_out


BLOCKS = {"basic": basic, "bottleneck": bottleneck}


class Residual(nn.Module):
    """Residual block: act(shortcut(x) + layers(x)); the shortcut is a 1×1 convolution with norm if shapes differ."""

    def __init__(
        self, layers: nn.Module, c_in: int, c_out: int, *, step: Step, config: ResidualStyle, drop_path: float
    ) -> None:
        super().__init__()
        same = step.same_size and c_in == c_out
        self.layers = layers
        self.se = SqueezeExcite(c_out, divisible(c_out / 16)) if config.se else nn.Identity()
        self.drop_path = StochasticDepth(drop_path)
        self.shortcut = nn.Identity() if same else ConvNormAct(c_in, c_out, stride=step.stride, act=False, style=config)
        self.act = config.act()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.shortcut(x) + self.drop_path(self.se(self.layers(x))))
        return out


class ResidualNetwork(Network):
    """Residual network: (B, in_channels, H, W) -> (B, num_classes).

    `stem` is "imagenet" (7×7/2 and a max pool) or "cifar" (3×3).
    """

    def __init__(self, config: ResidualConfig, *, num_classes: int, in_channels: int, stem: str) -> None:
        super().__init__()
        small = stem == "cifar"
        c_in = config.channels
        self.stem = PooledStem(in_channels, c_in, 7, small=small, style=config)
        stages: list[nn.Module] = []
        features = []
        reached, total = 0, sum(config.blocks)
        strides = Strides(1 if small else 4, config.output_stride)
        for number, blocks in enumerate(config.blocks):
            stage = []
            for block in range(blocks):
                step = strides.step(2 if number and block == 0 else 1)
                layers, c_out = BLOCKS[config.block](c_in, config.channels * 2**number, step=step, config=config)
                drop_path = config.drop_path * reached / max(1, total - 1)
                stage.append(Residual(layers, c_in, c_out, step=step, config=config, drop_path=drop_path))
                c_in = c_out
                reached += 1
            stages.append(nn.Sequential(*stage))
            features.append((c_in, strides.scale))
        strides.require_reached()
        self.trunk = nn.Sequential(*stages)
        self.head = ClassifierHead(c_in, num_classes, style=config, dropout=config.dropout)
        self.assemble(in_channels=in_channels, features=features)
