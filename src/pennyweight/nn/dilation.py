"""Output stride: dilated convolutions in place of strides, so that a backbone keeps the resolution of its features.

Yu and Koltun 2015, arXiv:1511.07122; Chen et al. 2017, arXiv:1706.05587, Sec. 3.1. The same weights serve: at every
position that the strided network computes too, the dilated one computes the same value from the same inputs.
With `padding="tf_same"`, which pads by the stride, values differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pennyweight.core.errors import InputError

__all__ = ["IN_PLACE", "Dilatable", "Step", "Strides"]


@dataclass(frozen=True, kw_only=True)
class Dilatable:
    """Config field of the families whose strides can become dilations."""

    output_stride: int | None = None
    """Ratio of the input's side to the last feature map's: 8 or 16 for segmentation; None is the published one."""


class Step(NamedTuple):
    """Stride and dilations of a block."""

    stride: int
    dilation: int
    """Dilation of the block's convolution that has the stride."""
    dilation_after: int
    """Dilation of the block's later convolutions."""
    same_size: bool
    """True if the published block has stride 1, so that a shortcut can pass its input."""


IN_PLACE = Step(1, 1, 1, same_size=True)
"""Step of a block that keeps the size, in a network without dilations."""


class Strides:
    """Strides of successive blocks, of which those beyond an output stride become dilations.

    `scale` is the ratio of the input's side to the side reached so far.
    """

    def __init__(self, scale: int, output_stride: int | None) -> None:
        self.scale = scale
        self.dilation = 1
        self.limit = output_stride
        self.published = [scale]

    def step(self, stride: int) -> Step:
        """Return the stride and dilations of the next block, which has `stride` in the published network."""
        self.published.append(self.published[-1] * stride)
        before = self.dilation
        if stride > 1 and self.limit is not None and self.scale * stride > self.limit:
            self.dilation *= stride
            return Step(1, before, self.dilation, same_size=False)
        self.scale *= stride
        return Step(stride, before, before, same_size=stride == 1)

    def require_reached(self) -> None:
        """Raise InputError unless the blocks end at the requested output stride."""
        if self.limit not in (None, self.scale):
            known = ", ".join(map(str, sorted(set(self.published))))
            raise InputError(
                f"Config field 'output_stride' must be one of {known}, the strides that this network reaches with its "
                f"stem, not {self.limit}"
            )
