"""What a step makes smaller."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from pennyweight.train.mixing import Mixed
from pennyweight.train.recipe import Recipe

__all__ = ["loss_of"]


def loss_of(logits: Tensor, mixed: Mixed, taught: Tensor | None, recipe: Recipe) -> Tensor:
    """Mean over the pictures: cross-entropy, and agreement with a teacher's logits where there are some. -> ()

    Hinton, Vinyals and Dean 2015, arXiv:1503.02531: both sides softened by the temperature, whose square keeps
    gradients at their size.
    """

    def plain(targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)

    loss = plain(mixed.targets)
    if mixed.share < 1:
        loss = mixed.share * loss + (1 - mixed.share) * plain(mixed.others)
    if taught is None:
        return loss
    soft, wanted = (F.log_softmax(values / recipe.temperature, dim=1) for values in (logits, taught))
    agreement = F.kl_div(soft, wanted, reduction="batchmean", log_target=True) * recipe.temperature**2
    return (1 - recipe.distill_share) * loss + recipe.distill_share * agreement
