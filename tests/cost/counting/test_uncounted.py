"""Operators of other libraries, which may have the names of torch's own, and networks that hold some."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pennyweight.cost import MachineProfile, count, lint, predict
from pennyweight.cost.timing.predict import time_notes

LIBRARY = torch.library.Library("mine", "FRAGMENT")
ops = torch.ops.mine

ALIKE: dict[str, tuple[str, Callable[..., Tensor], tuple[int, ...]]] = {
    "convolution": ("(Tensor x, Tensor w) -> Tensor", lambda x, w: torch.conv2d(x, w[:, :, None, None]), (3, 8, 8)),
    "mm": ("(Tensor x, Tensor w) -> Tensor", lambda x, w: x @ w.T, (3,)),
    "linear": ("(Tensor x, Tensor w) -> Tensor", lambda x, w: x @ w.T, (3,)),
    "bmm": ("(Tensor x, Tensor w) -> Tensor", lambda x, w: x @ x.mT, (3, 4)),
    "native_layer_norm": ("(Tensor x, Tensor w) -> Tensor", lambda x, w: x.relu(), (3,)),
    "max_pool2d_with_indices": ("(Tensor x, Tensor w) -> Tensor", lambda x, w: torch.max_pool2d(x, 2), (3, 8, 8)),
    "_scaled_dot_product_flash_attention_for_cpu": ("(Tensor x, Tensor w) -> Tensor", lambda x, w: x * 2, (3, 4)),
    "add_": ("(Tensor(a!) x, Tensor w) -> Tensor(a!)", lambda x, w: x.add_(1), (3,)),
}
for name, (schema, function, _) in ALIKE.items():
    LIBRARY.define(name + schema)
    LIBRARY.impl(name, function, "CompositeExplicitAutograd")
LIBRARY.define("separable(Tensor x, Tensor w) -> Tensor")
LIBRARY.impl("separable", lambda x, w: x @ w.T, "CompositeImplicitAutograd")


class Calls(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.weight = name, nn.Parameter(torch.zeros(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = getattr(ops, self.name)(x.clone(), self.weight)
        return out


@pytest.mark.parametrize("name", ALIKE)
def test_an_operator_of_another_library_is_not_taken_for_torchs_own(name: str, profile: MachineProfile) -> None:
    """With its name it would be predicted as a linear layer, nine milliseconds, or crash for want of arguments."""
    model = Calls(name)
    cost = count(model, ALIKE[name][2], batch=2)
    assert cost.uncounted == {f"mine.{name}": 1}
    assert (cost.macs, [layer.uncounted_calls for layer in cost.layers]) == (0, [1])
    operation = cost.operations[-1]
    assert (operation.name, operation.counted, operation.settings) == (f"mine::{name}", False, None)
    (row,) = predict(cost, profile)
    assert 0 < row.predicted_ms == row.guessed_ms < 0.1
    assert f"no timing exists for mine.{name}" in time_notes(cost, profile)[-1]
    assert lint(cost, profile) == ()


@torch.library.custom_op("mine::conv2d", mutates_args=())
def written_in_python(x: Tensor, weight: Tensor) -> Tensor:
    return torch.conv2d(x, weight[:, :, None, None])


@pytest.mark.parametrize("held", [written_in_python, ops.mm, ops.mm.default])
def test_an_operator_may_be_held_by_the_network(held: Callable[..., Tensor]) -> None:
    model = Calls("mm")
    model.held = held
    model.forward = lambda x: model.held(x, model.weight)  # type: ignore[method-assign]
    cost = count(model, (3, 4, 4) if held is written_in_python else (3,))
    assert set(cost.uncounted) <= {"mine.conv2d", "mine.mm"}
    assert (cost.macs, len(cost.uncounted)) == (0, 1)


def test_an_operator_that_consists_of_torchs_is_counted_as_they_are() -> None:
    cost = count(Calls("separable"), (3,), batch=2)
    assert (cost.macs, cost.uncounted) == (2 * 12, {})


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantized_layers_are_weighed_and_their_time_is_said_not_to_be_known(profile: MachineProfile) -> None:
    quantization = torch.ao.quantization
    model = nn.Sequential(quantization.QuantStub(), nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 5)).eval()
    model.qconfig = quantization.get_default_qconfig("x86")
    prepared = quantization.prepare(model)
    prepared(torch.randn(1, 3, 8, 8))
    cost = count(quantization.convert(prepared), (3, 8, 8))
    assert {"quantized.conv2d", "quantized.linear"} <= cost.uncounted.keys()
    assert sum(row.predicted_ms for row in predict(cost, profile)) < 1
    assert "quantized.linear" in time_notes(cost, profile)[-1]
    assert lint(cost, profile) == ()


def test_work_of_other_forms_is_a_guess(profile: MachineProfile) -> None:
    """A recurrent layer is no sigmoid of as many elements."""

    class Distances(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")

    for model, shape in ((nn.Bilinear(30, 30, 5), None), (Distances(), (50, 20))):
        inputs = None if shape else (torch.rand(2, 30), torch.rand(2, 30))
        cost = count(model, shape, inputs=inputs)
        assert not cost.uncounted
        assert all(row.guessed_ms == row.predicted_ms > 0 for row in predict(cost, profile))
