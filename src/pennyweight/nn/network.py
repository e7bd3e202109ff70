"""Base class of every network: stem, trunk of stages, head. A classifier, and a backbone for other tasks."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.fx import Proxy
from torch.jit import is_scripting, is_tracing  # type: ignore[attr-defined]

from pennyweight.core.errors import InputError
from pennyweight.nn.blocks import last_layer
from pennyweight.nn.init import initialize

__all__ = ["Network", "require_count"]


class Network(nn.Module):
    """(B, in_channels, H, W) -> (B, num_classes) logits: `head(trunk(stem(x)))`.

    The trunk is a sequence of stages, each at one resolution. A family's constructor makes the three parts and
    ends with `assemble`. `head.linear` is the last layer in every family. With 0 classes it passes the pooled features
    on: (B, in_channels, H, W) -> (B, num_features).
    """

    removed_heads = ("head.linear",)
    """Last layer of a network of classes, for the weights of a network of 0 classes."""
    __jit_unused_properties__ = ("num_classes", "num_features")  # torch.jit.script would have to compile them

    if TYPE_CHECKING:  # torch.jit.script would have to compile these annotations
        stem: nn.Module
        trunk: nn.Sequential
        head: nn.Module

        config: Any
        """Config of a network made by name, else None."""
        stem_form: str | None
        """"imagenet" or "cifar" for a network made by name, else None."""
        in_channels: int
        feature_channels: tuple[int, ...]
        """Channels of each stage's output."""
        feature_strides: tuple[int, ...]
        """Ratio of the input's side to the side of each stage's output."""
        smallest_input: int
        """Smallest input side in pixels; with smaller inputs pooling leaves nothing."""

    def assemble(self, *, in_channels: int, features: list[tuple[int, int]], smallest_input: int = 1) -> None:
        """Record (channels, stride) of each stage, and initialize the three parts."""
        self.config = self.stem_form = None
        self.in_channels = in_channels
        self.smallest_input = smallest_input
        self.feature_channels = tuple(channels for channels, _ in features)
        self.feature_strides = tuple(stride for _, stride in features)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        if not is_scripting():  # TorchScript cannot compile the check
            self.check_values(x)
        logits: Tensor = self.head(self.trunk(self.stem(x)))
        return logits

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the output of every stage; `feature_channels` and `feature_strides` describe them."""
        self.check_values(x)
        x = self.stem(x)
        outputs = []
        for stage in self.trunk:
            x = stage(x)
            outputs.append(x)
        return outputs

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 for a network without its last layer."""
        last = self.head.linear
        return last.out_features if isinstance(last, nn.Linear) else 0

    @property
    def num_features(self) -> int:
        """Length of the vector that the last layer takes, and that a network of 0 classes returns."""
        last = self.head.linear  # whose length follows if a pruning library shortens it
        features: int = last.in_features if isinstance(last, nn.Linear) else self.head.num_features  # type: ignore[assignment]
        return features

    def reset_head(self, num_classes: int) -> None:
        """Replace the last layer by a fresh one for `num_classes` classes, in place; 0 removes it."""
        like = next(self.parameters())
        fresh = last_layer(self.num_features, require_count("num_classes", num_classes, least=0))
        initialize(fresh)
        self.head.linear = fresh.to(like.device, like.dtype)

    def check_values(self, x: Any) -> None:
        """Call `check`, but not while torch traces the network: a trace holds no branches and no errors."""
        if not isinstance(x, Proxy) and not is_tracing():  # type: ignore[no-untyped-call]
            self.check(x)

    def check(self, x: Tensor) -> None:
        """Raise InputError unless x is (B, in_channels, H, W) and not too small for the network."""
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise InputError(
                f"expected a batch of shape (B, {self.in_channels}, H, W), received {tuple(x.shape)}; "
                f"create the network with in_channels={x.shape[1] if x.ndim == 4 else self.in_channels} "
                "or change the input"
            )
        # Each side alone: a comparison of both would fix their order in an export with dynamic sizes.
        if any(side < self.smallest_input for side in x.shape[2:]):
            raise InputError(
                f"an input of {x.shape[2]}×{x.shape[3]} pixels is too small: after this network's pooling nothing is "
                f"left; it needs at least {self.smallest_input}×{self.smallest_input}"
            )


def require_count(what: str, count: Any, *, least: int = 1) -> int:
    """Return `count` as an int. Raises InputError unless it is an integer (also numpy's) of at least `least`."""
    try:
        number = operator.index(count)
    except TypeError:
        number = least - 1
    if number < least or isinstance(count, bool):
        raise InputError(f"{what} must be a whole number of at least {least}, not {count!r}")
    return number
