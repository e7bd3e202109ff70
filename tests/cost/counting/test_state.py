"""Networks that change themselves in their first call, and what the rows say of their modules."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.cost import count


class Fuses(nn.Module):
    """Two branches that become one layer in the first call, as networks do that fold what they learned."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)

    def forward(self, x: Tensor) -> Any:
        if hasattr(self, "two"):
            out = self.one(x) + self.two(x)
            self.one.weight = nn.Parameter(self.one.weight + self.two.weight)
            del self.two
            return out
        return self.one(x)


class Counts(nn.Module):
    """Whose way depends on how often it was called."""

    def __init__(self, kept: Any) -> None:
        super().__init__()
        self.first, self.later, self.kept = nn.Linear(4, 4), nn.Linear(4, 2), kept

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.kept, int):
            self.kept += 1
            calls = self.kept
        else:
            self.kept.setdefault("calls", []).append(x.shape)
            calls = len(self.kept["calls"])
        out: Tensor = self.first(x) if calls == 1 else self.later(x)
        return out


class Initializes(nn.Module):
    """Which a tensor tells whether it was called before: it needs values."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4, bias=False)
        self.register_buffer("done", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if not self.done:
            self.done.fill_(1)
            return self.linear(x) @ self.linear.weight
        out: Tensor = self.linear(x)
        return out


@pytest.mark.parametrize(
    ("made", "first", "second"),
    [
        (Fuses, (32, 32), "16 MACs, 32 operations and 16 parameters"),
        (lambda: Counts(0), (16, 30), "8 MACs, 18 operations and 30 parameters"),
        (lambda: Counts({}), (16, 30), "8 MACs, 18 operations and 30 parameters"),
        (Initializes, (32, 16), "16 MACs, 32 operations and 16 parameters"),
    ],
)
def test_a_network_is_counted_as_it_was_before_its_first_call(
    made: Callable[[], nn.Module], first: tuple[int, int], second: str
) -> None:
    model = made()
    cost = count(model, (4,))
    assert (cost.macs, cost.params) == first
    assert sum(layer.params for layer in cost.layers) == cost.params
    assert cost.notes[-1] == f"changes itself in its first call, which is counted; its second call takes {second}"
    assert count(model, (4,)).layers == cost.layers  # nor has the model changed


class Caches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "table"):
            self.register_buffer("table", torch.arange(4) * torch.ones(4))
        return x + self.table


def test_a_table_that_is_made_once_is_told_from_what_every_call_costs() -> None:
    cost = count(Caches(), (4,))
    assert (cost.ops, cost.buffer_bytes) == (8, 0)
    assert cost.notes[-1].endswith("its second call takes 0 MACs, 4 operations and 0 parameters")


def test_what_changes_no_cost_is_not_noted() -> None:
    class Remembers(nn.Linear):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            self.last = x.shape
            return super().forward(x)

    assert count(nn.Sequential(Remembers(4, 4), nn.BatchNorm1d(4)).train(), (4,), batch=2).notes == ()


def test_a_second_call_that_fails_is_said() -> None:
    class Once(nn.Module):
        used = False

        def forward(self, x: Tensor) -> Tensor:
            if self.used:
                raise RuntimeError("spent")
            self.used = True
            return x + 1

    assert count(Once(), (4,)).notes == (
        "changes itself in its first call, which is counted; its second call fails: spent",
    )


def test_layers_that_take_their_sizes_from_the_input_say_so() -> None:
    assert count(nn.Sequential(nn.LazyLinear(2)), (4,)).notes == ("its lazy layers took their sizes from this input",)


# What a module gives.


@dataclass
class Output:
    logits: Tensor
    hidden: Tensor | None = None


class Gives(nn.Module):
    def __init__(self, give: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.linear, self.give = nn.Linear(4, 3), give

    def forward(self, x: Tensor) -> Any:
        return self.give(self.linear(x) + 1)


@pytest.mark.parametrize(
    "give",
    [
        lambda out: {"logits": out},
        lambda out: UserDict(logits=out),
        lambda out: Output(out),
        lambda out: (None, [out], out[:, :1]),
        lambda out: out,
    ],
)
def test_a_row_has_the_shape_that_its_module_gives(give: Callable[[Tensor], Any]) -> None:
    rows = {layer.name: (layer.input_shape, layer.output_shape) for layer in count(Gives(give), (4,)).layers}
    assert rows[""] == rows["linear"] == ((4,), (3,))


def test_an_input_that_is_reshaped_in_place_had_its_shape_before() -> None:
    class Reshapes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.unsqueeze_(-1) + 1

    (row,) = count(nn.Sequential(Reshapes()), (4,)).layers
    assert (row.input_shape, row.output_shape) == ((4,), (4, 1))


def test_modules_with_others_inside_have_shapes_of_their_own() -> None:
    class Branches(nn.ModuleList):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([branch(x) for branch in self], 1)

    model = nn.Sequential(Branches([nn.Conv2d(3, 5, 1), nn.Conv2d(3, 2, 1)]), nn.ReLU())
    assert count(model, (3, 8, 8)).shapes["0"] == ((3, 8, 8), (7, 8, 8))


# What it is called with.


class Spectral(nn.Module):
    """A filter of complex numbers on the spectrum of a real picture."""

    def __init__(self) -> None:
        super().__init__()
        self.filter = nn.Parameter(torch.ones(3, 8, 5, dtype=torch.cfloat))
        self.head = nn.Linear(3 * 8 * 8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.fft.irfft2(torch.fft.rfft2(x) * self.filter)
        out: Tensor = self.head(x.flatten(1))
        return out


class Scaled(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones((), dtype=dtype), requires_grad=False)
        self.conv = nn.Conv2d(3, 4, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x) * self.scale
        return out


MET: list[torch.dtype] = []
"""Types of the pictures that a network was called with: what a hook holds itself is copied with the network."""


def halved() -> nn.Module:
    """Its first layer alone."""

    class Casts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.float()

    return nn.Sequential(nn.Conv2d(3, 4, 3).bfloat16(), Casts(), nn.Conv2d(4, 40, 3))


@pytest.mark.parametrize(
    ("model", "dtype"),
    [
        (Spectral(), torch.float32),
        (Scaled(torch.float64), torch.float32),
        (Scaled(torch.int8), torch.float32),
        (Scaled(torch.cfloat), torch.float32),
        (halved(), torch.bfloat16),
        (nn.Sequential(nn.Conv2d(3, 4, 3, dtype=torch.cfloat)), torch.cfloat),
        (nn.BatchNorm2d(3).double(), torch.float64),
    ],
)
def test_a_picture_has_the_type_that_the_network_takes(model: nn.Module, dtype: torch.dtype) -> None:
    MET.clear()
    model.register_forward_pre_hook(lambda _, args: MET.append(args[0].dtype))
    cost = count(model, (3, 8, 8))
    assert set(MET) == {dtype}
    types = {parameter.dtype for parameter in model.parameters()} - {torch.int8}
    assert any("called with" in note for note in cost.notes) == (len(types) > 1)


def test_an_input_of_a_type_that_is_not_taken_is_refused() -> None:
    """Without values torch computes it all the same, with a result of the wrong type."""
    with pytest.raises(InputError, match="Linear"):
        count(nn.Linear(4, 2), inputs=torch.empty(1, 4, dtype=torch.float64, device="meta"))
    with pytest.raises(InputError):
        count(nn.Linear(4, 2, dtype=torch.cfloat), inputs=torch.rand(1, 4))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(10, 4), nn.Linear(4, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> Tensor:
        out: Tensor = self.head(self.table(input_ids))
        return out if attention_mask is None else out * attention_mask[..., None]


def test_mappings_that_are_no_dictionaries_are_inputs() -> None:
    """Those of transformers: a tokenizer's and a feature extractor's."""
    ids, mask = torch.zeros(2, 5, dtype=torch.long), torch.ones(2, 5)
    given = UserDict(input_ids=ids, attention_mask=mask)
    assert count(Words(), inputs=given) == count(Words(), inputs=dict(given))
    assert count(Words(), inputs=given).macs == 2 * 5 * 8

    class Nested(nn.Module):
        def forward(self, batch: UserDict[str, Tensor]) -> Tensor:
            assert isinstance(batch, UserDict)  # whose attributes it may use
            return batch["pixel_values"] * 2

    nested = count(Nested(), inputs=(UserDict(pixel_values=torch.ones(1, 3)),))
    assert (nested.ops, nested.peak_activation_bytes) == (3, 24)  # its input is among what lives
    assert nested.layers[0].input_shape == (3,)
    with pytest.raises(InputError, match="at least one tensor"):
        count(Words(), inputs=UserDict(input_ids=[1, 2]))
    with pytest.raises(InputError, match="names as keys, not int 0"):
        count(Words(), inputs={0: ids})
