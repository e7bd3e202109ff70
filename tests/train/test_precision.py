"""The path of a step gives what the plain layers give."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pennyweight.train import Recipe
from pennyweight.train.precision import autocast

CPU = torch.device("cpu")
BFLOAT16 = Recipe(precision="bfloat16")


def answer_and_gradients(layer: nn.Conv2d, x: Tensor, *, ours: bool) -> list[Tensor]:
    x = x.clone().requires_grad_()
    layer.zero_grad()
    with autocast(BFLOAT16, CPU) if ours else torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    y.float().square().sum().backward()
    return [value.detach().float() for value in (y, x.grad, layer.weight.grad) if value is not None]


@pytest.mark.parametrize("side", [9, 8, 2])
@pytest.mark.parametrize("stride", [1, 2, (1, 2)])
@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format])
def test_depthwise_convolutions_in_bfloat16_are_the_plain_ones(
    side: int, stride: int | tuple[int, int], order: torch.memory_format
) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(32, 32, 3, stride, padding=1, groups=32)
    x = torch.randn(4, 32, side, side).contiguous(memory_format=order)
    plain, ours = (answer_and_gradients(layer, x, ours=mine) for mine in (False, True))
    for expected, found in zip(plain, ours, strict=True):
        assert found.shape == expected.shape
        assert F.cosine_similarity(found.flatten(), expected.flatten(), dim=0) > 0.9999
        torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05 * float(expected.abs().max()))


def test_other_layers_and_other_precisions_are_left_alone() -> None:
    torch.manual_seed(0)
    dense, x = nn.Conv2d(8, 8, 3, 2), torch.randn(2, 8, 9, 9)
    for plain, ours in zip(*(answer_and_gradients(dense, x, ours=mine) for mine in (False, True)), strict=True):
        assert torch.equal(plain, ours)
    with autocast(Recipe(), CPU):
        assert dense(x).dtype == torch.float32
