"""ShuffleNetV2: half of the channels pass, convolutions process the other half, and a shuffle mixes both.

Ma et al. 2018, arXiv:1807.11164, Table 5 and Fig. 3. (B, in_channels, H, W) -> (B, num_classes); stem and trunk divide
H and W by 32, in the small-image form by 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.nn import ClassifierHead, ConvNormAct, Network, PooledStem, Style
from pennyweight.nn.shuffle import ChannelShuffle
from pennyweight.zoo.variant import Variant

__all__ = ["VARIANTS", "Config", "ShuffleNetV2", "Unit"]


@dataclass(frozen=True, kw_only=True)
class Config(Style):
    """Column of Table 5. Its widths follow no factor, so there is no `width` field."""

    channels: tuple[int, ...] = (116, 232, 464)
    """Channels of stages 2 to 4."""
    last_channels: int = 1024
    stem_channels: int = 24
    blocks: tuple[int, ...] = (4, 8, 4)
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.channels) != len(self.blocks) or any(count % 2 for count in self.channels):
            raise InputError(
                "Config field 'channels' must hold an even number for each of 'blocks', "
                f"not {self.channels} for {self.blocks}"
            )


class Unit(nn.Module):
    """Unit: split, 1×1, 3×3 depthwise, 1×1 on one half, join, shuffle; at stride 2 both branches see the whole input.

    (B, c_in, H, W) -> (B, c_out, H/stride, W/stride). Fig. 3c and 3d.
    """

    def __init__(self, c_in: int, c_out: int, *, stride: int, style: Style) -> None:
        super().__init__()
        half = c_out // 2
        seen = c_in if stride == 2 else half
        self.split = stride == 1
        self.left = (
            nn.Identity()
            if self.split
            else nn.Sequential(
                ConvNormAct(c_in, c_in, 3, stride=stride, groups=c_in, act=False, style=style),
                ConvNormAct(c_in, half, style=style),
            )
        )
        self.right = nn.Sequential(
            ConvNormAct(seen, half, style=style),
            ConvNormAct(half, half, 3, stride=stride, groups=half, act=False, style=style),
            ConvNormAct(half, half, style=style),
        )
        self.shuffle = ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        left = right = x
        if self.split:
            left, right = x.chunk(2, dim=1)
        out: Tensor = self.shuffle(torch.cat([self.left(left), self.right(right)], dim=1))
        return out


class ShuffleNetV2(Network):
    """Network of Table 5. `stem` is "imagenet" (stride 2 and a max pool) or "cifar" (stride 1)."""

    def __init__(self, config: Config, *, num_classes: int, in_channels: int, stem: str) -> None:
        super().__init__()
        small = stem == "cifar"
        c_in = config.stem_channels
        self.stem = PooledStem(in_channels, c_in, small=small, style=config)
        stages: list[nn.Module] = []
        features = []
        stride = 1 if small else 4
        for c_out, blocks in zip(config.channels, config.blocks, strict=True):
            units = [Unit(c_in, c_out, stride=2, style=config)]
            units += [Unit(c_out, c_out, stride=1, style=config) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(*units))
            c_in = c_out
            stride *= 2
            features.append((c_out, stride))
        self.trunk = nn.Sequential(*stages)
        self.head = ClassifierHead(c_in, num_classes, style=config, dropout=config.dropout, hidden=config.last_channels)
        self.assemble(in_channels=in_channels, features=features)


def _variant(
    channels: tuple[int, ...], last_channels: int = 1024, *, params: int, macs: int, top1: float
) -> Variant[Config]:
    config = Config(channels=channels, last_channels=last_channels)
    return Variant(config, params=params, macs=macs, top1=top1, paper="arXiv:1807.11164, Tables 5 and 8")


# params and macs (1000 classes, 3×224×224) are claims that a test measures; top1 is the paper's, in %.
VARIANTS = {
    "shufflenet_v2_x0_5": _variant((48, 96, 192), params=1_366_792, macs=40_476_448, top1=60.3),
    "shufflenet_v2_x1_0": _variant((116, 232, 464), params=2_278_604, macs=144_907_992, top1=69.4),
    "shufflenet_v2_x1_5": _variant((176, 352, 704), params=3_503_624, macs=295_759_392, top1=72.6),
    "shufflenet_v2_x2_0": _variant((244, 488, 976), 2048, params=7_393_996, macs=583_253_464, top1=74.9),
}
