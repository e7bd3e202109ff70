"""Weight decay where it belongs, and the course of the rate."""

import itertools
import math

import pytest
import torch
from torch import nn

from pennyweight.train.muon import orthogonalize
from pennyweight.train.optimizer import make_optimizer, make_schedule
from pennyweight.train.recipe import Recipe


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LayerNorm(4), nn.Linear(4, 2))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_weights_decay_and_norms_and_biases_do_not(optimizer: str) -> None:
    model = network()
    for parameter in model.parameters():
        nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    recipe = Recipe(optimizer=optimizer, lr=0.1, momentum=0.0, weight_decay=0.5)  # type: ignore[arg-type]
    make_optimizer(model, recipe).step()
    after = {name: parameter.detach().max().item() for name, parameter in model.named_parameters()}
    assert {name for name, value in after.items() if value != 1} == {"0.weight", "4.weight"}
    assert after["0.weight"] == pytest.approx(1 - 0.1 * 0.5)


def test_every_trainable_parameter_is_in_it_once() -> None:
    model = network()
    model[0].requires_grad_(False)
    optimizer = make_optimizer(model, Recipe())
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_sgd_has_its_momentum() -> None:
    def second_step(momentum: float) -> float:
        parameter = nn.Parameter(torch.zeros(2, 2))
        model = nn.Module()
        model.weight = parameter
        optimizer = make_optimizer(model, Recipe(optimizer="sgd", lr=1.0, momentum=momentum, weight_decay=0.0))
        for _ in range(2):
            before = parameter.detach().clone()
            parameter.grad = torch.ones_like(parameter)
            optimizer.step()
        return (before - parameter.detach()).max().item()

    assert second_step(0.0) == 1.0
    # Nesterov: v = 1, then v = 0.5 + 1; the step is gradient + 0.5 v.
    assert second_step(0.5) == pytest.approx(1 + 0.5 * 1.5)


def test_muon_moves_kernels_by_as_much_in_every_direction() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.Linear(8, 2))
    optimizer = make_optimizer(model, Recipe(optimizer="muon", lr=0.1, momentum=0.6, weight_decay=0.0))
    kernel, depthwise = model[0].weight, model[1].weight
    long = kernel.detach() * (8**0.5 / kernel.detach().norm())
    before = depthwise.detach().clone()
    for parameter in model.parameters():
        # One direction has a gradient ten times as large as the next.
        parameter.grad = torch.randn_like(parameter) * torch.logspace(0, -2, len(parameter)).view(
            -1, *[1] * (parameter.ndim - 1)
        )
    optimizer.step()
    moved, slopes = (torch.linalg.svdvals(matrix.reshape(8, -1)) for matrix in (long - kernel.detach(), kernel.grad))
    assert slopes.min() < 0.02 * slopes.max()
    assert moved.min() > 0.02
    assert moved.max() < 0.14
    # SGD with Nesterov momentum: gradient and 0.9 of it, at 2.5 times the rate.
    torch.testing.assert_close(depthwise.detach(), before - 0.25 * 1.9 * depthwise.grad)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 6


@pytest.mark.parametrize("shape", [(8, 72), (72, 8), (16, 16), (1, 9)])
def test_orthogonal_is_the_rounds_as_published(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.manual_seed(0), dtype=torch.float64)
    x = matrix / matrix.norm()
    for _ in range(3):
        square = x @ x.T
        x = 3.4445 * x - 4.7750 * square @ x + 2.0315 * square @ square @ x
    torch.testing.assert_close(orthogonalize(matrix), x, rtol=1e-5, atol=1e-6)  # a length has 1e-7 added
    torch.testing.assert_close(orthogonalize(matrix.float()), x.float(), rtol=1e-3, atol=1e-4)


def rates(recipe: Recipe, steps_per_epoch: int) -> list[float]:
    """The rate of each step."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=recipe.lr)
    schedule = make_schedule(optimizer, recipe, steps_per_epoch)
    taken = []
    for _ in range(recipe.epochs * steps_per_epoch):
        taken.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return taken


def test_a_straight_rise_then_a_cosine_to_nothing() -> None:
    taken = rates(Recipe(epochs=10, lr=0.2, warmup_epochs=2.0), steps_per_epoch=5)
    rise, fall = taken[:10], taken[10:]
    differences = [b - a for a, b in itertools.pairwise(rise)]
    assert rise[0] == pytest.approx(differences[0])  # the line starts at nothing
    assert differences == pytest.approx([differences[0]] * 9)
    assert fall[0] == max(taken) == pytest.approx(0.2)
    assert fall == sorted(fall, reverse=True)
    assert fall[20] == pytest.approx(0.1)  # half way
    assert 0 < fall[-1] < 0.2 * (math.pi / 40) ** 2


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 2), (2, 1), (1, 40), (3, 7)])
def test_a_short_training_still_reaches_its_rate_and_ends_lower(epochs: int, steps: int) -> None:
    taken = rates(Recipe(epochs=epochs, lr=1.0, warmup_epochs=5.0), steps)
    assert max(taken) == 1.0
    assert all(rate > 0 for rate in taken)
    assert epochs * steps <= 2 or taken[-1] < 0.6


def test_no_warm_up_starts_at_the_rate() -> None:
    assert rates(Recipe(epochs=2, lr=0.3, warmup_epochs=0.0), 4)[0] == 0.3
