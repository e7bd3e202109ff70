"""How to train, as a value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pennyweight.core.errors import InputError
from pennyweight.data import Augment, Balancing, Policy
from pennyweight.train.epoch_plan import EpochPlan

__all__ = ["ONLY_IN_VIEWS", "Layout", "Mode", "Optimizer", "Precision", "Recipe", "Schedule"]

Mode = Literal["scratch", "head", "finetune"]
Optimizer = Literal["adamw", "adam", "sgd", "muon"]
Schedule = Literal["cosine", "one-cycle", "constant"]
Layout = Literal["channels_last", "channels_first"]
Precision = Literal["float32", "bfloat16", "float64"]

GROWING = 3 / 4
"""Share of the epochs in which pictures grow."""
HIGHEST = 1e30
"""Rates above it leave float32 in an optimiser, which then fails before the loss shows it."""
SIDES = 4
"""Pictures on their way have a multiple of so many pixels."""
NEVER_IN_FEATURES: Mapping[str, Any] = {
    "mixup": 0.0, "cutmix": 0.0, "first_size": 1.0, "drop_path": 0.0, "compile": False,
    "freeze_norms": False, "rate_decay": 1.0,
}  # fmt: skip
ONLY_IN_VIEWS: Mapping[str, Any] = {"flip": False, "shift": 0.0, "policy": "none", "erase": 0.0}
"""What changes pictures, and the value with which it does not."""
OF_OTHER_MODES: Mapping[str, Sequence[str]] = {
    "scratch": ("head_epochs", "head_lr", "views"),
    "head": ("head_epochs", "head_lr", "distill_share", "temperature"),
    "finetune": (),
}
"""What a mode has no use for."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every choice of a training. Raises InputError for a value out of range."""

    mode: Mode = "scratch"
    """scratch: every weight at one rate. head: the last linear layer alone. finetune: the head, then every weight."""
    epochs: int = 30
    """Of the layer in mode head; else of the whole network."""
    batch: int = 32
    """Pictures a step; the batches of an epoch differ by at most one picture."""
    accumulate: int = 1
    """A step's pictures go through the network in so many parts, for a batch that memory does not hold."""
    optimizer: Optimizer = "adamw"
    """adamw, adam (its decay in the gradient), sgd with Nesterov momentum, or muon for dense convolutions."""
    lr: float = 6e-3
    """The highest rate; about 0.1 suits muon and sgd, the latter with one-cycle up to 0.4."""
    momentum: float = 0.9
    """Of sgd; about 0.6 suits muon."""
    weight_decay: float = 0.05
    """On convolution and linear weights; norms and biases have none. About 5e-4 suits sgd."""
    clip_norm: float = 0.0
    """Longest gradient of a step, over all weights together; 0 leaves gradients as they are."""
    schedule: Schedule = "cosine"
    """cosine falls to nothing; one-cycle rises for a quarter of the training and falls in a line; constant stays."""
    warmup_epochs: float = 2.0
    """The rate rises linearly from nothing for so long, in cosine and constant."""
    label_smoothing: float = 0.1
    flip: bool = True
    """Mirror each picture every other epoch."""
    shift: float = 0.125
    """Move pictures by up to this share of their side."""
    first_size: float = 1.0
    """Share of their side that training pictures have at first; they grow to the whole of it, which the last quarter of
    the epochs has. Smaller pictures take less time."""
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
    drop_path: float = 0.0
    """Stochastic depth: how often the deepest block is left out, where the network has it."""
    ema: float = 0.0
    """Validate and keep a moving average of the weights that forgets this slowly (0.998); 0 is off."""
    patience: int = 0
    """Stop when so many epochs brought no better one on validation; 0 never does."""
    views: int = 0
    """Augmented views of each picture that mode head keeps features of; 0 keeps the pictures as they are."""
    head_epochs: int = 20
    """Epochs of the last layer before finetune lets the rest move."""
    head_lr: float = 3e-3
    """The rate of that layer meanwhile, with adamw."""
    rate_decay: float = 1.0
    """Each stage towards the stem learns at this share of the rate of the one behind it."""
    freeze_norms: bool = False
    """Batch norms normalise by the statistics that the weights came with, as in use, not by those of each batch."""
    distill_share: float = 0.7
    """Of the loss, how much is agreement with the teacher, where there is one."""
    temperature: float = 4.0
    """What the teacher's and the student's logits are divided by before they are compared."""
    layout: Layout = "channels_last"
    """How pictures lie in memory; channels_last is quicker on most machines."""
    precision: Precision = "float32"
    """bfloat16 is autocast, with weights in float32; float64 is for proofs."""
    compile: bool = False
    """Whether torch compiles the network."""

    def __post_init__(self) -> None:
        rules = (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch", self.batch >= 2, "at least 2, because batch norm needs two"),
            ("accumulate", 1 <= self.accumulate <= self.batch // 2, "at least 1, and leave two pictures for each part"),
            ("lr", 0 < self.lr <= HIGHEST, f"above 0 and at most {HIGHEST:g}"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
            ("weight_decay", _positive(self.weight_decay) or self.weight_decay == 0, "at least 0"),
            ("clip_norm", _positive(self.clip_norm) or self.clip_norm == 0, "at least 0"),
            ("warmup_epochs", _positive(self.warmup_epochs) or self.warmup_epochs == 0, "at least 0"),
            ("label_smoothing", 0 <= self.label_smoothing < 1, "at least 0 and below 1"),
            ("shift", 0 <= self.shift <= 0.5, "between 0 and 0.5"),
            ("first_size", 0 < self.first_size <= 1, "above 0 and at most 1"),
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
        """A rule for each field that is one of several words."""
        hints = get_type_hints(Recipe).items()
        words = {name: get_args(kind) for name, kind in hints if get_origin(kind) is Literal}
        return [(name, getattr(self, name) in known, f"one of {', '.join(known)}") for name, known in words.items()]

    @property
    def augment(self) -> Augment:
        """What training changes about a picture."""
        return Augment(
            flip=self.flip,
            shift=self.shift,
            policy=self.policy,
            erase=self.erase,
            mixup=self.mixup,
            cutmix=self.cutmix,
        )

    @property
    def idle(self) -> tuple[str, ...]:
        """Fields that are not as usual and do nothing in this mode: features are of pictures as they are, or of
        `views`, and never mixed."""
        off = {name: getattr(Recipe, name) for name in OF_OTHER_MODES[self.mode]}
        if self.mode == "head":
            off |= NEVER_IN_FEATURES if self.views else {**NEVER_IN_FEATURES, **ONLY_IN_VIEWS}
        return tuple(name for name, value in off.items() if getattr(self, name) != value)

    @property
    def part(self) -> int:
        """Pictures that go through the network together, at most."""
        return -(-self.batch // self.accumulate)

    def side(self, size: int, epoch: int, plan: EpochPlan | None = None) -> int:
        """Return the side in pixels of `epoch`'s training pictures (progressive resizing); epochs count from 1.

        `size` is the side of the input; `plan` is that of the epochs, where it is no longer the recipe's.
        """
        plan = plan or self.epoch_plan
        grown = min(1.0, plan.position(epoch - 1) / (GROWING * plan.planned))
        share = self.first_size + (1 - self.first_size) * grown
        return min(size, max(1, round(share * size / SIDES)) * SIDES)

    @property
    def epoch_plan(self) -> EpochPlan:
        """The first plan of the epochs."""
        return EpochPlan(self.epochs)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    def to_record(self, plan: EpochPlan | None = None) -> dict[str, Any]:
        """Return the recipe as run.json keeps it: its fields, and the plan of the epochs."""
        return self.to_dict() | (plan or self.epoch_plan).to_dict()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe that `to_dict` or `to_record` gave; a field of a later version has its default."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
