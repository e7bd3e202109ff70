"""What a step makes smaller."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pennyweight.data import Mixed
from pennyweight.train.recipe import Recipe

__all__ = ["compute_loss"]


def compute_loss(
    logits: Tensor,
    targets: Tensor,
    mixed: Mixed | None,
    taught: Tensor | None,
    recipe: Recipe,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Mean over the pictures: cross-entropy, and agreement with a teacher's logits where there are some. -> ()

    A mixed picture is of each of its two classes by its share. `class_weights` (classes,) have a mean of 1 over the
    pictures. Hinton, Vinyals and Dean 2015, arXiv:1503.02531: both sides softened by the temperature, whose square
    keeps gradients at their size.
    """

    def each(classes: Tensor) -> Tensor:
        losses = F.cross_entropy(logits, classes, label_smoothing=recipe.label_smoothing, reduction="none")
        return losses if class_weights is None else losses * class_weights[classes]

    if mixed is None:
        loss = each(targets).mean()
    else:
        others, share = (torch.from_numpy(values).to(logits.device) for values in mixed)
        loss = (share * each(targets) + (1 - share) * each(others)).mean()
    if taught is None:
        return loss
    soft, wanted = (F.log_softmax(values / recipe.temperature, dim=1) for values in (logits, taught))
    agreement = F.kl_div(soft, wanted, reduction="batchmean", log_target=True) * recipe.temperature**2
    return (1 - recipe.distill_share) * loss + recipe.distill_share * agreement
