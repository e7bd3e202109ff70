"""The form of every network: stem, trunk of stages, head. A classifier, and a backbone for anything else."""

from __future__ import annotations

import operator
from typing import Any

from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.nn.init import initialise

__all__ = ["Network", "at_least_one"]


class Network(nn.Module):
    """(B, in_channels, H, W) -> (B, num_classes) logits: `head(trunk(stem(x)))`.

    The trunk is a sequence of stages, each at one resolution. A family's constructor makes the three parts and
    ends with `assemble`. `head.linear` is the last layer in every family.
    """

    stem: nn.Module
    trunk: nn.Sequential
    head: nn.Module

    config: Any = None
    """The Config that it was made from, where a name made it."""
    stem_form: str | None = None
    """imagenet or cifar, likewise."""
    in_channels: int
    feature_channels: tuple[int, ...]
    """Channels of each stage's output."""
    feature_strides: tuple[int, ...]
    """How many times smaller than the input each stage's output is, along H and W."""

    smallest_input: int
    """Pixels a side below which pooling leaves nothing."""

    def assemble(self, *, in_channels: int, features: list[tuple[int, int]], smallest_input: int = 1) -> None:
        """Note what the parts are, (channels, stride) for each stage, and initialise them."""
        self.in_channels = in_channels
        self.smallest_input = smallest_input
        self.feature_channels = tuple(channels for channels, _ in features)
        self.feature_strides = tuple(stride for _, stride in features)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        logits: Tensor = self.head(self.trunk(self.stem(x)))
        return logits

    def features(self, x: Tensor) -> list[Tensor]:
        """The output of every stage, as `feature_channels` and `feature_strides` say."""
        self.check(x)
        x = self.stem(x)
        outputs = []
        for stage in self.trunk:
            x = stage(x)
            outputs.append(x)
        return outputs

    def reset_head(self, num_classes: int) -> None:
        """Replace the last linear layer by a fresh one for `num_classes` classes, in place."""
        num_classes = at_least_one("num_classes", num_classes)
        old = self.head.linear
        assert isinstance(old, nn.Linear)
        fresh = nn.Linear(old.in_features, num_classes, device=old.weight.device, dtype=old.weight.dtype)
        initialise(fresh)
        self.head.linear = fresh

    def check(self, x: Tensor) -> None:
        """Raise InputError unless x is (B, in_channels, H, W), and large enough that something is left of it."""
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise InputError(
                f"expected a batch of shape (B, {self.in_channels}, H, W), received {tuple(x.shape)}; "
                f"create the network with in_channels={x.shape[1] if x.ndim == 4 else self.in_channels} "
                "or change the input"
            )
        if min(x.shape[2:]) < self.smallest_input:
            raise InputError(
                f"an input of {x.shape[2]}×{x.shape[3]} pixels is too small: this network halves it until nothing is "
                f"left; it needs at least {self.smallest_input}×{self.smallest_input}"
            )


def at_least_one(what: str, count: Any) -> int:
    """`count` as an int, also one of numpy's. Raises InputError unless it is a whole number of at least 1."""
    try:
        number = operator.index(count)
    except TypeError:
        number = 0
    if number < 1 or isinstance(count, bool):
        raise InputError(f"{what} must be a whole number of at least 1, not {count!r}")
    return number
