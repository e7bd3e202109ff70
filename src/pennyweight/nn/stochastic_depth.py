"""Stochastic depth: training skips a residual branch for some samples, so that a deep network trains as a shallow one.

Huang et al. 2016, arXiv:1603.09382, Eq. 5; the kept branches are divided by their probability, as in torchvision.
torchvision's class draws the same numbers, but importing its operators imports torch's compiler: two seconds or more.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["StochasticDepth"]


class StochasticDepth(nn.Module):
    """Branch of a residual block, (B, …) -> same: each sample is zeroed with probability `p` in training."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0.0:
            return x
        # Samples as the channels of one sample: dropout of channels then drops whole samples, and reads no shape,
        # which a symbolic trace does not know.
        return torch.feature_dropout(x.unsqueeze(0), self.p, True).squeeze(0)

    def extra_repr(self) -> str:
        return f"p={self.p}"
