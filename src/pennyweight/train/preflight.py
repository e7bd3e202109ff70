"""Pre-flight checks: find in seconds what would make a long training worthless, and name the likely cause."""

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
"""Pictures of the batch that is checked."""
STEPS = 40
"""Steps to learn it."""
RATE = 2e-3
"""Learning rate of these steps, with Adam."""
LEARNED = 0.7
"""Share of the initial loss, or of the loss by guessing, below which a batch counts as learned."""
SECONDS = 20.0
"""Seconds to learn one batch: a large network gets fewer than STEPS steps."""
START = 1.0
"""Largest initial loss above ln(classes)."""
CALIBRATION = 30
"""Passes in which norms collect their running statistics."""
ALIKE = 0.5
"""Smallest cosine between the logits of train and eval mode."""
FEW = 8
"""Number of pictures below which norms amplify rounding from layer to layer, so that float64 decides."""


def preflight(model: nn.Module, batch: Batch, recipe: Recipe, *, preprocess: Preprocess, classes: int) -> list[str]:
    """Check a copy of `model` on one batch before it is trained.

    Four checks: the initial loss is near ln(classes), every parameter gets a gradient, train and eval mode agree, and
    the batch can be learned.

    Args:
        model: The network, on its device.
        batch: Training pictures and their classes; the first 16 are used.
        recipe: The recipe of the training.
        preprocess: Preprocessing that makes the network's input.
        classes: Number of classes.

    Returns:
        One line for each check.

    Raises:
        PennyweightError: A check failed; the message names all that failed.
    """
    copied = copy.deepcopy(model)
    apply_memory_format(copied, recipe)
    few = Batch(batch.pixels[:PICTURES], batch.targets[:PICTURES])
    x, targets = make_inputs(preprocess, recipe, next(copied.parameters()).device)(few)
    disable_dropout(copied)  # it would hide disagreements
    set_train_mode(copied, recipe)
    with interruptible_backward(copied):
        found = [
            _check_initial_loss(copied, x, targets, classes),
            _check_gradients(copied, x, targets),
            _check_modes(copied, x),
            # Trained weights are moved as gently as the training will move them.
            _overfit(copied, x, targets, classes, min(RATE, recipe.lr) if recipe.mode == "finetune" else RATE),
        ]
    failed = [line for passed, line in found if not passed]
    if failed:
        raise PennyweightError(f"pre-flight: {'; '.join(failed)} (--no-preflight trains all the same)")
    return [f"pre-flight: {line}" for _, line in found]


Check = tuple[bool, str]
"""(True if the check passed, its line)."""


def _check_initial_loss(model: nn.Module, x: Tensor, targets: Tensor, classes: int) -> Check:
    """Compare the initial loss with ln(classes), the loss of guessing."""
    with torch.no_grad():
        loss = F.cross_entropy(model(x), targets).item()
    expected = math.log(classes)
    line = f"the loss starts at {loss:.2f}, where guessing gives ln({classes}) = {expected:.2f}"
    if math.isfinite(loss) and loss <= expected + START:
        return True, line
    return False, f"{line}: the last layer starts too large, or the pictures are not normalized as the weights expect"


def _check_gradients(model: nn.Module, x: Tensor, targets: Tensor) -> Check:
    """Find parameters without a gradient, which would never learn."""
    model.zero_grad()
    F.cross_entropy(model(x), targets).backward()  # type: ignore[no-untyped-call]
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    without = [name for name, p in trained if p.grad is None or not p.grad.abs().sum() > 0]
    if not without:
        return True, f"all {len(trained)} parameters get a gradient"
    return False, (
        f"{len(without)} of {len(trained)} parameters get no gradient, first '{without[0]}': "
        "a layer that forward does not use, or whose units are all dead"
    )


def _check_modes(model: nn.Module, x: Tensor) -> Check:
    """Compare the logits of eval mode with those of train mode."""
    cosine = _cosine_of_modes(copy.deepcopy(model), x)
    if cosine < ALIKE and len(x) < FEW and any(batch_norms(model)):
        cosine = _cosine_of_modes(copy.deepcopy(model).cpu().double(), x.cpu().double())
    if cosine >= ALIKE:
        return True, f"train and eval mode agree (cosine {cosine:.2f})"
    return False, (
        f"eval mode differs from train mode (cosine {cosine:.2f}): a layer other than dropout and "
        "batch norm changes with the mode, a norm does not update its running statistics, or the norms were folded "
        "into the weights (--set freeze_norms=true)"
    )


def _cosine_of_modes(copied: nn.Module, x: Tensor) -> float:
    """Return the cosine between the logits of the two modes, after norms have seen the batch CALIBRATION times."""
    norms, seen = [norm for norm in batch_norms(copied) if norm.training], {}
    with torch.no_grad():
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a cumulative mean, which needs few passes
            norm.register_forward_pre_hook(lambda norm, args: seen.update({norm: args[0].numel() // args[0].shape[1]}))
        started = time.monotonic()
        for _ in range(CALIBRATION):
            training = copied(x)
            if time.monotonic() - started > SECONDS / 2:
                break
        for norm in norms:  # undo Bessel's correction, which train mode lacks and a deep network would amplify
            if norm.running_var is not None and norm in seen:
                norm.running_var *= 1 - 1 / seen[norm]
        resting = copied.eval()(x)
    return float(F.cosine_similarity(training.flatten(), resting.flatten(), dim=0))


def _overfit(model: nn.Module, x: Tensor, targets: Tensor, classes: int, rate: float) -> Check:
    """Train on the one batch: a network that cannot learn a few pictures learns nothing from many."""
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=rate)
    losses = []
    for _ in _within(STEPS, SECONDS):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    course = f"loss {losses[0]:.2f} to {min(losses):.2f} in {len(losses)} steps at learning rate {rate:g}"
    if min(losses) < LEARNED * min(losses[0], math.log(classes)):
        return True, f"one batch can be learned: {course}"
    if len(losses) < STEPS:
        return True, f"{SECONDS:.0f} s were too few to learn one batch, which therefore tells nothing: {course}"
    return False, (
        f"one batch cannot be learned: {course}: labels unrelated to the pictures, frozen weights, or vanishing "
        "gradients"
    )


def _within(steps: int, seconds: float) -> Iterator[int]:
    """Yield 0..steps-1, fewer when `seconds` have passed, but at least five."""
    started = time.monotonic()
    for number in range(steps):
        if number >= 5 and time.monotonic() - started > seconds:
            return
        yield number
