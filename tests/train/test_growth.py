"""Pictures that grow: which side each epoch has, and what the network is given."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.train import Recipe
from pennyweight.train.growth import grown, side_in

Make = Callable[..., Any]


@pytest.mark.parametrize("epochs", [1, 2, 7, 20])
@pytest.mark.parametrize(("side", "first"), [(32, 0.625), (224, 0.5), (30, 0.6), (3, 0.5)])
def test_sides_grow_to_the_whole(epochs: int, side: int, first: float) -> None:
    recipe = Recipe(epochs=epochs, first_side=first)
    sides = [side_in(epoch, side, recipe) for epoch in range(1, epochs + 1)]
    assert sides == sorted(sides)
    assert all(first * side - 4 < one <= side for one in sides)
    assert all(one % 4 == 0 or one == side for one in sides)
    if epochs >= 7:
        assert sides[0] < side or side == 3
        assert sides[-(epochs // 4) :] == [side] * (epochs // 4)


def test_whole_pictures_are_left_as_they_are() -> None:
    x = torch.rand(2, 3, 32, 32)
    assert grown(x, 1, Recipe()) is x
    assert grown(x, 20, Recipe(epochs=20, first_side=0.5)) is x


def test_a_smaller_picture_is_the_same_picture_in_the_same_layout() -> None:
    x = torch.linspace(0, 1, 32).expand(2, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    small = grown(x, 1, Recipe(epochs=20, first_side=0.625))
    assert small.shape == (2, 3, 20, 20)
    assert small.is_contiguous(memory_format=torch.channels_last)
    assert small.mean() == pytest.approx(x.mean().item(), abs=1e-3)
    assert torch.all(small[..., 1:] > small[..., :-1])


def test_training_sees_them_grow_and_validation_sees_them_whole(make_pictures: Make, run_training: Make) -> None:
    pictures = make_pictures([0, 1] * 8)
    seen: list[tuple[bool, int]] = []

    class Watched(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            seen.append((self.training, x.shape[-1]))
            return super().forward(x)

    network = Watched(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    run_training(network, pictures, pictures, epochs=4, batch=16, first_side=0.5)
    assert seen == [(True, 4), (False, 8), (True, 4), (False, 8), (True, 4), (False, 8), (True, 8), (False, 8)]


def test_kept_features_do_not_grow() -> None:
    with pytest.raises(InputError, match="'first_side' must be 1 in mode head"):
        Recipe(first_side=0.5, mode="head")
