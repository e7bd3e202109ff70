"""Optimizer and learning-rate schedule of a recipe: warm-up, decay, and layer-wise learning-rate decay."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from pennyweight.nn import Network
from pennyweight.train.epoch_plan import EpochPlan
from pennyweight.train.muon import Muon
from pennyweight.train.recipe import Recipe

__all__ = ["RISE", "lr_factor", "make_optimizer", "make_schedule"]

RISE = 0.25
"""Share of a training in which the learning rate of one-cycle rises: its warm-up."""


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Make the recipe's optimizer over the trainable parameters; norms and biases have no weight decay.

    Layer-wise learning-rate decay (`recipe.rate_decay`) makes each stage a parameter group, slower toward the stem.
    """
    undecayed = {
        id(parameter)
        for name, parameter in model.named_parameters()
        if parameter.ndim <= 1 or "bias" in name.rpartition(".")[2]  # Swin's position biases are tables
    }
    groups = []
    for part, factor in _stages(model, recipe.rate_decay):
        trainable = [parameter for parameter in part if parameter.requires_grad]
        for held, decay in (
            ([p for p in trainable if id(p) not in undecayed], recipe.weight_decay),
            ([p for p in trainable if id(p) in undecayed], 0.0),
        ):
            if held or factor == 1.0:
                groups.append({"params": held, "weight_decay": decay, "lr": recipe.lr * factor})
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0)
    if recipe.optimizer == "muon":
        return Muon(groups, momentum=recipe.momentum)
    kind: Any = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    optimizer: torch.optim.Optimizer = kind(groups, lr=recipe.lr)
    return optimizer


def _stages(model: nn.Module, decay: float) -> list[tuple[list[nn.Parameter], float]]:
    """Return the parameters of each stage and its share of the learning rate: 1 for the head, then decay, decay², …

    Stages are the stem, the stages of the trunk, and the head. In a network of another library they are the outermost
    modules; where one of these holds all blocks, each of its blocks is a stage.
    """
    everything = list(model.parameters())
    if decay == 1.0:
        return [(everything, 1.0)]
    parts = _parts(model)
    factors: dict[int, float] = {}
    for distance, part in enumerate(reversed(parts)):
        held = (parameter for layer in part for parameter in layer.parameters())
        factors |= {id(parameter): decay**distance for parameter in held if id(parameter) not in factors}
    # Parameters of the network itself, such as a transformer's positions, come before the first stage.
    first = decay ** len(parts)
    by_factor: dict[float, list[nn.Parameter]] = {}
    for parameter in everything:
        by_factor.setdefault(factors.get(id(parameter), first), []).append(parameter)
    return [(held, factor) for factor, held in by_factor.items()]


def _parts(model: nn.Module) -> list[list[nn.Module]]:
    """List the modules of each stage with parameters, the stem first; consecutive single layers are one stage."""
    if isinstance(model, Network):
        rows: list[nn.Module] = [model.trunk]
    else:  # some have a row of blocks for each stage
        rows = [child for child in model.children() if isinstance(child, nn.Sequential) and _has_blocks(child)]
    outer = [part for child in model.children() for part in (child.children() if [child] == rows else [child])]
    *parts, head = [part for part in outer if any(True for _ in part.parameters())] or [model]
    stages: list[list[nn.Module]] = []
    for part in parts:
        if stages and _is_single(part) and all(map(_is_single, stages[-1])):
            stages[-1].append(part)
        else:
            stages.append([part])
    return [*stages, [head]]


def _is_single(part: nn.Module) -> bool:
    """Return True for a single layer; timm's norms count as single although they hold an activation."""
    return isinstance(part, nn.modules.batchnorm._BatchNorm) or not any(True for _ in part.children())


def _has_blocks(row: nn.Sequential) -> bool:
    """Return True if the row holds blocks, and not single layers only."""
    return any(any(True for _ in part.children()) for part in row)


def make_schedule(
    optimizer: torch.optim.Optimizer, recipe: Recipe, steps_per_epoch: int, plan: EpochPlan | None = None
) -> LambdaLR:
    """Make the learning-rate schedule that `recipe.schedule` names; the loop advances it after every step."""
    return LambdaLR(optimizer, lr_factor(recipe, steps_per_epoch, plan))


def lr_factor(recipe: Recipe, steps_per_epoch: int, plan: EpochPlan | None = None) -> Callable[[int], float]:
    """Return the function from a step, counted from 0, to its share of the highest learning rate.

    `plan` is that of the epochs, where it is no longer the recipe's.
    """
    plan = plan or recipe.epoch_plan
    total = plan.planned * steps_per_epoch
    one_cycle = recipe.schedule == "one-cycle"
    rise = int(RISE * total) if one_cycle else int(recipe.warmup_epochs * steps_per_epoch)
    # A warm-up that would fill the whole training is cut to half of the training.
    warmup = min(rise, total // 2)

    def share(number: int) -> float:
        step = plan.position(number, steps_per_epoch)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if recipe.schedule == "constant":
            return 1.0
        passed = (step - warmup) / max(1, total - warmup)
        return 1 - passed if one_cycle else 0.5 * (1 + math.cos(math.pi * passed))

    return share
