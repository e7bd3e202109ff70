"""The loss of a training batch: smoothed, weighted by class, and of two targets where pictures are mixed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pennyweight.data import Mixed

__all__ = ["objective"]


def objective(
    logits: Tensor, targets: Tensor, *, mixed: Mixed | None, weights: Tensor | None, label_smoothing: float
) -> Tensor:
    """Mean cross-entropy of (B, classes) against (B,). `weights` are per class, with a mean of 1 over the pictures.

    A mixed picture is of each of its classes by its share.
    """

    def each(classes: Tensor) -> Tensor:
        losses = F.cross_entropy(logits, classes, label_smoothing=label_smoothing, reduction="none")
        return losses if weights is None else losses * weights[classes]

    if mixed is None:
        return each(targets).mean()
    others, share = (torch.from_numpy(values).to(logits.device) for values in mixed)
    return (share * each(targets) + (1 - share) * each(others)).mean()
