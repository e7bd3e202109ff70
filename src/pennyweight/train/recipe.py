"""How to train, as a value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from pennyweight.core.errors import InputError
from pennyweight.data import Augment, Balancing, Policy

__all__ = ["ONLY_IN_VIEWS", "Layout", "Mode", "Optimizer", "Precision", "Recipe", "Schedule", "Stretch"]

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


class Stretch(NamedTuple):
    """The first epochs of a training, whose schedule was that of another number of epochs."""

    until: int
    """Epochs done when the rest was planned anew."""
    epochs: int
    """How many it was planned for until then."""


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
    stretches: tuple[Stretch, ...] = ()
    """What was planned at first, where --minutes fitted the rest of the schedule to a busier or quieter machine."""

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
        object.__setattr__(self, "stretches", tuple(Stretch(*row) for row in self.stretches))  # JSON has lists
        ends = [0, *(stretch.until for stretch in self.stretches), self.epochs]
        ordered = all(one < two for one, two in pairwise(ends)) and all(s.until < s.epochs for s in self.stretches)
        whole = (
            "stretches",
            ordered or not self.stretches,
            "rows of [until, epochs], in order, each until before both",
        )
        for name, holds, rule in (*self._choices(), *rules, whole):
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

    def side(self, size: int, epoch: int) -> int:
        """Pixels a side of `epoch`'s training pictures, of which the input has `size`; epochs count from 1."""
        grown = min(1.0, self.position(epoch - 1) / (GROWING * self.planned))
        share = self.first_size + (1 - self.first_size) * grown
        return min(size, max(1, round(share * size / SIDES)) * SIDES)

    @property
    def planned(self) -> int:
        """Epochs of the first plan, which schedules are drawn for."""
        return self.stretches[0].epochs if self.stretches else self.epochs

    def position(self, done: float, unit: int = 1) -> float:
        """Where in the first plan a training stands after so many epochs, or parts of one: `unit` to an epoch.

        What is left of that plan when the rest was planned anew is gone through in as many epochs as there are then.
        """
        if not self.stretches:
            return done
        began, stood, end = 0, 0.0, self.planned * unit
        for until, epochs in self.stretches:
            if done <= until * unit:
                return stood + (done - began) * (end - stood) / (epochs * unit - began)
            stood += (until * unit - began) * (end - stood) / (epochs * unit - began)
            began = until * unit
        return stood + (done - began) * (end - stood) / (self.epochs * unit - began)

    def stretched(self, epochs: int, *, after: int) -> Recipe:
        """The same with its schedule ending after `epochs`, from the end of epoch `after` on."""
        earlier = tuple(stretch for stretch in self.stretches if stretch.until < after)
        until_now = next((stretch.epochs for stretch in self.stretches if stretch.until >= after), self.epochs)
        return replace(self, epochs=epochs, stretches=(*earlier, Stretch(after, until_now)))

    @property
    def plan(self) -> dict[str, Any]:
        """The fields that change while a training runs, as checkpoints keep them."""
        return {"epochs": self.epochs, "stretches": [list(stretch) for stretch in self.stretches]}

    def to_dict(self) -> dict[str, Any]:
        """As run.json keeps it."""
        return asdict(self) | self.plan

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """From what `to_dict` gave; a field that a later version added has its usual value."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
