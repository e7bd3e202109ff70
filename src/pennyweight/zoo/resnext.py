"""ResNeXt: bottlenecks that are sums of many narrow paths, written as one grouped convolution.

Xie et al. 2016, arXiv:1611.05431, Table 1 and Sec. 5.1 (CIFAR); squeeze-and-excitation: Hu et al. 2017,
arXiv:1709.01507. (B, in_channels, H, W) -> (B, num_classes); four stages divide H and W by 32, ResNeXt-29's three by 4.
"""

from __future__ import annotations

from dataclasses import dataclass

from pennyweight.nn.residual import ResidualConfig, ResidualNetwork
from pennyweight.zoo.variant import Variant

__all__ = ["VARIANTS", "Config", "ResNeXt"]


@dataclass(frozen=True, kw_only=True)
class Config(ResidualConfig):
    """Config of a ResNeXt: 32x4d means `groups` = 32 paths of `group_channels` = 4 channels in the first stage."""


class ResNeXt(ResidualNetwork):
    """Networks of Table 1."""


def _imagenet(
    blocks: tuple[int, ...], groups: int, d: int, *, params: int, macs: int, top1: float | None, se: bool = False
) -> Variant[Config]:
    config = Config(blocks=blocks, groups=groups, group_channels=d, se=se)
    paper = "arXiv:1709.01507, Table 2" if se else "arXiv:1611.05431, Tables 3 and 4"
    return Variant(config, params=params, macs=macs, top1=top1, paper=paper)


def _cifar(groups: int, d: int, *, params: int, macs: int) -> Variant[Config]:
    config = Config(blocks=(3, 3, 3), groups=groups, group_channels=d)
    paper = "arXiv:1611.05431, Sec. 5.1"
    return Variant(
        config, params=params, macs=macs, top1=None, paper=paper, input_shape=(3, 32, 32), stem="cifar", num_classes=10
    )


# params and macs are claims that a test measures: 1000 classes at 3×224×224, ResNeXt-29 10 classes at 3×32×32.
VARIANTS = {
    "resnext50_32x4d": _imagenet((3, 4, 6, 3), 32, 4, params=25_028_904, macs=4_230_479_872, top1=77.8),
    "resnext101_32x8d": _imagenet((3, 4, 23, 3), 32, 8, params=88_791_336, macs=16_414_015_488, top1=None),
    "resnext101_64x4d": _imagenet((3, 4, 23, 3), 64, 4, params=83_455_272, macs=15_460_270_080, top1=79.6),
    "se_resnext50_32x4d": _imagenet((3, 4, 6, 3), 32, 4, se=True, params=27_559_896, macs=4_232_994_816, top1=78.9),
    "resnext29_32x4d": _cifar(32, 4, params=4_775_754, macs=774_055_936),
    "resnext29_2x64d": _cifar(2, 64, params=9_130_314, macs=1_411_065_856),
    "resnext29_8x64d": _cifar(8, 64, params=34_426_698, macs=5_387_266_048),
    "resnext29_16x64d": _cifar(16, 64, params=68_155_210, macs=10_688_866_304),
}
