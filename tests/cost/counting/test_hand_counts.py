"""Work in every form that it takes, against arithmetic by hand, in train and in eval mode."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

from pennyweight.cost import count
from pennyweight.nn.init import meta_device
from pennyweight.zoo import create

T, D, HEADS, HIDDEN = 5, 8, 2, 16
PROJECTIONS = 4 * T * D * D
PRODUCTS = 2 * T * T * D


class Call(nn.Module):
    """A function of the input as a module, with what it needs."""

    def __init__(self, function: Callable[..., Tensor], **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def heads(x: Tensor) -> Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def attention(**options: object) -> nn.Module:
    return nn.MultiheadAttention(D, HEADS, **{"batch_first": True, **options})


def sdpa(x: Tensor, **options: object) -> Tensor:
    return F.scaled_dot_product_attention(heads(x), heads(x), heads(x), **options)


def einsum_attention(_: nn.Module, x: Tensor) -> Tensor:
    scores = torch.einsum("bhtd,bhsd->bhts", heads(x), heads(x)).softmax(-1)
    return torch.einsum("bhts,bhsd->bhtd", scores, heads(x))


MASK = torch.ones(T, T, dtype=torch.bool).tril()

# (module, input shape, multiply-accumulates worked out by hand)
BY_HAND = {
    "depthwise": (nn.Conv2d(6, 6, 3, padding=1, groups=6), (6, 9, 9), 6 * 81 * 9),
    "grouped": (nn.Conv2d(6, 12, 3, padding=1, groups=3), (6, 9, 9), 12 * 81 * 2 * 9),
    "3-D": (nn.Conv3d(2, 4, 3, padding=1), (2, 5, 6, 7), 4 * 5 * 6 * 7 * 2 * 27),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, stride=2), (4, 5, 5), 4 * 25 * 6 * 9),
    "transposed depthwise": (nn.ConvTranspose2d(4, 4, 3, stride=2, groups=4), (4, 5, 5), 4 * 25 * 9),
    "transposed 1-D": (nn.ConvTranspose1d(4, 6, 3, stride=2), (4, 5), 4 * 5 * 6 * 3),
    "dilated 1-D": (nn.Conv1d(3, 5, 3, dilation=4), (3, 20), 5 * 12 * 3 * 3),
    "functional convolution": (
        Call(lambda m, x: F.conv2d(x, m.kernel, padding=1), kernel=nn.Parameter(torch.ones(4, 3, 3, 3))),
        (3, 7, 7),
        4 * 49 * 27,
    ),
    "convolution, channels last": (
        Call(lambda m, x: torch.conv_tbc(x.transpose(0, 1), torch.ones(3, 4, 5), torch.ones(5))),
        (10, 4),
        8 * 5 * 3 * 4,
    ),
    "deformable": (
        Call(lambda m, x: deform_conv2d(x, x.new_zeros(1, 18, 6, 6), x.new_ones(4, 3, 3, 3))),
        (3, 8, 8),
        4 * 36 * 27,
    ),
    "convolution without a batch": (Call(lambda m, x: m.conv(x[0])[None], conv=nn.Conv2d(3, 4, 1)), (3, 7, 7), 12 * 49),
    "matmul": (Call(lambda m, x: x @ x.mT), (3, 4, 6), 3 * 4 * 4 * 6),
    "matmul, broadcast": (Call(lambda m, x: x @ torch.ones(2, 1, 6, 5)), (3, 4, 6), 2 * 3 * 4 * 6 * 5),
    "matrix times vector": (Call(lambda m, x: x[0] @ x[0, 0]), (4, 6), 24),
    "dot": (Call(lambda m, x: torch.dot(x[0], x[0])), (6,), 6),
    "einsum": (Call(lambda m, x: torch.einsum("bij,bkj->bik", x, x)), (4, 6), 4 * 4 * 6),
    "einsum of one": (Call(lambda m, x: torch.einsum("bi,bj->bij", x, x)), (6,), 6 * 6),
    "einsum, plain": (Call(lambda m, x: torch.einsum("bi,bi->bi", x, x)), (6,), 0),
    "outer, added": (Call(lambda m, x: torch.addr(x.new_ones(6, 6), x[0], x[0])), (6,), 0),
    "outer": (Call(lambda m, x: torch.outer(x[0], x[0])), (6,), 0),
    "bilinear": (Call(lambda m, x: m.two(x, x), two=nn.Bilinear(6, 6, 3)), (6,), 3 * 36 + 3 * 6),
    "q@k": (Call(lambda m, x: (heads(x) @ heads(x).mT).softmax(-1) @ heads(x)), (T, D), PRODUCTS),
    "einsum attention": (Call(einsum_attention), (T, D), PRODUCTS),
    "SDPA": (Call(lambda m, x: sdpa(x)), (T, D), PRODUCTS),
    "SDPA, causal": (Call(lambda m, x: sdpa(x, is_causal=True)), (T, D), PRODUCTS),
    "SDPA, mask": (Call(lambda m, x: sdpa(x, attn_mask=MASK.to(x.device))), (T, D), PRODUCTS),
    "SDPA, dropout": (Call(lambda m, x: sdpa(x, dropout_p=0.1)), (T, D), PRODUCTS),
    "SDPA of three dimensions": (Call(lambda m, x: F.scaled_dot_product_attention(x, x, x)), (T, D), PRODUCTS),
    "SDPA, values of another width": (
        Call(lambda m, x: F.scaled_dot_product_attention(heads(x), heads(x), heads(x)[..., :3])),
        (T, D),
        HEADS * T * T * (D // HEADS + 3),
    ),
    "MultiheadAttention": (Call(lambda m, x: m.a(x, x, x)[0], a=attention()), (T, D), PROJECTIONS + PRODUCTS),
    "MultiheadAttention, no weights": (
        Call(lambda m, x: m.a(x, x, x, need_weights=False)[0], a=attention()),
        (T, D),
        PROJECTIONS + PRODUCTS,
    ),
    "MultiheadAttention, other widths": (
        Call(lambda m, x: m.a(x, x[..., :4], x[..., :6])[0], a=attention(kdim=4, vdim=6)),
        (T, D),
        2 * T * D * D + T * (4 + 6) * D + PRODUCTS,
    ),
    "MultiheadAttention, extra key": (
        Call(lambda m, x: m.a(x, x, x)[0], a=attention(add_zero_attn=True)),
        (T, D),
        PROJECTIONS + 2 * T * (T + 1) * D,
    ),
    "encoder layer": (
        nn.TransformerEncoderLayer(D, HEADS, HIDDEN, batch_first=True),
        (T, D),
        PROJECTIONS + PRODUCTS + 2 * T * D * HIDDEN,
    ),
    "encoder": (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(D, HEADS, HIDDEN, batch_first=True), 3),
        (T, D),
        3 * (PROJECTIONS + PRODUCTS + 2 * T * D * HIDDEN),
    ),
    "LSTM": (Call(lambda m, x: m.r(x)[0], r=nn.LSTM(D, 4, batch_first=True)), (T, D), T * 4 * 4 * (D + 4)),
    "embedding": (Call(lambda m, x: m.e(x.long()), e=nn.Embedding(9, 4)), (T,), 0),
}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("case", BY_HAND)
def test_macs_in_every_form(case: str, training: bool) -> None:
    module, shape, macs = BY_HAND[case]
    cost = count(module.train(training), shape, batch=1)
    assert (cost.macs, cost.uncounted, cost.notes) == (macs, {}, ())
    assert cost.params == sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", ["MultiheadAttention", "encoder layer", "SDPA"])
def test_a_batch_multiplies_the_work_of_attention(name: str) -> None:
    module, shape, macs = BY_HAND[name]
    assert count(module.eval(), shape, batch=3).macs == 3 * macs


def fast_path(x: Tensor) -> Tensor:
    """What nn.MultiheadAttention runs in eval mode where it is allowed to: one operator for all of it."""
    bias = x.new_zeros(3 * D)
    qkv, out = x.new_ones(3 * D, D), x.new_ones(D, D)
    return torch._native_multi_head_attention(x, x, x, D, HEADS, qkv, bias, out, bias[:D], None, False)[0]


def test_fused_operators_called_by_name_count_the_same() -> None:
    cost = count(Call(lambda m, x: fast_path(x)).eval(), (T, D), batch=2)
    assert (cost.macs, cost.uncounted) == (2 * (PROJECTIONS + PRODUCTS), {})


# (module, input shape, all arithmetic worked out by hand)
OPERATIONS = {
    "convolution": (nn.Conv2d(3, 4, 3, bias=False), (3, 5, 5), 2 * 4 * 9 * 27),
    "its bias": (nn.Conv2d(3, 4, 3), (3, 5, 5), 2 * 4 * 9 * 27 + 4 * 9),
    "linear": (nn.Linear(6, 4), (6,), 2 * 24 + 4),
    "relu": (nn.ReLU(), (6,), 6),
    "relu in place": (nn.Sequential(nn.Identity(), nn.ReLU(inplace=True)), (6,), 6),
    "relu6": (nn.ReLU6(), (6,), 12),
    "sigmoid": (nn.Sigmoid(), (6,), 24),
    "addition": (Call(lambda m, x: x + x), (6,), 6),
    "view and copy": (Call(lambda m, x: x.reshape(3, 2).t().contiguous()), (6,), 0),
    "batch norm": (nn.BatchNorm2d(4).eval(), (4, 3, 3), 4 * 36),
    "batch norm without weights": (nn.BatchNorm2d(4, affine=False).eval(), (4, 3, 3), 2 * 36),
    "batch norm in training": (nn.BatchNorm2d(4).train(), (4, 3, 3), 8 * 36 + 1),
    "layer norm": (nn.LayerNorm(6), (6,), 8 * 6),
    "max pool": (nn.MaxPool2d(2), (1, 4, 4), 4 * 4),
    "average pool": (nn.AvgPool2d(3, stride=1), (1, 4, 4), 4 * 9),
    "softmax": (nn.Softmax(-1), (6,), 30),
}


@pytest.mark.parametrize("case", OPERATIONS)
def test_all_arithmetic(case: str) -> None:
    module, shape, ops = OPERATIONS[case]
    cost = count(module, shape)
    assert (cost.ops, cost.uncounted) == (ops, {})


@pytest.mark.parametrize(
    ("name", "macs"), [("vit_b_16", 17_563_828_224), pytest.param("vit_l_16", 61_554_712_576, marks=pytest.mark.slow)]
)
def test_transformers_are_counted_whole(name: str, macs: int) -> None:
    with meta_device():
        assert count(create(name).eval(), (3, 224, 224)).macs == macs


def test_traffic_reads_every_operand_once() -> None:
    cost = count(nn.Conv2d(3, 8, 3, padding=1), (3, 10, 10), batch=2)
    assert cost.bytes_read == 4 * (2 * 300 + 8 * 27 + 8)
    assert cost.bytes_written == 4 * 2 * 800
    assert cost.arithmetic_intensity == cost.ops / (cost.bytes_read + cost.bytes_written)


@pytest.mark.parametrize(
    ("function", "read", "written"),
    [
        (lambda m, x: x.relu(), 24, 24),
        (lambda m, x: x.clone().relu_(), 48, 48),
        (lambda m, x: x + 1, 24, 24),
        (lambda m, x: x + x, 48, 24),
        (lambda m, x: x[..., :2], 0, 0),
        (lambda m, x: x[:, :1].expand(-1, 6).clone(), 4, 24),
        (lambda m, x: torch.cat([x, x]), 48, 48),
        (lambda m, x: x + torch.zeros_like(x), 48, 48),
        (lambda m, x: torch.add(x, x, out=torch.empty_like(x)), 48, 24),
        (lambda m, x: torch.sigmoid(x.long()), 72, 72),
        (lambda m, x: x[None].mean((-1, -2), keepdim=True), 24, 4),
        (lambda m, x: x.view(1, 1, 2, 3).mean((-1, -2), keepdim=True, dtype=torch.float64), 24, 8),
    ],
)
def test_traffic_by_hand(function: Callable[..., Tensor], read: int, written: int) -> None:
    """Six values of four bytes."""
    cost = count(Call(function), (6,))
    assert (cost.bytes_read, cost.bytes_written) == (read, written)


def test_a_table_is_read_where_it_is_asked() -> None:
    cost = count(Call(lambda m, x: m.e(x.long()), e=nn.Embedding(1000, 4)), (5,))
    to_whole = 5 * 4 + 5 * 8  # the conversion of the input
    assert cost.bytes_read + cost.bytes_written == to_whole + 5 * 8 + 2 * 5 * 16


def test_a_bag_reads_every_row_that_it_adds_up() -> None:
    cost = count(Call(lambda m, x: m.e(x.long()), e=nn.EmbeddingBag(1000, 4, mode="sum")), (5,), batch=2)
    converted, indices, offsets, rows = 10 * 4, 10 * 8, 2 * 8, 10 * 16
    assert cost.bytes_read == converted + indices + offsets + rows
    assert cost.ops == 10 * 4
