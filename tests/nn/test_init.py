"""The meta device: a network's shapes, without drawing values."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from pennyweight.nn.init import meta_device
from pennyweight.zoo import create


@pytest.mark.parametrize(
    "make",
    [
        lambda: create("mobilenet_v2_x0_35", num_classes=3),
        lambda: create("vit_ti_16", num_classes=3, blocks=4, size=32),
        lambda: models.swin_t(weights=None, num_classes=3),
    ],
    ids=["convolutions", "attention", "torchvision"],
)
def test_a_network_without_values_has_the_shapes_of_the_real_one(make: Callable[[], nn.Module]) -> None:
    with meta_device():
        sketch = make()
    real = make()
    assert {tensor.device.type for tensor in (*sketch.parameters(), *sketch.buffers())} == {"meta"}
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in sketch.state_dict().items()} == {
        name: (tensor.shape, tensor.dtype) for name, tensor in real.state_dict().items()
    }
    assert [one.requires_grad for one in sketch.parameters()] == [one.requires_grad for one in real.parameters()]


def test_nothing_is_drawn() -> None:
    before = torch.get_rng_state()
    with meta_device():
        create("mobilenet_v1_x0_25", num_classes=3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("fill", [nn.init.ones_, nn.init.trunc_normal_, nn.init.xavier_uniform_, Tensor.normal_])
def test_a_tensor_with_values_is_set_as_elsewhere(fill: Callable[[Tensor], Tensor]) -> None:
    with meta_device():
        torch.manual_seed(0)
        inside = fill(torch.zeros(2, 3, device="cpu"))
    torch.manual_seed(0)
    assert torch.equal(inside, fill(torch.zeros(2, 3)))
    assert inside.any()
