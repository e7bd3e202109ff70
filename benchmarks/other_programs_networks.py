"""Networks of three libraries for `other_programs.py`, each made once and copied, with an input that it takes."""

import copy
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from pennyweight import zoo

CLASSES = 5
NETWORKS: dict[str, tuple[str, ...]] = {
    "ours": (
        *("mobilenet_v1_x0_25", "mobilenet_v2_x0_35", "shufflenet_v1_g3_x0_25", "shufflenet_v2_x0_5"),
        *("efficientnet_b0", "resnet18", "se_resnet50", "resnet_9_x0_25", "resnext50_32x4d", "vgg11", "vit_ti_16"),
        *("hybrid_sn", "window_cnn", "spectral_mlp"),
    ),
    "torchvision": (
        *("torchvision:mobilenet_v2", "torchvision:mobilenet_v3_small", "torchvision:shufflenet_v2_x0_5"),
        *("torchvision:efficientnet_b0", "torchvision:resnet18", "torchvision:resnext50_32x4d"),
        *("torchvision:vgg11", "torchvision:vit_b_32"),
    ),
    "timm": (
        *("timm:mobilenetv1_100", "timm:mobilenetv2_050", "timm:mobilenetv3_small_050", "timm:efficientnet_b0"),
        *("timm:resnet18", "timm:seresnet50", "timm:resnext50_32x4d", "timm:vgg11", "timm:vit_tiny_patch16_224"),
    ),
}
"""A small network of each family of ours, and of each of these families and of MobileNetV3 in the other libraries."""
FIXED_SIZE = ("vit", "hybrid_sn", "window_cnn", "spectral_mlp")
"""Starts of the names of networks that take one input size, or a window of a scene."""


def is_fixed(name: str) -> bool:
    """Return whether a network takes one input size only."""
    return name.partition(":")[2].startswith(FIXED_SIZE) or name.startswith(FIXED_SIZE)


@cache
def _made(name: str, options: tuple[tuple[str, Any], ...]) -> nn.Module:
    torch.manual_seed(0)
    return zoo.create(name, **dict(options)).eval()


def make(name: str, **options: Any) -> nn.Module:
    """Make the network in eval mode, for five classes unless `options` say otherwise; the same values every time."""
    config = {"size": 32} if name.startswith("vit_") else {}
    return copy.deepcopy(_made(name, tuple({"num_classes": CLASSES, **config, **options}.items())))


def sample(name: str, batch: int = 2) -> Tensor:
    """Return an input of at most 64×64 pixels where the network takes that, else of its own size."""
    channels, side, _ = zoo.form(name).input_shape
    if name.startswith("vit_") or not is_fixed(name):
        side = 32 if name.startswith("vit_") else min(side, 64)
    torch.manual_seed(1)
    return torch.randn(batch, channels, side, side)


def same(one: Tensor, other: Tensor) -> None:
    """Raise AssertionError where two outputs differ by more than rounding."""
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
