"""What a network is called with: a shape, tensors of any type, by position and by name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import pennyweight as pw
from pennyweight.core.errors import InputError

IDS, MASK = torch.full((2, 6), 3), torch.ones(2, 6, 1)


class Text(nn.Module):
    """Tokens, a mask and a switch: (B, T), (B, T, 1) -> (B, T, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.linear = nn.Embedding(9, 4), nn.Linear(4, 5)

    def forward(self, ids: Tensor, mask: Tensor | None = None, *, twice: bool = False) -> Tensor:
        x = self.table(ids)
        x = self.linear(x if mask is None else x * mask)
        return x + x if twice else x


class Decides(Text):
    def forward(self, ids: Tensor, mask: Tensor | None = None, *, twice: bool = False) -> Tensor:
        return super().forward(ids, mask, twice=int(ids.max()) == 3)


@pytest.mark.parametrize(
    ("inputs", "ops", "words"),
    [
        (IDS, 0, "int64 (2, 6)"),
        (IDS.to("meta"), 0, "int64 (2, 6)"),
        ((IDS, MASK), 48, "int64 (2, 6), float32 (2, 6, 1)"),
        ({"mask": None, "ids": IDS, "twice": True}, 60, "int64 (2, 6)"),
        ({"ids": IDS.to("meta"), "mask": MASK}, 48, "ids: int64 (2, 6), mask: float32 (2, 6, 1)"),
    ],
)
def test_tokens_and_several_inputs(inputs: object, ops: int, words: str) -> None:
    cost = pw.weigh(Text(), inputs=inputs)
    assert (cost.macs, cost.ops) == (2 * 6 * 20, 2 * 240 + 60 + ops)
    assert (cost.input_shape, cost.batch) == ((6,), 2)
    assert cost.notes == (f"called with {words}",)
    assert not cost.uncounted


@pytest.mark.parametrize(("ids", "ops"), [(IDS, 60), (IDS.to("meta"), 0)])
def test_values_matter_where_they_decide(ids: Tensor, ops: int) -> None:
    """Of a shape alone, whole numbers are noughts, which any table has."""
    cost = pw.weigh(Decides(), inputs=ids)
    assert cost.ops == 2 * 240 + 60 + 12 + ops  # with the largest of twelve
    assert "real forward pass" in cost.notes[1]
    assert torch.equal(IDS, torch.full((2, 6), 3))


def test_inputs_count_among_what_lives() -> None:
    one, two = pw.weigh(Text(), inputs=IDS), pw.weigh(Text(), inputs=(IDS, MASK))
    assert two.peak_activation_bytes >= one.peak_activation_bytes + MASK.nbytes


def test_an_image_is_counted_as_its_shape_is() -> None:
    shaped = pw.weigh("mobilenet_v1_x0_25", (3, 64, 64), batch=2)
    given = pw.weigh("mobilenet_v1_x0_25", inputs=torch.empty(2, 3, 64, 64, device="meta"))
    assert (given.layers, given.peak_activation_bytes) == (shaped.layers, shaped.peak_activation_bytes)


def test_a_training_step_of_several_inputs() -> None:
    cost = pw.weigh(nn.Bilinear(3, 4, 5), inputs=(torch.rand(2, 3), torch.rand(2, 4)), training_step=True)
    assert cost.macs == 2 * (5 * 3 * 4 + 5 * 4)
    assert cost.peak_training_bytes is not None


@pytest.mark.parametrize("inputs", [[IDS], (), 3, {"ids": 3}])
def test_what_are_no_inputs(inputs: object) -> None:
    with pytest.raises(InputError, match="inputs are a tensor, a tuple of what is passed by position or a dictionary"):
        pw.weigh(Text(), inputs=inputs)


def test_inputs_stand_alone() -> None:
    with pytest.raises(InputError, match="leave out input_shape and batch"):
        pw.weigh(Text(), (6,), inputs=IDS)
    with pytest.raises(InputError, match="leave out input_shape and batch"):
        pw.weigh("mobilenet_v2", batch=2, inputs=torch.zeros(2, 3, 64, 64))


def test_tokens_that_are_fractions_are_told_how() -> None:
    with pytest.raises(InputError, match=r"takes whole numbers, from Python: weigh\(…, inputs=torch.zeros\(1"):
        pw.weigh(Text(), (6,))
