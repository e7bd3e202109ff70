"""VGG: 3×3 convolutions in a row, then three large linear layers.

Simonyan and Zisserman 2014, arXiv:1409.1556, Table 1. (B, in_channels, H, W) -> (B, num_classes); the trunk divides H
and W by 32. The small-image form has one linear layer on the pooled features in place of three, which would be 120 M of
its parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.nn import ClassifierHead, Network, Style
from pennyweight.nn.blocks import last_layer
from pennyweight.zoo.variant import Variant

__all__ = ["VARIANTS", "VGG", "Config"]


@dataclass(frozen=True, kw_only=True)
class Config(Style):
    """Column of Table 1."""

    blocks: tuple[int, ...] = (2, 2, 3, 3, 3)
    """3×3 convolutions of each stage, which ends in a max pool."""
    channels: tuple[int, ...] = (64, 128, 256, 512, 512)
    batch_norm: bool = False
    """Batch norm after every convolution; not in the paper, which predates it."""
    dropout: float = 0.5
    hidden: int = 4096
    """Units of the two inner linear layers; the small-image form has none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.channels) != len(self.blocks):
            raise InputError(
                "Config field 'channels' must hold a number for each of 'blocks', "
                f"not {self.channels} for {self.blocks}"
            )
        if not self.batch_norm and self.bn_eps != Style.bn_eps:
            raise InputError(f"Config field 'bn_eps' ({self.bn_eps}) needs batch_norm: there are no norms without")


class VGGHead(nn.Module):
    """Classifier head: average to 7×7, then three linear layers. (B, c_in, H, W) -> (B, num_classes)."""

    def __init__(self, c_in: int, num_classes: int, config: Config) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(7)
        self.layers = nn.Sequential(
            nn.Linear(c_in * 49, config.hidden),
            config.act(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.hidden),
            config.act(),
            nn.Dropout(config.dropout),
        )
        self.num_features = config.hidden
        self.linear = last_layer(self.num_features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.layers(self.pool(x).flatten(1)))
        return logits


class VGG(Network):
    """Networks of Table 1. `stem` is "imagenet" or "cifar": the first convolution is the same, the head is not."""

    def __init__(self, config: Config, *, num_classes: int, in_channels: int, stem: str) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_convolution(in_channels, config.channels[0], config))
        stages: list[nn.Module] = []
        c_in = config.channels[0]
        for number, (blocks, c_out) in enumerate(zip(config.blocks, config.channels, strict=True)):
            layers: list[nn.Module] = []
            # The first convolution of all is the stem.
            for _ in range(blocks - 1 if number == 0 else blocks):
                layers += _convolution(c_in, c_out, config)
                c_in = c_out
            stages.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
        self.trunk = nn.Sequential(*stages)
        if stem == "cifar":
            if config.hidden != Config.hidden:
                raise InputError(f"Config field 'hidden' ({config.hidden}) has no effect with the stem 'cifar'")
            self.head: nn.Module = ClassifierHead(c_in, num_classes, style=config, dropout=config.dropout)
        else:
            self.head = VGGHead(c_in, num_classes, config)
        features = [(channels, 2 ** (number + 1)) for number, channels in enumerate(config.channels)]
        self.assemble(in_channels=in_channels, features=features, smallest_input=features[-1][1])


def _convolution(c_in: int, c_out: int, config: Config) -> list[nn.Module]:
    norm = [config.norm(c_out)] if config.batch_norm else []
    return [config.conv(c_in, c_out, 3, bias=True), *norm, config.act()]


def _variant(
    blocks: tuple[int, ...], *, params: int, macs: int, top1: float, batch_norm: bool = False
) -> Variant[Config]:
    config = Config(blocks=blocks, batch_norm=batch_norm)
    return Variant(config, params=params, macs=macs, top1=top1, paper="torchvision, IMAGENET1K_V1")


# params and macs (1000 classes, 3×224×224) are claims that a test measures; top1 is one center crop, in %.
_11, _13, _16, _19 = (1, 1, 2, 2, 2), (2, 2, 2, 2, 2), (2, 2, 3, 3, 3), (2, 2, 4, 4, 4)
VARIANTS = {
    "vgg11": _variant(_11, params=132_863_336, macs=7_609_090_048, top1=69.0),
    "vgg11_bn": _variant(_11, batch_norm=True, params=132_868_840, macs=7_609_090_048, top1=70.4),
    "vgg13": _variant(_13, params=133_047_848, macs=11_308_466_176, top1=69.9),
    "vgg13_bn": _variant(_13, batch_norm=True, params=133_053_736, macs=11_308_466_176, top1=71.6),
    "vgg16": _variant(_16, params=138_357_544, macs=15_470_264_320, top1=71.6),
    "vgg16_bn": _variant(_16, batch_norm=True, params=138_365_992, macs=15_470_264_320, top1=73.4),
    "vgg19": _variant(_19, params=143_667_240, macs=19_632_062_464, top1=72.4),
    "vgg19_bn": _variant(_19, batch_norm=True, params=143_678_248, macs=19_632_062_464, top1=74.2),
}
