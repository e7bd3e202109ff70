"""ShuffleNetV1: bottlenecks of grouped 1×1 convolutions, with a channel shuffle that mixes the groups.

Zhang et al. 2017, arXiv:1707.01083, Table 1 and Fig. 2. (B, in_channels, H, W) -> (B, num_classes); stem and trunk
divide H and W by 32, in the small-image form by 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.nn import ClassifierHead, ConvNormAct, Network, PooledStem, Style
from pennyweight.nn.shuffle import ChannelShuffle
from pennyweight.zoo.variant import Variant

__all__ = ["VARIANTS", "Config", "ShuffleNetV1", "Unit"]

# Table 1: the output channels of stage 2 by groups, chosen so that all cost about 140 M; later stages double.
STAGE_2 = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}


@dataclass(frozen=True, kw_only=True)
class Config(Style):
    """Fields of Table 1, and those that the paper varies."""

    groups: int = 3
    width: float = 1.0
    """Factor s on the stages' output channels."""
    stem_channels: int = 24
    """Channels of the stem; 12 below ×1 and 48 at ×2 match the published complexity."""
    blocks: tuple[int, ...] = (4, 8, 4)
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.groups not in STAGE_2:
            raise InputError(f"Config field 'groups' must be one of {', '.join(map(str, STAGE_2))}, not {self.groups}")


class Unit(nn.Module):
    """Unit: grouped 1×1, shuffle, 3×3 depthwise, grouped 1×1; added to the input, or at stride 2 joined to its average.

    (B, c_in, H, W) -> (B, c_out, H/stride, W/stride); the bottleneck is a quarter of c_out, the average 3×3. Fig. 2b
    and 2c.
    """

    def __init__(self, c_in: int, c_out: int, *, stride: int, groups: int, first_groups: int, style: Style) -> None:
        super().__init__()
        hidden = c_out // 4
        made = c_out if stride == 1 else c_out - c_in
        self.reduce = ConvNormAct(c_in, hidden, groups=first_groups, style=style)
        self.shuffle = ChannelShuffle(groups)
        self.depthwise = ConvNormAct(hidden, hidden, 3, stride=stride, groups=hidden, act=False, style=style)
        self.expand = ConvNormAct(hidden, made, groups=groups, act=False, style=style)
        self.pool = nn.Identity() if stride == 1 else nn.AvgPool2d(3, stride, padding=1)
        self.act = style.act()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(self.depthwise(self.shuffle(self.reduce(x))))
        joined = x + y if self.stride == 1 else torch.cat([self.pool(x), y], dim=1)
        out: Tensor = self.act(joined)
        return out


class ShuffleNetV1(Network):
    """Network of Table 1. `stem` is "imagenet" (stride 2 and a max pool) or "cifar" (stride 1)."""

    def __init__(self, config: Config, *, num_classes: int, in_channels: int, stem: str) -> None:
        super().__init__()
        small = stem == "cifar"
        c_in = config.stem_channels
        self.stem = PooledStem(in_channels, c_in, small=small, style=config)
        _check_widths(config)
        stages: list[nn.Module] = []
        features = []
        stride = 1 if small else 4
        for number, blocks in enumerate(config.blocks):
            c_out = _stage_channels(config)[number]
            units = []
            for block in range(blocks):
                first = not stages and block == 0
                units.append(
                    Unit(
                        c_in,
                        c_out,
                        stride=2 if block == 0 else 1,
                        groups=config.groups,
                        # The first unit has too few input channels for groups (Table 1, note).
                        first_groups=1 if first else config.groups,
                        style=config,
                    )
                )
                c_in = c_out
            stages.append(nn.Sequential(*units))
            stride *= 2
            features.append((c_out, stride))
        self.trunk = nn.Sequential(*stages)
        self.head = ClassifierHead(c_in, num_classes, style=config, dropout=config.dropout)
        self.assemble(in_channels=in_channels, features=features)


def _stage_channels(config: Config) -> list[int]:
    return [round(STAGE_2[config.groups] * 2**number * config.width) for number in range(len(config.blocks))]


def _check_widths(config: Config) -> None:
    """Raise InputError unless the groups divide every bottleneck, and the first unit has channels to add."""
    groups, channels = config.groups, _stage_channels(config)
    odd = [count for count in channels if count % (4 * groups) or (count - config.stem_channels) % groups]
    if odd or channels[0] <= config.stem_channels:
        usual = [width / 4 for width in range(1, 9) if STAGE_2[groups] * width % (16 * groups) == 0]
        near = min(usual, key=lambda width: abs(width - config.width))
        raise InputError(
            f"{groups} groups do not divide bottlenecks of a quarter of {channels} channels "
            f"(width={config.width}, stem_channels={config.stem_channels}); width={near} with {groups} groups works"
        )


def _variant(groups: int, width: float = 1.0, *, params: int, macs: int, top1: float | None = None) -> Variant[Config]:
    stem_channels = 12 if width < 1 else 48 if width == 2 else 24
    config = Config(groups=groups, width=width, stem_channels=stem_channels)
    return Variant(config, params=params, macs=macs, top1=top1, paper="arXiv:1707.01083, Tables 1 and 2")


# params and macs (1000 classes, 3×224×224) are claims that a test measures; top1 is 100 - the paper's error, in %.
VARIANTS = {
    "shufflenet_v1_g1_x0_25": _variant(1, 0.25, params=209_908, macs=13_162_320, top1=42.9),
    "shufflenet_v1_g1_x0_5": _variant(1, 0.5, params=534_484, macs=38_517_408, top1=54.9),
    "shufflenet_v1_g1_x1_0": _variant(1, params=1_531_936, macs=143_078_976, top1=66.4),
    "shufflenet_v1_g1_x1_5": _variant(1, 1.5, params=2_993_032, macs=308_096_352),
    "shufflenet_v1_g1_x2_0": _variant(1, 2.0, params=4_918_744, macs=550_334_592),
    "shufflenet_v1_g2_x1_0": _variant(2, params=1_733_848, macs=140_836_512, top1=67.3),
    "shufflenet_v1_g3_x0_25": _variant(3, 0.25, params=306_124, macs=13_300_656, top1=44.4),
    "shufflenet_v1_g3_x0_5": _variant(3, 0.5, params=718_324, macs=37_589_856, top1=57.0),
    "shufflenet_v1_g3_x1_0": _variant(3, params=1_865_728, macs=137_460_672, top1=67.4),
    "shufflenet_v1_g3_x1_5": _variant(3, 1.5, params=3_442_168, macs=292_443_552, top1=71.5),
    "shufflenet_v1_g3_x2_0": _variant(3, 2.0, params=5_450_776, macs=524_045_184, top1=73.7),
    "shufflenet_v1_g4_x1_0": _variant(4, params=1_968_344, macs=134_339_776, top1=67.2),
    "shufflenet_v1_g8_x1_0": _variant(8, params=2_434_768, macs=138_365_952, top1=67.6),
}
