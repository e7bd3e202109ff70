"""Recipe: every choice of a training, as a value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pennyweight.core.errors import InputError
from pennyweight.core.frame import Sides, Size, sides_of
from pennyweight.data import CHANGES, Augment, Balancing, Policy, PolicyChange
from pennyweight.train.epoch_plan import EpochPlan

__all__ = ["OF_STEPS", "ONLY_IN_VIEWS", "Layout", "Mode", "Optimizer", "Precision", "Recipe", "Schedule"]

Mode = Literal["scratch", "head", "finetune"]
Optimizer = Literal["adamw", "adam", "sgd", "muon", "lbfgs"]
Schedule = Literal["cosine", "one-cycle", "constant"]
Layout = Literal["channels_last", "channels_first"]
Precision = Literal["float32", "bfloat16", "float64"]

GROWING = 3 / 4
"""Share of the epochs in which progressive resizing enlarges pictures."""
HIGHEST = 1e30
"""Highest learning rate: higher ones overflow float32 in an optimizer, which then fails before the loss shows it."""
SIDES = 4
"""Pixels: the side of a growing picture is a multiple of it."""
NEVER_IN_FEATURES: Mapping[str, Any] = {
    "mixup": 0.0, "cutmix": 0.0, "first_size": 1.0, "drop_path": 0.0, "compile": False,
    "freeze_norms": False, "rate_decay": 1.0,
}  # fmt: skip
ONLY_IN_VIEWS: Mapping[str, Any] = {"flip": False, "shift": 0.0, "policy": "none", "without": (), "erase": 0.0}
"""Fields that change pictures, with the value that leaves them unchanged."""
OF_STEPS: Mapping[str, Any] = {
    "epochs": 1, "batch": 32, "accumulate": 1, "lr": 6e-3, "momentum": 0.9, "weight_decay": 0.05, "clip_norm": 0.0,
    "schedule": "cosine", "warmup_epochs": 0.0, "label_smoothing": 0.0, "ema": 0.0, "patience": 0,
}  # fmt: skip
"""Fields that logistic regression, which has no steps, ignores, with their values in its preset."""
OF_OTHER_MODES: Mapping[str, Sequence[str]] = {
    "scratch": ("head_epochs", "head_lr", "views"),
    "head": ("head_epochs", "head_lr", "distill_share", "temperature"),
    "finetune": (),
}
"""Fields that a mode ignores."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every choice of a training. Raises InputError for a value out of range."""

    mode: Mode = "scratch"
    """scratch: every weight at one rate. head: the last linear layer alone. finetune: the head, then every weight."""
    epochs: int = 30
    """Number of epochs: of the last layer in mode head, else of the whole network."""
    batch: int = 32
    """Pictures in a step; the batches of an epoch differ in size by at most one picture."""
    accumulate: int = 1
    """Parts of a step's batch (gradient accumulation), for a batch that does not fit in memory."""
    optimizer: Optimizer = "adamw"
    """adamw, adam (decay in the gradient), sgd with Nesterov momentum, muon for dense convolutions, or lbfgs: logistic
    regression in mode head, whose penalty is chosen in folds."""
    lr: float = 6e-3
    """Highest learning rate; about 0.1 suits muon and sgd, the latter with one-cycle up to 0.4."""
    momentum: float = 0.9
    """Momentum of sgd; about 0.6 suits muon."""
    weight_decay: float = 0.05
    """Weight decay of convolution and linear weights; norms and biases have none. About 5e-4 suits sgd."""
    clip_norm: float = 0.0
    """Largest norm of a step's gradient, over all weights together; 0 does not clip."""
    schedule: Schedule = "cosine"
    """Learning-rate schedule: cosine falls to 0; one-cycle rises for a quarter of the training and falls linearly;
    constant stays."""
    warmup_epochs: float = 2.0
    """Epochs of warm-up, in which the learning rate of cosine and constant rises linearly from 0."""
    label_smoothing: float = 0.1
    """Label smoothing: share of the target that all classes divide equally."""
    flip: bool = True
    """Mirror each picture every other epoch."""
    shift: float = 0.125
    """Move pictures by up to this share of their shorter side."""
    first_size: float = 1.0
    """Progressive resizing: side of the training pictures in the first epoch, as a share of the input's side. It grows
    until the last quarter of the epochs, which has the whole side. Smaller pictures take less time."""
    policy: Policy = "none"
    """trivial (TrivialAugment) or rand (RandAugment): one random change, or two, to each picture."""
    without: tuple[PolicyChange, ...] = ()
    """Changes that the policy leaves out, such as rotate,solarize."""
    erase: float = 0.0
    """Share of the pictures that get a gray box (random erasing)."""
    mixup: float = 0.0
    """Blend pairs of pictures by a share from Beta(mixup, mixup); 0 is off."""
    cutmix: float = 0.0
    """Paste a box of another picture, with a share of the area from Beta(cutmix, cutmix); 0 is off."""
    balance: Balancing = "auto"
    """Treatment of unequal classes: weights in the loss, balanced sampling, none, or chosen by the imbalance."""
    drop_path: float = 0.0
    """Stochastic depth: probability of leaving out the deepest block, in networks that have it."""
    ema: float = 0.0
    """Decay of the exponential moving average of the weights, which is validated and kept (0.998); 0 is off."""
    patience: int = 0
    """Early stopping: epochs without a better validation score after which training ends; 0 never stops early."""
    views: int = 0
    """Augmented views of each picture whose features mode head computes; 0 takes the unchanged pictures."""
    head_epochs: int = 20
    """Epochs in which mode finetune trains the last layer alone, before the whole network."""
    head_lr: float = 3e-3
    """Learning rate of the last layer in those epochs, with adamw."""
    rate_decay: float = 1.0
    """Layer-wise learning-rate decay: factor of the rate from each stage to the stage before it."""
    freeze_norms: bool = False
    """True makes batch norms keep the statistics that came with the first weights, not those of each batch."""
    distill_share: float = 0.7
    """Weight of distillation (agreement with the teacher) in the loss, 0 to 1, if there is a teacher."""
    temperature: float = 4.0
    """Divisor of the teacher's and the student's logits before they are compared."""
    layout: Layout = "channels_last"
    """Memory layout of pictures; channels_last is quicker on most machines."""
    precision: Precision = "float32"
    """bfloat16 computes under autocast, with weights in float32; float64 is for tests of exactness."""
    compile: bool = False
    """True lets torch compile the network."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "without", tuple(self.without))  # JSON has lists
        rules = (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch", self.batch >= 2, "at least 2, because batch norm needs two"),
            ("optimizer", self.optimizer != "lbfgs" or self.mode == "head", "lbfgs in mode head only"),
            ("accumulate", 1 <= self.accumulate <= self.batch // 2, "at least 1, and leave two pictures for each part"),
            ("lr", 0 < self.lr <= HIGHEST, f"above 0 and at most {HIGHEST:g}"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
            ("weight_decay", _positive(self.weight_decay) or self.weight_decay == 0, "at least 0"),
            ("clip_norm", _positive(self.clip_norm) or self.clip_norm == 0, "at least 0"),
            ("warmup_epochs", _positive(self.warmup_epochs) or self.warmup_epochs == 0, "at least 0"),
            ("label_smoothing", 0 <= self.label_smoothing < 1, "at least 0 and below 1"),
            ("shift", 0 <= self.shift <= 0.5, "between 0 and 0.5"),
            ("first_size", 0 < self.first_size <= 1, "above 0 and at most 1"),
            ("without", set(self.without) <= set(CHANGES), f"some of {', '.join(CHANGES)}"),
            ("erase", 0 <= self.erase <= 1, "between 0 and 1"),
            ("mixup", _positive(self.mixup) or self.mixup == 0, "at least 0"),
            ("cutmix", _positive(self.cutmix) or self.cutmix == 0, "at least 0"),
            ("drop_path", 0 <= self.drop_path < 1, "at least 0 and below 1"),
            ("ema", 0 <= self.ema < 1, "at least 0 and below 1"),
            ("patience", self.patience >= 0, "at least 0"),
            ("views", self.views >= 0, "at least 0"),
            ("head_epochs", self.head_epochs >= 1, "at least 1"),
            ("head_lr", 0 < self.head_lr <= HIGHEST, f"above 0 and at most {HIGHEST:g}"),
            ("rate_decay", 0 < self.rate_decay <= 1, "above 0 and at most 1"),
            ("distill_share", 0 <= self.distill_share <= 1, "between 0 and 1"),
            ("temperature", _positive(self.temperature), "above 0"),
        )
        for name, holds, rule in (*self._choices(), *rules):
            if not holds:
                raise InputError(f"recipe field '{name}' must be {rule}, not {getattr(self, name)}")

    def _choices(self) -> list[tuple[str, bool, str]]:
        """Return a rule for each field that is one of several words."""
        return [(name, getattr(self, name) in known, f"one of {', '.join(known)}") for name, known in _words().items()]

    @property
    def augment(self) -> Augment:
        """Augmentation of training pictures."""
        return Augment(
            flip=self.flip,
            shift=self.shift,
            policy=self.policy,
            without=self.without,
            erase=self.erase,
            mixup=self.mixup,
            cutmix=self.cutmix,
        )

    @property
    def idle(self) -> tuple[str, ...]:
        """Names of the fields that differ from their default and have no effect in this mode.

        For example, mode head without `views` computes features of unchanged pictures, so `flip` has no effect there.
        """
        off = {name: getattr(Recipe, name) for name in OF_OTHER_MODES[self.mode]}
        if self.mode == "head":
            off |= NEVER_IN_FEATURES if self.views else {**NEVER_IN_FEATURES, **ONLY_IN_VIEWS}
        if self.optimizer == "lbfgs":
            off |= OF_STEPS
        return tuple(name for name, value in off.items() if getattr(self, name) != value)

    @property
    def part(self) -> int:
        """Largest number of pictures in one forward pass (micro-batch): `batch` / `accumulate`, rounded up."""
        return -(-self.batch // self.accumulate)

    def side(self, size: int, epoch: int, plan: EpochPlan | None = None) -> int:
        """Return the side of the training pictures of an epoch, in pixels (progressive resizing).

        Args:
            size: Side of the network's input in pixels.
            epoch: Number of the epoch, from 1.
            plan: Present plan of the epochs; None for the plan of this recipe.
        """
        plan = plan or self.epoch_plan
        grown = min(1.0, plan.position(epoch - 1) / (GROWING * plan.planned))
        share = self.first_size + (1 - self.first_size) * grown
        return min(size, max(1, round(share * size / SIDES)) * SIDES)

    def sides(self, size: Size, epoch: int, plan: EpochPlan | None = None) -> Sides:
        """Return (height, width) of the training pictures of an epoch in pixels; `side` explains the arguments."""
        height, width = sides_of(size)
        return self.side(height, epoch, plan), self.side(width, epoch, plan)

    @property
    def epoch_plan(self) -> EpochPlan:
        """The first plan of the epochs."""
        return EpochPlan(self.epochs)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name. `without` is missing if it is empty."""
        return {name: value for name, value in asdict(self).items() if name != "without" or value}

    def to_record(self, plan: EpochPlan | None = None) -> dict[str, Any]:
        """Return the recipe as run.json keeps it: its fields, and the plan of the epochs."""
        return self.to_dict() | (plan or self.epoch_plan).to_dict()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Return a recipe from the values of `to_dict` or `to_record`.

        A field that an earlier version did not have gets its default.
        """
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


@cache
def _words() -> Mapping[str, tuple[Any, ...]]:
    """Return the words that a field allows, for each field that is one of several."""
    return {name: get_args(kind) for name, kind in get_type_hints(Recipe).items() if get_origin(kind) is Literal}


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
