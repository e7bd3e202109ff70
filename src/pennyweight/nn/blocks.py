"""Layers of the convolutional families: a style of layers, convolution with norm and activation, and the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pennyweight.core.errors import InputError

__all__ = [
    "Activation",
    "ClassifierHead",
    "Conv2dTFSame",
    "ConvNormAct",
    "PaddedStyle",
    "Padding",
    "PooledStem",
    "SqueezeExcite",
    "Style",
    "divisible",
    "last_layer",
]

Activation = Literal["relu", "relu6", "leaky_relu_0.1", "silu", "hardswish"]
Padding = Literal["same", "tf_same"]


@dataclass(frozen=True, kw_only=True)
class Style:
    """Activation and norm of a network's layers; the families' Configs inherit these fields.

    Published weights need the values that they were trained with.
    """

    activation: Activation = "relu"
    bn_eps: float = 1e-5

    def __post_init__(self) -> None:
        _one_of("activation", self.activation, get_args(Activation))
        if not self.bn_eps > 0:
            raise InputError(f"Config field 'bn_eps' must be above 0, not {self.bn_eps}")

    def act(self) -> nn.Module:
        """Make an activation module."""
        match self.activation:
            case "relu":
                return nn.ReLU(inplace=True)
            case "relu6":
                return nn.ReLU6(inplace=True)
            case "leaky_relu_0.1":
                return nn.LeakyReLU(0.1, inplace=True)
            case "silu":
                return nn.SiLU(inplace=True)
            case "hardswish":
                return nn.Hardswish(inplace=True)

    def conv(
        self,
        c_in: int,
        c_out: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> nn.Conv2d:
        """Make a convolution padded by K // 2, times its dilation, on every side."""
        padding = dilation * (kernel // 2)
        return nn.Conv2d(c_in, c_out, kernel, stride, padding, dilation, groups, bias)

    def norm(self, channels: int) -> nn.BatchNorm2d:
        """Make a batch norm with this epsilon."""
        return nn.BatchNorm2d(channels, eps=self.bn_eps)


@dataclass(frozen=True, kw_only=True)
class PaddedStyle(Style):
    """Style for families without pooling between their layers, whose weights may come from TensorFlow."""

    padding: Padding = "same"
    """"same": K // 2 on every side. "tf_same": TensorFlow's, with the extra row and column at the bottom and right."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("padding", self.padding, get_args(Padding))

    def conv(
        self,
        c_in: int,
        c_out: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> nn.Conv2d:
        """Make a convolution with this padding; at stride 1 and odd kernels both paddings are equal."""
        if self.padding == "tf_same" and stride > 1:
            return Conv2dTFSame(c_in, c_out, kernel, stride, groups=groups, bias=bias)
        return super().conv(c_in, c_out, kernel, stride=stride, dilation=dilation, groups=groups, bias=bias)


def _one_of(field: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"Config field '{field}' must be one of {', '.join(choices)}, not {value!r}")


class Conv2dTFSame(nn.Conv2d):
    """Convolution padded as TensorFlow's "SAME", with the odd row and column at the bottom and right.

    (B, c_in, H, W) -> (B, c_out, ceil(H/stride), ceil(W/stride)). The state keys are those of nn.Conv2d.
    """

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        padded = F.pad(x, (left, right, top, bottom))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's padding (before, after) of a side of `side` pixels."""
    total = max(kernel - 1 - (side - 1) % stride, 0)
    return total // 2, total - total // 2


torch.fx.wrap("same_padding")  # a symbolic trace has no sizes, so it records the call


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch norm, and the activation unless `act` is False.

    (B, c_in, H, W) -> (B, c_out, H/stride, W/stride).
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int = 1,
        *,
        style: Style,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        act: bool = True,
    ) -> None:
        layers: list[nn.Module] = [
            style.conv(c_in, c_out, kernel, stride=stride, dilation=dilation, groups=groups),
            style.norm(c_out),
        ]
        if act:
            layers.append(style.act())
        super().__init__(*layers)


class PooledStem(nn.Sequential):
    """Convolution of stride 2 and a 3×3 max pool; for small images a convolution of stride 1 without pool.

    (B, c_in, H, W) -> (B, c_out, H/4, W/4), or (B, c_out, H, W) for small images. `kernel` is that of the large form.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int = 3, *, small: bool, style: Style) -> None:
        super().__init__(
            ConvNormAct(c_in, c_out, 3 if small else kernel, stride=1 if small else 2, style=style),
            nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1),
        )


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation: scale channels by weights from the whole image. (B, channels, H, W) -> same.

    Global pool, reduce to `reduced` channels, `act` (default ReLU), expand, sigmoid, scale. Hu et al. 2017,
    arXiv:1709.01507, Fig. 2.
    """

    def __init__(self, channels: int, reduced: int, act: nn.Module | None = None) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, reduced, 1)
        self.act = nn.ReLU(inplace=True) if act is None else act
        self.expand = nn.Conv2d(reduced, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = self.expand(self.act(self.reduce(self.pool(x)))).sigmoid()
        return x * scale


class ClassifierHead(nn.Module):
    """Optional 1×1 convolution to `hidden` channels, global average pool (or `pool`), dropout, linear.

    (B, c_in, H, W) -> (B, num_classes).
    """

    def __init__(
        self,
        c_in: int,
        num_classes: int,
        *,
        style: Style,
        dropout: float = 0.0,
        hidden: int | None = None,
        pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.conv = nn.Identity() if hidden is None else ConvNormAct(c_in, hidden, style=style)
        self.pool = nn.AdaptiveAvgPool2d(1) if pool is None else pool
        self.dropout = nn.Dropout(dropout)
        self.num_features = hidden or c_in
        self.linear = last_layer(self.num_features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.dropout(self.pool(self.conv(x)).flatten(1)))
        return logits


def last_layer(num_features: int, num_classes: int) -> nn.Module:
    """Make the layer that computes the logits; for 0 classes it passes the features on."""
    return nn.Linear(num_features, num_classes) if num_classes else nn.Identity()


def divisible(channels: float, by: int = 8) -> int:
    """Round `channels` to a multiple of `by`, at least `by` and at most 10% down (MobileNetV2's code)."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded
