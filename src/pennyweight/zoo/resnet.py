"""ResNet: blocks that learn what to add to their input.

He et al. 2015, arXiv:1512.03385, Table 1; squeeze-and-excitation: Hu et al. 2017, arXiv:1709.01507.
(B, in_channels, H, W) -> (B, num_classes); stem and trunk divide H and W by 32, in the small-image form by 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pennyweight.nn.residual import ResidualConfig, ResidualNetwork
from pennyweight.zoo.variant import Variant

__all__ = ["VARIANTS", "Config", "ResNet"]


@dataclass(frozen=True, kw_only=True)
class Config(ResidualConfig):
    """Column of Table 1."""


class ResNet(ResidualNetwork):
    """Networks of Table 1."""


def _variant(
    block: Literal["basic", "bottleneck"],
    blocks: tuple[int, ...],
    *,
    params: int,
    macs: int,
    top1: float,
    se: bool = False,
) -> Variant[Config]:
    paper = "arXiv:1709.01507, Table 2" if se else "torchvision, IMAGENET1K_V1"
    return Variant(Config(block=block, blocks=blocks, se=se), params=params, macs=macs, top1=top1, paper=paper)


# params and macs (1000 classes, 3×224×224) are claims that a test measures; top1 is one center crop, in %.
VARIANTS = {
    "resnet18": _variant("basic", (2, 2, 2, 2), params=11_689_512, macs=1_814_073_344, top1=69.8),
    "resnet34": _variant("basic", (3, 4, 6, 3), params=21_797_672, macs=3_663_761_408, top1=73.3),
    "resnet50": _variant("bottleneck", (3, 4, 6, 3), params=25_557_032, macs=4_089_184_256, top1=76.1),
    "resnet101": _variant("bottleneck", (3, 4, 23, 3), params=44_549_160, macs=7_801_405_440, top1=77.4),
    "se_resnet50": _variant("bottleneck", (3, 4, 6, 3), se=True, params=28_088_024, macs=4_091_699_200, top1=76.7),
}
