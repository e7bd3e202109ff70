"""The loop learns, tells the truth of it, and leaves the rest of the program as it was."""

import copy
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pennyweight.core.errors import PennyweightError
from pennyweight.data import Pictures
from pennyweight.nn import FromPixels
from pennyweight.train import Epoch, reproducible
from pennyweight.train.trainer import Trainer

Make = Callable[..., Any]
CLASSES = [number % 4 for number in range(32)]


def state(network: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(network.state_dict())


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def logits_of(network: nn.Module, pictures: Pictures) -> tuple[Tensor, Tensor]:
    """What `network` in its present mode says of all pictures at once, and the truth."""
    from_pixels = FromPixels(pictures.preprocess.mean, pictures.preprocess.std)
    with torch.no_grad():
        batch = next(pictures.in_order(len(pictures)))
        return network(from_pixels(torch.from_numpy(batch.pixels))), torch.from_numpy(batch.targets)


# Learning


def learn_noise(make_network: Make, make_pictures: Make, run_training: Make, **recipe: Any) -> float:
    """Train on 32 pictures of noise, which only a loop that learns can tell apart; accuracy on them."""
    pictures = make_pictures(CLASSES)
    network = make_network(dropout=0.0)
    run_training(network, pictures, pictures, **{"epochs": 20, "batch": 8, "lr": 1e-2, **recipe})
    logits, targets = logits_of(network, pictures)
    return float((logits.argmax(1) == targets).float().mean())


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        pytest.param({"optimizer": "sgd", "lr": 0.05, "weight_decay": 5e-4}, marks=pytest.mark.slow),
        pytest.param({"warmup_epochs": 2.0}, marks=pytest.mark.slow),
    ],
)
def test_it_learns_32_pictures_by_heart(
    make_network: Make, make_pictures: Make, run_training: Make, recipe: dict[str, Any]
) -> None:
    assert learn_noise(make_network, make_pictures, run_training, **recipe) == 1.0


def test_that_check_fails_when_gradients_are_cleared_before_the_step(
    make_network: Make, make_pictures: Make, run_training: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradients = Trainer._gradients

    def forgetful(self: Trainer, *arguments: Any) -> tuple[float, float]:
        found = gradients(self, *arguments)
        self.progress.optimizer.zero_grad()
        return found

    monkeypatch.setattr(Trainer, "_gradients", forgetful)
    assert learn_noise(make_network, make_pictures, run_training) < 0.6


@pytest.mark.parametrize(("count", "batch", "sizes"), [(33, 32, [17, 16]), (5, 2, [3, 2])])
def test_one_picture_more_than_whole_batches_is_trained_on_too(
    make_network: Make, make_pictures: Make, run_training: Make, count: int, batch: int, sizes: list[int]
) -> None:
    # Batch norm over single values raises for a batch of one picture.
    pictures = make_pictures([number % 4 for number in range(count)])
    _, told = run_training(make_network(), pictures, pictures, batch=batch, epochs=2)
    assert told.started == [(1, 2), (2, 2)]
    assert [images for _, images in told.steps] == sizes * 2


def test_frozen_parameters_stay(make_network: Make, make_pictures: Make, run_training: Make) -> None:
    network = make_network()
    network.conv.requires_grad_(False)
    before = state(network)
    pictures = make_pictures(CLASSES)
    run_training(network, pictures, pictures)
    assert torch.equal(before["conv.weight"], network.conv.weight)
    assert not torch.equal(before["linear.weight"], network.linear.weight)


def test_pictures_grow(make_pictures: Make, run_training: Make) -> None:
    """Those of validation are whole."""
    seen: dict[bool, list[int]] = {True: [], False: []}

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            seen[self.training].append(x.shape[-1])
            logits: Tensor = self.linear(x.mean((2, 3)))
            return logits

    pictures = make_pictures(CLASSES)
    run_training(Watched(), pictures, pictures, first_size=0.5, epochs=3, batch=32)
    assert seen == {True: [4, 4, 8], False: [8, 8, 8]}


# Reproducibility


def test_one_seed_gives_the_same_bits_and_another_does_not(
    make_network: Make, make_pictures: Make, run_training: Make
) -> None:
    pictures = make_pictures(CLASSES)

    def outcome(seed: int) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
        network = make_network()
        torch.manual_seed(random.randrange(1 << 30))  # what the caller drew before does not matter
        _, told = run_training(network, pictures, pictures, seed=seed, batch=8, flip=True, shift=0.125)
        timings = {"seconds", "images_per_s", "loader_share"}
        return state(network), [{k: v for k, v in line.items() if k not in timings} for line in told.finished]

    (weights, lines), (again, lines_again), (other, other_lines) = outcome(0), outcome(0), outcome(1)
    assert equal(weights, again)
    assert lines == lines_again
    assert not equal(weights, other)
    assert lines != other_lines


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("lr", [1e-3, 1e30])
def test_global_state_is_as_before(
    make_network: Make, make_pictures: Make, run_training: Make, deterministic: bool, lr: float
) -> None:
    pictures = make_pictures(CLASSES)
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    try:
        before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
        if lr > 1:  # also when it fails
            with pytest.raises(PennyweightError):
                run_training(make_network(), pictures, pictures, lr=lr)
        else:
            run_training(make_network(), pictures, pictures, lr=lr)
        assert torch.equal(before[0], torch.get_rng_state())
        assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())
        assert torch.are_deterministic_algorithms_enabled() is deterministic
        if deterministic:
            assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


def test_reproducible_draws_from_the_seed_and_then_steps_aside() -> None:
    before = torch.get_rng_state()
    with reproducible(3):
        first = torch.rand(4)
        assert torch.are_deterministic_algorithms_enabled()
    with reproducible(3):
        assert torch.equal(first, torch.rand(4))
    with reproducible(4):
        assert not torch.equal(first, torch.rand(4))
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.are_deterministic_algorithms_enabled()


# Figures


class Stubborn(nn.Module):
    """Always answers class 0, by a known margin, whatever the gradient says."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tensor([2.0, 0.0]) + 0 * self.weight.expand(len(x), 2)


def test_training_figures_are_over_the_whole_epoch(make_pictures: Make, run_training: Make) -> None:
    # 41 pictures in batches of 7 and 6: neither the last batch nor the mean of batches can give 22/41.
    pictures = make_pictures([0] * 22 + [1] * 19)
    smoothing = 0.2
    best, told = run_training(Stubborn(), pictures, pictures, batch=7, epochs=3, label_smoothing=smoothing)
    correct, wrong = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    plain = (22 * correct + 19 * wrong) / 41
    smoothed = (1 - smoothing) * plain + smoothing * (correct + wrong) / 2
    for epoch, _ in told.epochs:
        assert epoch.train_accuracy == 22 / 41
        assert epoch.train_loss == pytest.approx(smoothed, rel=1e-6)
        # Without label smoothing, or it could not be compared with evaluation.json's.
        assert epoch.val_accuracy == 22 / 41
        assert epoch.val_loss == pytest.approx(plain, rel=1e-6)
    assert best == told.epochs[0][0]


def test_validation_is_of_the_network_at_rest(make_network: Make, make_pictures: Make, run_training: Make) -> None:
    """Eval mode, pictures as they are, and the figures that anyone gets from the weights of that moment."""
    training, validation = make_pictures(CLASSES), make_pictures(CLASSES[:21], seed=1)
    network = make_network(dropout=0.9)
    expected = []

    def measure(epoch: Epoch, best: bool) -> None:
        assert not any(module.training for module in network.modules())
        before = state(network)
        logits, targets = logits_of(network, validation)
        expected.append((F.cross_entropy(logits, targets).item(), float((logits.argmax(1) == targets).double().mean())))
        assert equal(before, state(network))

    _, told = run_training(network, training, validation, batch=8, after_epoch=measure, flip=True, shift=0.25)
    for (epoch, _), (loss, accuracy) in zip(told.epochs, expected, strict=True):
        assert epoch.val_loss == pytest.approx(loss, rel=1e-5)
        assert epoch.val_accuracy == pytest.approx(accuracy)
    assert not network.training


def test_training_is_in_training_mode_in_every_epoch(
    make_network: Make, make_pictures: Make, run_training: Make
) -> None:
    modes = []
    network = make_network()
    network.register_forward_hook(lambda module, args, output: modes.append(module.training))
    pictures = make_pictures(CLASSES)
    run_training(network, pictures, pictures, batch=16)
    assert modes == [True, True, False, False] * 2


def test_the_caller_is_told_after_each_epoch_while_the_network_holds_it(
    make_network: Make, make_pictures: Make, run_training: Make
) -> None:
    network = make_network()
    pictures = make_pictures(CLASSES)
    kept: list[dict[str, Tensor]] = []
    _, told = run_training(
        network, pictures, pictures, epochs=3, after_epoch=lambda epoch, best: kept.append(state(network))
    )
    assert len(kept) == 3
    assert not equal(kept[0], kept[1])
    assert equal(kept[2], state(network))
    assert told.finished == [epoch.to_dict() for epoch, _ in told.epochs]


# Failure


# Augmentation


@pytest.mark.parametrize(("recipe", "changes"), [({"flip": True, "shift": 0.2}, True), ({}, False)])
def test_the_network_sees_other_pictures_each_epoch_where_the_recipe_says_so(
    make_network: Make, make_pictures: Make, run_training: Make, recipe: dict[str, Any], changes: bool
) -> None:
    pictures = make_pictures(CLASSES)
    network = make_network()
    seen: list[Tensor] = []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]) if module.training else None)
    run_training(network, pictures, pictures, batch=len(CLASSES), epochs=2, **recipe)
    plain = FromPixels(pictures.preprocess.mean, pictures.preprocess.std)(
        torch.from_numpy(next(pictures.in_order(len(pictures))).pixels)
    )

    def rows(batch: Tensor) -> set[tuple[float, ...]]:
        """Whatever the order of the epoch."""
        return {tuple(row.tolist()) for row in batch.flatten(1)}

    first, second = map(rows, seen)
    assert (first != rows(plain)) is changes
    assert (first != second) is changes
