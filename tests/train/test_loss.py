"""The loss of a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pennyweight.data import Mixed
from pennyweight.train import Recipe
from pennyweight.train.loss import compute_loss

LOGITS = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_plain_batches_have_torchs_loss(label_smoothing: float) -> None:
    ours = compute_loss(LOGITS, TARGETS, None, None, Recipe(label_smoothing=label_smoothing))
    assert torch.allclose(ours, F.cross_entropy(LOGITS, TARGETS, label_smoothing=label_smoothing))


def test_weights_are_of_the_classes() -> None:
    weights = torch.tensor([0.5, 1.0, 2.0])
    ours = compute_loss(LOGITS, TARGETS, None, None, Recipe(label_smoothing=0.0), weights)
    each = F.cross_entropy(LOGITS, TARGETS, reduction="none")
    assert torch.allclose(ours, (each * weights[TARGETS]).mean())


def test_mixed_pictures_are_of_both_classes_by_their_shares() -> None:
    share = np.linspace(0, 1, 8, dtype=np.float32)
    others = np.roll(TARGETS.numpy(), -1)
    ours = compute_loss(LOGITS, TARGETS, Mixed(others, share), None, Recipe(label_smoothing=0.0))
    soft = torch.zeros(8, 3)
    for number in range(8):
        soft[number, TARGETS[number]] += float(share[number])
        soft[number, others[number]] += 1 - float(share[number])
    assert torch.allclose(ours, F.cross_entropy(LOGITS, soft))
