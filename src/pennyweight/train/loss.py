"""Training loss: cross-entropy with label smoothing, mixup, class weights and distillation."""

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
    """Compute the mean loss over a batch.

    Distillation is of Hinton, Vinyals and Dean 2015, arXiv:1503.02531: both distributions are softened by the
    temperature, and the temperature squared keeps the gradients' scale.

    Args:
        logits: The network's answers, (B, classes).
        targets: Class of each picture, (B,).
        mixed: Second class of each picture mixed by mixup or CutMix, and the first one's share; None without mixing.
        taught: Logits of the teacher, (B, classes); None without distillation.
        recipe: Gives `label_smoothing`, `distill_share` and `temperature`.
        class_weights: Weight of each class, (classes,), with a mean of 1 over the pictures.

    Returns:
        Cross-entropy, or its weighted mean with the KL divergence from the teacher, as a scalar tensor ().
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
