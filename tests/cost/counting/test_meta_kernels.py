"""What is found from shapes alone is what torch's own meta functions give."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pennyweight.cost.counting.meta_kernels import KERNELS

aten = torch.ops.aten


def empty(
    *shape: int, dtype: torch.dtype = torch.float32, order: torch.memory_format = torch.contiguous_format
) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta").contiguous(memory_format=order)


IMAGE, GATE = (2, 6, 5, 4), (2, 6, 1, 1)
LAST = torch.channels_last
CONVOLVED = empty(*IMAGE), empty(8, 3, 3, 2)
ANSWERED: list[tuple[Any, tuple[Any, ...]]] = [
    (aten.mul.Tensor, (empty(*IMAGE), empty(*GATE))),
    (aten.mul.Tensor, (empty(*GATE), empty(*IMAGE))),
    (aten.add.Tensor, (empty(2, 1, 5, 1), empty(1, 6, 1, 4))),
    (aten.add.Tensor, (empty(*IMAGE), empty(*IMAGE))),
    (aten.add_.Tensor, (empty(*IMAGE), empty(*IMAGE))),
    (aten.mul_.Tensor, (empty(*IMAGE, order=LAST), empty(*IMAGE))),
    (aten.bernoulli_.float, (empty(*GATE),)),
    (aten.bernoulli_.float, (empty(*GATE), 0.8)),
    (aten.div_.Scalar, (empty(*GATE), 0.8)),
    (aten.div_.Tensor, (empty(*GATE), 2)),
    (aten.mean.dim, (empty(*IMAGE), [2, 3], True)),
    (aten.mean.dim, (empty(*IMAGE), [-1, -2], True)),
    (aten.relu.default, (empty(*IMAGE, order=LAST),)),
    (aten.silu_.default, (empty(*IMAGE),)),
    (aten.convolution.default, (empty(*IMAGE), empty(8, 3, 3, 2), None, [2, 1], [1, 0], [1, 2], False, [0, 0], 2)),
]
LEFT: list[tuple[Any, tuple[Any, ...]]] = [
    (aten.mul.Tensor, (empty(*IMAGE), 2.0)),
    (aten.mul.Tensor, (empty(*IMAGE), empty(2, 6, 3, 1))),
    (aten.mul.Tensor, (empty(*IMAGE), empty(6, 1, 1))),
    (aten.add.Tensor, (empty(*IMAGE), empty(*IMAGE, dtype=torch.float64))),
    (aten.add.Tensor, (empty(*IMAGE, order=LAST), empty(*GATE))),
    (aten.add_.Tensor, (empty(*GATE), empty(*IMAGE))),
    (aten.add_.Tensor, (empty(*IMAGE, dtype=torch.int64), empty(*IMAGE))),
    (aten.bernoulli_.float, (empty(*GATE), 1.5)),
    (aten.div_.Tensor, (empty(*IMAGE), empty(*GATE))),
    (aten.div_.Tensor, (empty(*IMAGE), 2j)),
    (aten.mean.dim, (empty(*IMAGE), [2, 3], False)),
    (aten.mean.dim, (empty(*IMAGE), [1, 2], True)),
    (aten.convolution.default, (*CONVOLVED, empty(7), [1, 1], [1, 1], [1, 1], False, [0, 0], 2)),
    (aten.convolution.default, (*CONVOLVED, empty(8), [1, 1], [-1, 1], [1, 1], False, [0, 0], 2)),
    (aten.convolution.default, (empty(*IMAGE), empty(7, 3, 3, 2), None, [1, 1], [1, 1], [1, 1], False, [0, 0], 2)),
]


@pytest.mark.parametrize(("operator", "args"), ANSWERED)
def test_the_answer_is_torchs(operator: Any, args: tuple[Any, ...]) -> None:
    expected = operator(*args)
    found = KERNELS[operator.overloadpacket](args)
    assert (found.shape, found.stride(), found.dtype) == (expected.shape, expected.stride(), expected.dtype)
    assert (found is args[0]) == operator._schema.is_mutable


@pytest.mark.parametrize(("operator", "args"), LEFT)
def test_what_is_not_plain_is_left_to_torch(operator: Any, args: tuple[Any, ...]) -> None:
    assert KERNELS[operator.overloadpacket](args) is NotImplemented


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("weight", [torch.float32, torch.bfloat16])
def test_statistics_are_those_of_a_processor(weight: torch.dtype, training: bool) -> None:
    own = [torch.ones(6, dtype=weight) for _ in range(4)]
    args = (torch.ones(IMAGE, dtype=torch.bfloat16), *own, training, 0.1, 1e-5)
    expected = aten.native_batch_norm(*args)
    shapes = [each.to("meta") if isinstance(each, Tensor) else each for each in args]
    found = KERNELS[aten.native_batch_norm](shapes)
    assert [(each.shape, each.dtype) for each in found] == [(each.shape, each.dtype) for each in expected]
