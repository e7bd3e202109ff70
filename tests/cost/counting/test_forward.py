"""Models that cannot run without values, and inputs that models do not take."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.cost import count


class Decides(nn.Module):
    """Its way depends on values, and it draws random numbers of three kinds on it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.linear = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x) + torch.rand(()) * random.random() * np.random.rand()
        out: Tensor = self.linear(x) if x.sum() > -1e9 else x
        return out


def test_a_model_that_needs_values_is_counted_on_a_real_pass_and_says_so() -> None:
    cost = count(Decides(), (4,), batch=3)
    assert cost.macs == 3 * 8
    assert len(cost.notes) == 1
    assert "real forward pass" in cost.notes[0]
    assert count(nn.Linear(4, 2), (4,)).notes == ()


def test_the_real_pass_leaves_model_and_random_state_alone() -> None:
    model = Decides().train()
    values = {key: value.clone() for key, value in model.state_dict().items()}
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    count(model, (4,), batch=3)
    assert all(torch.equal(values[key], value) for key, value in model.state_dict().items())
    assert hooks == [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]
    assert model.training
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_model_that_asks_for_a_processor_is_counted_on_fake_tensors() -> None:
    class Particular(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            if x.device.type != "cpu":
                raise RuntimeError("not here")
            out: Tensor = self.linear(x)
            return out

    cost = count(Particular(), (4,))
    assert cost.macs == 8
    assert "fake tensors" in cost.notes[0]


@pytest.mark.parametrize("inside", [True, False])
def test_a_network_under_autocast_is_counted_in_the_precision_that_it_has_there(inside: bool) -> None:
    class Casts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=inside or torch.is_autocast_enabled("cpu")):
                out: Tensor = self.conv(x)
                return out

    model = Casts()
    expected = count(nn.Conv2d(3, 8, 3, bias=False, dtype=torch.bfloat16), (3, 6, 6))
    converted = 3 * 36 + 8 * 27
    with torch.autocast("cpu", torch.bfloat16, enabled=not inside):
        cost = count(model, (3, 6, 6))
    assert cost.macs == expected.macs
    assert cost.bytes_read == expected.bytes_read + 4 * converted
    assert cost.bytes_written == expected.bytes_written + 2 * converted
    assert "fake tensors" in cost.notes[0]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(nn.Linear(8, 4), (8,)), (nn.Conv1d(3, 4, 3), (3, 9)), (nn.ConvTranspose2d(3, 4, 3), (3, 5, 5))],
)
def test_autocast_is_seen_whatever_the_layer(layer: nn.Module, shape: tuple[int, ...]) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        cost = count(layer, shape, training_step=True)
    plain = count(layer, shape, training_step=True)
    assert "fake tensors" in cost.notes[0]
    assert any(operation.macs and operation.dtype == torch.bfloat16 for operation in cost.operations)
    assert cost.peak_training_bytes != plain.peak_training_bytes


def test_tensors_anywhere_in_a_model_are_no_obstacle() -> None:
    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.kept = {"list": [torch.ones(4), self.linear.weight], "tied": (self.linear.weight,)}
            self.result = self.linear.weight * 2  # not a leaf: deepcopy refuses such a one

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x) @ self.kept["tied"][0] + self.kept["list"][0] @ self.result

    cost = count(Keeps(), (4,))
    assert (cost.macs, cost.params) == (48, 20)
    assert cost.notes == ("computes with 20 numbers that are neither its parameters nor its buffers",)


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
@pytest.mark.parametrize(("layout", "size"), [("to_sparse_coo", 4 * 20), ("to_sparse_csr", 4 * 12 + 5 * 8)])
def test_sparse_products_are_not_counted_as_whole_ones(layout: str, size: int) -> None:
    class Sparse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", getattr(torch.eye(4), layout)())

        def forward(self, x: Tensor) -> Tensor:
            return torch.sparse.mm(self.table, x.T)

    cost = count(Sparse(), (4,), batch=2)
    assert (cost.macs, cost.uncounted) == (0, {"aten._sparse_addmm": 1})
    assert "real forward pass" in cost.notes[0]
    assert cost.buffer_bytes == size
    assert cost.bytes_read >= size


def test_a_jagged_tensor_is_counted() -> None:
    class Ragged(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            rows = torch.nested.nested_tensor([x[0], x[1, :2]], layout=torch.jagged)
            return super().forward(rows).to_padded_tensor(0.0)

    cost = count(Ragged(4, 5), (3, 4), batch=2)
    assert (cost.macs, cost.uncounted) == ((3 + 2) * 4 * 5, {})


def test_a_copy_has_a_lock_of_its_own() -> None:
    class Locked(nn.Linear):
        def __init__(self) -> None:
            super().__init__(4, 2)
            self.lock, self.again = threading.Lock(), threading.RLock()

        def forward(self, x: Tensor) -> Tensor:
            with self.lock, self.again:
                return super().forward(x)

    model = Locked()
    with model.lock:
        assert count(model, (4,)).macs == 8


@pytest.mark.parametrize(
    ("held", "kind"),
    [((n for n in (1, 2)), "generator"), (sys.__stdout__, "TextIOWrapper"), ([memoryview(b"a")], "list")],
)
def test_what_cannot_be_copied_is_named(held: object, kind: str) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU()))
    model[1][0].held = held
    with pytest.raises(
        InputError, match=rf"because weighing runs a copy of it: '1\.0\.held' is of type .*{kind}, which"
    ):
        count(model, (4,))


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_what_cannot_be_followed_is_named() -> None:
    from torch.nn.attention.flex_attention import flex_attention

    class Flexible(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = flex_attention(x, x, x)
            return out

    with pytest.raises(InputError) as caught:
        count(Flexible(), (2, 16, 16))
    said = str(caught.value)
    assert said.startswith("the network cannot be weighed: Flexible, the network itself, received (1, 2, 16, 16): ")
    assert said.endswith("higher-order operators such as flex_attention cannot be traced")


def test_lazy_layers_get_their_shape_from_the_input() -> None:
    model = nn.Sequential(nn.LazyConv2d(5, 3), nn.Flatten(), nn.LazyLinear(2))
    cost = count(model, (3, 6, 6))
    assert (cost.params, cost.macs) == (5 * 28 + 2 * 81, 5 * 16 * 27 + 2 * 80)
    assert isinstance(model[0], nn.LazyConv2d)
    settled = count(nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(), nn.Linear(80, 2)), (3, 6, 6))
    assert (cost.ops, cost.peak_activation_bytes) == (
        settled.ops,
        settled.peak_activation_bytes,
    )  # drawing weights costs none


def test_layers_that_a_model_makes_in_its_first_pass_are_its_own() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear: nn.Linear | None = None

        def forward(self, x: Tensor) -> Tensor:
            if self.linear is None:
                self.linear = nn.Linear(x.shape[-1], 3)
            out: Tensor = self.linear(x)
            return out

    model = Late()
    cost = count(model, (4,), training_step=True)
    settled = count(nn.Linear(4, 3), (4,), training_step=True)
    assert [(layer.name, layer.params, layer.macs) for layer in cost.layers] == [("linear", 15, 12)]
    assert (cost.ops, cost.peak_activation_bytes) == (settled.ops, settled.peak_activation_bytes)
    assert cost.peak_training_bytes == settled.peak_training_bytes
    assert model.linear is None


def test_the_module_that_fails_is_named_with_its_shapes() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Sequential(nn.Linear(100, 2)))
    with pytest.raises(InputError) as caught:
        count(model, (3, 8, 8), batch=2)
    said = str(caught.value)
    assert "Linear '2.0' received (2, 256) and takes (…, 100)" in said
    assert "3x8x8" in said


@pytest.mark.parametrize(
    ("model", "shape", "words"),
    [
        (nn.Conv2d(3, 4, 3), (1, 8, 8), "received (1, 1, 8, 8) and takes (B, 3, H, W)"),
        (nn.Conv1d(3, 4, 9), (3, 5), "kernel"),
        (nn.Sequential(nn.BatchNorm2d(4)), (3, 5, 5), "BatchNorm2d '0' received (1, 3, 5, 5) and takes (B, 4, …)"),
        (nn.LayerNorm(8), (4,), "takes (…, 8)"),
        (nn.Sequential(nn.Embedding(3, 4)), (4,), "takes whole numbers"),
    ],
)
def test_a_wrong_shape_is_explained(model: nn.Module, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(InputError) as caught:
        count(model, shape)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda x: {}["depth"], "KeyError: 'depth'"),
        (lambda x: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda x: x.nothing, "has no attribute 'nothing'"),
    ],
)
def test_a_fault_of_the_model_is_not_called_one_of_the_input(fault: Callable[[Tensor], Tensor], words: str) -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return fault(x)

    with pytest.raises(InputError) as caught:
        count(nn.Sequential(nn.Linear(4, 3), Broken()), (4,))
    assert str(caught.value).startswith("the network fails on an input of 4: Broken '1' received (1, 3): ")
    assert words in str(caught.value)


def test_what_fake_tensors_cannot_do_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InputError):
        count(nn.Sequential(nn.Flatten(), nn.Linear(7, 2)), (3, 3))
    assert caplog.records == []


def test_an_error_that_the_model_caught_is_not_the_one_reported() -> None:
    class Tries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wrong, self.right, self.last = nn.Linear(3, 2), nn.Linear(4, 2), nn.Linear(7, 1)

        def forward(self, x: Tensor) -> Tensor:
            try:
                x = self.wrong(x)
            except RuntimeError:
                x = self.right(x)
            out: Tensor = self.last(x)
            return out

    with pytest.raises(InputError, match="Linear 'last' received"):
        count(Tries(), (4,))


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_scripted_model_is_counted_as_a_whole() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    cost = count(torch.jit.script(model), (3, 8, 8))
    assert (cost.macs, cost.params) == (4 * 36 * 27, 4 * 27 + 4)
    assert cost.notes == ()
    (*_, note) = count(torch.jit.freeze(torch.jit.script(model.eval())), (3, 8, 8)).notes
    assert note == "computes with 112 numbers that are neither its parameters nor its buffers"


def test_who_wrote_nested_tensors_is_not_taken_for_who_wrote_what_has_their_place() -> None:
    class Nested(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for _ in range(40):
                nested = torch.nested.nested_tensor_from_jagged(x, torch.tensor([0, 2, len(x)])).relu().sigmoid()
                del nested
                torch.empty(3, 7).tanh()
            return x + 1

    operations = count(Nested(), inputs=torch.empty(5, 4, device="meta")).operations
    assert {operation.sources for operation in operations if operation.name == "tanh"} == {(None,)}


def test_a_sparse_weight_has_the_bytes_of_its_indices_and_values() -> None:
    class Sparse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.eye(4).to_sparse(), requires_grad=False)

        def forward(self, x: Tensor) -> Tensor:
            return torch.sparse.mm(self.weight, x.T)

    assert count(Sparse(), (4,)).weight_bytes == 4 * (2 * 8 + 4)
