"""Before a long run, in seconds: what would make it worthless is found, and named with its likely cause."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pennyweight.core.errors import PennyweightError
from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Batch
from pennyweight.train.interrupts import interruptible_backward
from pennyweight.train.precision import apply_memory_format, batch_norms, disable_dropout, make_inputs, set_train_mode
from pennyweight.train.recipe import Recipe

__all__ = ["preflight"]

PICTURES = 16
STEPS = 40
RATE = 2e-3
LEARNED = 0.7
"""Share of its loss at the start, or by guessing, below which a batch counts as learnt."""
SECONDS = 20.0
"""One batch has so long to be learnt; a large network has fewer steps, and is asked for less."""
START = 1.0
"""How far above ln(classes) the loss may start."""
CALIBRATION = 30
ALIKE = 0.5
"""Cosine between the logits of the two modes, below which they are not of one network."""
FEW = 8
"""Norms of fewer pictures make much of rounding, layer after layer."""


def preflight(model: nn.Module, batch: Batch, recipe: Recipe, *, preprocess: Preprocess, classes: int) -> list[str]:
    """Check a copy of `model` on one batch; what was found, a line each.

    The loss at the start is near ln(classes), every parameter gets a gradient, train and eval mode agree, and the batch
    can be learnt. Raises PennyweightError that names all that fails.
    """
    copied = copy.deepcopy(model)
    apply_memory_format(copied, recipe)
    few = Batch(batch.pixels[:PICTURES], batch.targets[:PICTURES])
    x, targets = make_inputs(preprocess, recipe, next(copied.parameters()).device)(few)
    disable_dropout(copied)  # it would hide what is looked for
    set_train_mode(copied, recipe)
    with interruptible_backward(copied):
        found = [
            _start(copied, x, targets, classes),
            _gradients(copied, x, targets),
            _agreement(copied, x),
            # Weights that have learnt are moved as gently as the training will move them.
            _overfit(copied, x, targets, classes, min(RATE, recipe.lr) if recipe.mode == "finetune" else RATE),
        ]
    failed = [line for passed, line in found if not passed]
    if failed:
        raise PennyweightError(f"pre-flight: {'; '.join(failed)} (--no-preflight trains all the same)")
    return [f"pre-flight: {line}" for _, line in found]


Finding = tuple[bool, str]


def _start(model: nn.Module, x: Tensor, targets: Tensor, classes: int) -> Finding:
    """Untrained, every class is as likely as any other."""
    with torch.no_grad():
        loss = F.cross_entropy(model(x), targets).item()
    expected = math.log(classes)
    line = f"the loss starts at {loss:.2f}, where guessing gives ln({classes}) = {expected:.2f}"
    if math.isfinite(loss) and loss <= expected + START:
        return True, line
    return False, f"{line}: the last layer starts too large, or the pictures are not normalised as the weights expect"


def _gradients(model: nn.Module, x: Tensor, targets: Tensor) -> Finding:
    """A parameter without one never learns."""
    model.zero_grad()
    F.cross_entropy(model(x), targets).backward()  # type: ignore[no-untyped-call]
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    without = [name for name, p in trained if p.grad is None or not p.grad.abs().sum() > 0]
    if not without:
        return True, f"all {len(trained)} parameters get a gradient"
    return False, (
        f"{len(without)} of {len(trained)} parameters get no gradient, first '{without[0]}': "
        "a part that forward does not use, or whose units are all dead"
    )


def _agreement(model: nn.Module, x: Tensor) -> Finding:
    """Eval mode answers as train mode does."""
    alike = _alike(copy.deepcopy(model), x)
    if alike < ALIKE and len(x) < FEW and any(batch_norms(model)):
        alike = _alike(copy.deepcopy(model).cpu().double(), x.cpu().double())
    if alike >= ALIKE:
        return True, f"train and eval mode answer alike (cosine {alike:.2f})"
    return False, (
        f"eval mode answers otherwise than train mode (cosine {alike:.2f}): a layer beyond dropout and "
        "batch norm changes with the mode, a norm whose running figures do not follow, or weights that their norms "
        "were folded into (--set freeze_norms=true)"
    )


def _alike(copied: nn.Module, x: Tensor) -> float:
    """Cosine between the answers of the two modes, once norms have seen a batch often enough."""
    norms, seen = [norm for norm in batch_norms(copied) if norm.training], {}
    with torch.no_grad():
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean, which needs few passes
            norm.register_forward_pre_hook(lambda norm, args: seen.update({norm: args[0].numel() // args[0].shape[1]}))
        started = time.monotonic()
        for _ in range(CALIBRATION):
            training = copied(x)
            if time.monotonic() - started > SECONDS / 2:
                break
        for norm in norms:  # Bessel's correction, which train mode does without and a deep network would amplify
            if norm.running_var is not None and norm in seen:
                norm.running_var *= 1 - 1 / seen[norm]
        resting = copied.eval()(x)
    return float(F.cosine_similarity(training.flatten(), resting.flatten(), dim=0))


def _overfit(model: nn.Module, x: Tensor, targets: Tensor, classes: int, rate: float) -> Finding:
    """A network that cannot learn a few pictures learns nothing from many."""
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=rate)
    losses = []
    for _ in _within(STEPS, SECONDS):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    way = f"loss {losses[0]:.2f} to {min(losses):.2f} in {len(losses)} steps at rate {rate:g}"
    if min(losses) < LEARNED * min(losses[0], math.log(classes)):
        return True, f"one batch can be learnt: {way}"
    return False, (
        f"one batch cannot be learnt: {way}: labels that say nothing of the pictures, frozen weights, or gradients "
        "that vanish"
    )


def _within(steps: int, seconds: float) -> Iterator[int]:
    """So many numbers, or as many as there is time for; at least five."""
    started = time.monotonic()
    for number in range(steps):
        if number >= 5 and time.monotonic() - started > seconds:
            return
        yield number
