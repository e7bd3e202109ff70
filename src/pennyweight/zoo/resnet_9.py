"""ResNet-9: nine layers for small images, because on a CPU dense small networks learn more per second.

After Page 2018, "How to train your ResNet" (DAWNBench): a convolution; three times a convolution and a max pool, the
first and last followed by a residual block of two convolutions; a max pool and a linear layer. As in Jordan 2024
(airbench) each pool comes before its norm and activation, which then process a quarter of the values. (B, in_channels,
H, W) -> (B, num_classes); the trunk divides H and W by 8, and the stem for large images by 4 more.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from pennyweight.nn import ClassifierHead, Network, PooledStem, divisible
from pennyweight.nn.dilation import IN_PLACE
from pennyweight.nn.residual import Residual, ResidualStyle, basic
from pennyweight.zoo.variant import Variant

__all__ = ["VARIANTS", "Config", "ResNet9"]


@dataclass(frozen=True, kw_only=True)
class Config(ResidualStyle):
    """Sizes of a ResNet-9."""

    residual_blocks: tuple[int, ...] = (1, 0, 1)
    """Residual blocks at the end of each stage."""
    width: float = 1.0
    """Factor on every channel count."""


class ResNet9(Network):
    """Stem and three stages of 2, 4 and 8 times its channels. `stem` is "imagenet" (stride 2, max pool) or "cifar"."""

    def __init__(self, config: Config, *, num_classes: int, in_channels: int, stem: str) -> None:
        super().__init__()
        small = stem == "cifar"
        c_in = divisible(config.channels * config.width)
        self.stem = PooledStem(in_channels, c_in, small=small, style=config)
        stages: list[nn.Module] = []
        features = []
        reached, last = 0, max(1, sum(config.residual_blocks) - 1)
        scale = 1 if small else 4
        for number, blocks in enumerate(config.residual_blocks, 1):
            c_out = divisible(config.channels * 2**number * config.width)
            stage = [config.conv(c_in, c_out, 3), nn.MaxPool2d(2), config.norm(c_out), config.act()]
            for _ in range(blocks):
                layers, _ = basic(c_out, c_out, step=IN_PLACE, config=config)
                drop_path = config.drop_path * reached / last
                stage.append(Residual(layers, c_out, c_out, step=IN_PLACE, config=config, drop_path=drop_path))
                reached += 1
            stages.append(nn.Sequential(*stage))
            c_in = c_out
            scale *= 2
            features.append((c_out, scale))
        self.trunk = nn.Sequential(*stages)
        self.head = ClassifierHead(c_in, num_classes, style=config, dropout=config.dropout, pool=PeakPool())
        self.assemble(in_channels=in_channels, features=features, smallest_input=scale)


class PeakPool(nn.Module):
    """Largest value of each channel, scaled by an eighth, so that logits start small and change slowly.

    (B, C, H, W) -> (B, C, 1, 1). Page 2018 scales its logits in this way.
    """

    def forward(self, x: Tensor) -> Tensor:
        return 0.125 * x.amax((2, 3), keepdim=True)


def _variant(width: float, *, params: int, macs: int) -> Variant[Config]:
    return Variant(
        Config(width=width),
        params=params,
        macs=macs,
        top1=None,
        paper="Page 2018, DAWNBench",
        input_shape=(3, 32, 32),
        stem="cifar",
        num_classes=10,
    )


# params and macs (10 classes, 3×32×32) are claims that a test measures.
VARIANTS = {
    "resnet_9_x0_25": _variant(0.25, params=412_954, macs=24_036_608),
    "resnet_9_x0_375": _variant(0.375, params=927_010, macs=53_749_632),
    "resnet_9_x0_5": _variant(0.5, params=1_646_122, macs=95_259_136),
    "resnet_9": _variant(1.0, params=6_573_130, macs=379_261_952),
}
