"""Convolution with its norm and activation, the classifier head, and the rounding of channel counts."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn

from pennyweight.core.errors import InputError

__all__ = ["Activation", "ClassifierHead", "ConvNormAct", "activation", "divisible"]

Activation = Literal["relu", "relu6"]
_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6}


def activation(name: str) -> nn.Module:
    """A new activation module by its name in a Config."""
    if name not in _ACTIVATIONS:
        raise InputError(f"unknown activation '{name}'; there are {', '.join(get_args(Activation))}")
    return _ACTIVATIONS[name](inplace=True)


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch norm, activation (None: none).

    (B, c_in, H, W) -> (B, c_out, H/stride, W/stride), rounded up.
    """

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, act: str | None = "relu"
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(c_out),
        ]
        if act is not None:
            layers.append(activation(act))
        super().__init__(*layers)


class ClassifierHead(nn.Module):
    """Global average pool, dropout, linear. (B, c_in, H, W) -> (B, num_classes)."""

    def __init__(self, c_in: int, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(c_in, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.dropout(self.pool(x).flatten(1)))
        return logits


def divisible(channels: float, by: int = 8) -> int:
    """`channels` rounded to a multiple of `by`, at least `by` and never more than 10% down.

    As MobileNetV2's reference code does.
    """
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded
