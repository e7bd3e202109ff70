"""How to train, as a value."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from pennyweight.core.errors import InputError
from pennyweight.data import Balancing, Policy

__all__ = ["Optimizer", "Recipe"]

Optimizer = Literal["adamw", "sgd"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every choice of a training. Raises InputError for a value out of range."""

    epochs: int = 30
    batch: int = 32
    """Pictures a step; the batches of an epoch differ by at most one picture."""
    optimizer: Optimizer = "adamw"
    """adamw, or sgd with Nesterov momentum."""
    lr: float = 6e-3
    """The highest rate; about 0.1 suits sgd."""
    momentum: float = 0.9
    """Of sgd."""
    weight_decay: float = 0.05
    """On convolution and linear weights; norms and biases have none. About 5e-4 suits sgd."""
    warmup_epochs: float = 2.0
    """The rate rises linearly from nothing, then falls along a cosine to nothing."""
    label_smoothing: float = 0.1
    flip: bool = True
    """Mirror each picture with a chance of one half."""
    shift: float = 0.125
    """Move pictures by up to this share of their side."""
    policy: Policy = "none"
    """trivial (TrivialAugment) or rand (RandAugment): one random change, or two, to each picture."""
    erase: float = 0.0
    """Share of the pictures that get a grey box."""
    mixup: float = 0.0
    """Blend pictures by a share from Beta(mixup, mixup); 0 does not."""
    cutmix: float = 0.0
    """Paste a box of another picture, of a share from Beta(cutmix, cutmix); 0 does not."""
    balance: Balancing = "auto"
    """What is done about unequal classes: weights in the loss, balanced sampling, none, or chosen by the imbalance."""

    def __post_init__(self) -> None:
        rules = (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch", self.batch >= 2, "at least 2, because batch norm needs two"),
            ("optimizer", self.optimizer in get_args(Optimizer), f"one of {', '.join(get_args(Optimizer))}"),
            ("lr", math.isfinite(self.lr) and self.lr > 0, "above 0"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
            ("weight_decay", math.isfinite(self.weight_decay) and self.weight_decay >= 0, "at least 0"),
            ("warmup_epochs", math.isfinite(self.warmup_epochs) and self.warmup_epochs >= 0, "at least 0"),
            ("label_smoothing", 0 <= self.label_smoothing < 1, "at least 0 and below 1"),
            ("shift", 0 <= self.shift <= 0.5, "between 0 and 0.5"),
            ("policy", self.policy in get_args(Policy), f"one of {', '.join(get_args(Policy))}"),
            ("erase", 0 <= self.erase <= 1, "between 0 and 1"),
            ("mixup", math.isfinite(self.mixup) and self.mixup >= 0, "at least 0"),
            ("cutmix", math.isfinite(self.cutmix) and self.cutmix >= 0, "at least 0"),
            ("balance", self.balance in get_args(Balancing), f"one of {', '.join(get_args(Balancing))}"),
        )
        for name, holds, rule in rules:
            if not holds:
                raise InputError(f"recipe field '{name}' must be {rule}, not {getattr(self, name)}")

    def to_dict(self) -> dict[str, Any]:
        """As run.json keeps it."""
        return asdict(self)
