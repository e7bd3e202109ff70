"""Counts against arithmetic by hand."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pennyweight.core.errors import InputError, PennyweightError
from pennyweight.cost import count
from pennyweight.cost.counting.count import SUMS
from pennyweight.nn import ConvNormAct, Style
from pennyweight.nn.init import meta_device
from pennyweight.zoo import create

# (module, input shape, multiply-accumulates worked out by hand)
BY_HAND = [
    (nn.Conv2d(64, 128, 3, padding=1), (64, 7, 7), 3_612_672),
    (nn.Conv2d(64, 64, 3, padding=1, groups=64), (64, 7, 7), 28_224),
    (nn.Conv2d(64, 128, 1), (64, 7, 7), 401_408),
    (nn.Conv2d(4, 6, 3, groups=2), (4, 5, 5), 6 * 3 * 3 * (2 * 9)),
    (nn.Conv2d(3, 8, 3, stride=2, padding=1), (3, 9, 9), 8 * 5 * 5 * (3 * 9)),
    (nn.Conv2d(3, 8, 3, dilation=2), (3, 9, 9), 8 * 5 * 5 * (3 * 9)),
    (nn.Conv2d(3, 8, (1, 5), padding="same"), (3, 9, 9), 8 * 9 * 9 * (3 * 5)),
    (nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"), (3, 9, 9), 8 * 9 * 9 * (3 * 9)),
    (nn.ConvTranspose2d(4, 6, 3, stride=2), (4, 5, 5), 4 * 5 * 5 * (6 * 9)),
    (nn.ConvTranspose2d(4, 6, 3, groups=2), (4, 5, 5), 4 * 5 * 5 * (3 * 9)),
    (nn.Conv1d(3, 8, 5), (3, 20), 8 * 16 * (3 * 5)),
    (nn.Conv3d(1, 8, (7, 3, 3)), (1, 30, 25, 25), 8 * 24 * 23 * 23 * (7 * 9)),
    (nn.Linear(10, 20), (10,), 200),
    (nn.Linear(10, 20, bias=False), (10,), 200),
    (nn.Linear(10, 20), (7, 10), 7 * 200),
    (nn.Linear(10, 20, bias=False), (3, 7, 10), 3 * 7 * 200),
]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("module", "shape", "macs"), BY_HAND, ids=repr)
def test_macs_are_those_worked_out_by_hand(module: nn.Module, shape: tuple[int, ...], macs: int, batch: int) -> None:
    cost = count(module, shape, batch=batch)
    assert cost.macs == batch * macs
    assert cost.params == sum(p.numel() for p in module.parameters())
    assert (cost.input_shape, cost.batch) == (shape, batch)


def test_a_separable_convolution_saves_what_the_paper_says() -> None:
    """64×7×7 -> 128×7×7: 88.1% fewer, and the ratio 1/N + 1/K² of MobileNet's section 3.1."""
    standard = count(nn.Conv2d(64, 128, 3, padding=1), (64, 7, 7)).macs
    pair = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1, groups=64), nn.Conv2d(64, 128, 1))
    separable = count(pair, (64, 7, 7)).macs
    assert (standard, separable) == (3_612_672, 429_632)
    assert separable / standard == pytest.approx(1 / 128 + 1 / 9)


class Products(nn.Module):
    """Matrix products without parameters: (B, 6, 8) -> (B, 6, 6)."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "bmm":
            return torch.bmm(x, x.transpose(1, 2))
        if self.kind == "baddbmm":
            return torch.baddbmm(x.new_zeros(len(x), 6, 6), x, x.transpose(1, 2))
        if self.kind == "einsum":
            return torch.einsum("bij,bkj->bik", x, x)
        return x @ x.mT


@pytest.mark.parametrize("kind", ["bmm", "baddbmm", "einsum", "matmul"])
def test_matrix_products_are_counted(kind: str) -> None:
    cost = count(Products(kind), (6, 8), batch=2)
    assert cost.macs == 2 * 6 * 6 * 8
    assert [(layer.name, layer.params) for layer in cost.layers] == [("", 0)]


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x, x, x, need_weights=False)[0]
        return out


@pytest.mark.parametrize("training", [True, False])
def test_attention_counts_its_products(training: bool) -> None:
    tokens, width = 5, 8
    by_hand = 4 * tokens * width * width + 2 * tokens * tokens * width
    cost = count(Attention().train(training), (tokens, width))
    assert cost.macs == by_hand
    # Attention takes the weights of its last layer, and never calls it.
    shapes = {layer.name: layer.output_shape for layer in cost.layers}
    assert shapes == {"inner": (tokens, width), "inner.out_proj": None}


class Twice(nn.Module):
    """One layer used twice under two names, and one weight tied to another layer."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(8, 8)
        self.again = self.one
        self.tied = nn.Linear(8, 8, bias=False)
        self.tied.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.tied(self.again(self.one(x)))
        return out


def test_shared_layers_work_each_time_and_are_kept_once() -> None:
    model = Twice()
    cost = count(model, (8,))
    assert cost.macs == 3 * 64
    assert cost.params == sum(p.numel() for p in model.parameters()) == 72
    assert {layer.name: (layer.params, layer.macs) for layer in cost.layers} == {"one": (72, 128), "tied": (0, 64)}


def test_a_parameter_under_two_names_of_one_module_is_kept_once() -> None:
    model = nn.Linear(4, 3)
    model.tied = model.weight
    cost = count(model, (4,))
    assert (cost.params, cost.trainable_params, cost.weight_bytes) == (15, 15, 60)


@pytest.mark.parametrize("name", ["mobilenet_v1", "shufflenet_v2_x0_5", "efficientnet_b0", "vgg11"])
def test_rows_sum_to_the_totals(name: str) -> None:
    with meta_device():  # no weights are drawn: their values cost nothing
        network = create(name)
    cost = count(network, (3, 64, 64), batch=2)
    assert sum(layer.macs for layer in cost.layers) == cost.macs > 0
    assert sum(layer.params for layer in cost.layers) == cost.params > 0
    for column in ("ops", "bytes_read", "bytes_written", "weight_bytes", "trainable_params"):
        assert sum(getattr(layer, column) for layer in cost.layers) == getattr(cost, column) > 0
    for column in ("macs", "ops", "bytes_read", "bytes_written"):  # nor does an operator get lost on the way
        assert sum(getattr(operation, column) for operation in cost.operations) == getattr(cost, column)
    assert all(layer.params or layer.bytes_written for layer in cost.layers)


def test_a_row_names_its_layer_and_its_shapes() -> None:
    model = nn.Sequential(ConvNormAct(3, 8, 3, stride=2, style=Style()), nn.Flatten(), nn.Linear(8 * 4 * 5, 2))
    rows = [
        (layer.name, layer.type, layer.input_shape, layer.output_shape, layer.params)
        for layer in count(model, (3, 7, 9), batch=4).layers
    ]
    assert rows == [
        ("0.0", "Conv2d", (3, 7, 9), (8, 4, 5), 216),
        ("0.1", "BatchNorm2d", (8, 4, 5), (8, 4, 5), 16),
        ("0.2", "ReLU", (8, 4, 5), (8, 4, 5), 0),
        ("2", "Linear", (160,), (2,), 322),
    ]


def test_work_outside_of_layers_stands_under_the_module_that_does_it() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4, 8))

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weight)

    cost = count(nn.Sequential(Functional(), nn.Linear(4, 2)), (8,))
    assert {layer.name: (layer.params, layer.macs) for layer in cost.layers} == {"0": (32, 32), "1": (10, 8)}


def test_frozen_parameters_are_not_trainable() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    model[0].requires_grad_(False)
    cost = count(model, (4,))
    assert (cost.params, cost.trainable_params) == (23, 8)


def test_buffers_stand_beside_the_weights() -> None:
    norm = nn.BatchNorm2d(3)
    cost = count(nn.Sequential(norm, norm, nn.BatchNorm2d(3, track_running_stats=False)).half(), (3, 4, 4), batch=2)
    assert (cost.weight_bytes, cost.buffer_bytes) == (2 * 2 * 3 * 2, 2 * 3 * 2 + 8)  # and a counter of 64 bits


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_packed_weights_are_said_to_be() -> None:
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), {nn.Linear})
    cost = count(model, (4,))
    assert "1 layer keeps its weights packed" in cost.notes[-1]
    assert cost.uncounted == {"quantized.linear_dynamic": 1}


class Odd(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sort(torch.sort(x).values).values


def test_an_operator_without_a_formula_is_named_and_counted() -> None:
    assert count(nn.Sequential(nn.Linear(4, 3), Odd()), (4,)).uncounted == {"aten.sort": 2}


def test_an_einsum_over_one_counts_as_over_two() -> None:
    class Summed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.einsum("bi,bj->ij", x, x) if x.sum() > -1e9 or not self.training else x

    model = Summed()
    assert count(model, (4,), batch=2).macs == 2 * count(model, (4,)).macs == 2 * 16  # in a real pass too


LOOKS = {
    "transpose_": lambda x: x.clone().transpose_(1, 2).squeeze_(0).t_().unsqueeze_(0).swapaxes_(0, 1).add_(1),
    "profiler": lambda x: recorded(x),
    "fold": lambda x: F.fold(F.unfold(x[:, None], 2), x.shape[1:], 2),
    "sampled": lambda x: F.grid_sample(x[:, None], x[:, :2, :2].unsqueeze(0), align_corners=False),
    "added": lambda x: x.flatten().scatter_add(0, torch.zeros(16, dtype=torch.long), x.flatten()),
}


def recorded(x: Tensor) -> Tensor:
    with torch.profiler.record_function("here"):
        return x + 1


@pytest.mark.parametrize("kind", LOOKS)
def test_what_only_looks_or_moves_is_not_uncounted(kind: str) -> None:
    class Does(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return LOOKS[kind](x)

    assert count(Does(), (4, 4)).uncounted == {}


def test_a_view_in_place_costs_nothing() -> None:
    class Views(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.transpose_(1, 2).unsqueeze_(0)

    cost = count(Views(), (4, 4))
    assert (cost.ops, cost.bytes_read, cost.bytes_written, cost.uncounted) == (0, 0, 0, {})


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("peer", ["resnet18", "vit_b_16", "efficientnet_b0", "shufflenet_v2_x0_5"])
def test_other_libraries_networks_are_counted_whole(peer: str, training: bool) -> None:
    """The peers' own counts, attention products included; a mode changes none of them."""
    macs = {
        "resnet18": 1_814_073_344,
        "vit_b_16": 17_563_828_224,
        "efficientnet_b0": 385_814_752,
        "shufflenet_v2_x0_5": 40_476_448,
    }
    import torchvision

    with meta_device():
        model = getattr(torchvision.models, peer)().train(training)
    assert count(model, (3, 224, 224), batch=2).macs == 2 * macs[peer]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_precision_costs_the_same(dtype: torch.dtype) -> None:
    model = create("mobilenet_v1_x0_25", stem="cifar").eval()
    expected = count(model, (3, 32, 32))
    found = count(model.to(dtype), (3, 32, 32))
    assert (found.macs, found.ops, found.params) == (expected.macs, expected.ops, expected.params)
    assert found.weight_bytes * 4 == expected.weight_bytes * dtype.itemsize
    assert found.bytes_written * 4 == expected.bytes_written * dtype.itemsize


@pytest.mark.parametrize(
    ("model", "shape", "macs", "ops"),
    [
        (nn.Linear(4, 5, dtype=torch.cfloat), (4,), 4 * 20, 8 * 20 + 2 * 5),
        (nn.Conv2d(3, 5, 3, bias=False, dtype=torch.cfloat), (3, 8, 8), 3 * 36 * 5 * 27, None),
        (nn.ConvTranspose1d(3, 5, 3, dtype=torch.cfloat), (3, 8), 3 * 8 * 3 * 15, None),
    ],
)
def test_complex_numbers_cost_what_their_real_ones_do(
    model: nn.Module, shape: tuple[int, ...], macs: int, ops: int | None
) -> None:
    cost = count(model, shape)
    assert cost.macs == macs
    assert ops is None or cost.ops == ops
    model.register_forward_hook(lambda *_: None)  # the long way
    assert count(model, shape).macs == macs


def test_tensors_made_in_forward_are_no_obstacle() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mean = torch.ones(4)  # neither parameter nor buffer
            self.linear = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.linear(x + torch.arange(4) - self.mean)
            return out

    assert count(Positions(), (4,)).macs == 8


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Conv2d(3, 4, 3), (1, 8, 8)),
        (nn.Conv2d(3, 4, 3), (3, 8)),
        (nn.Conv2d(3, 4, 9), (3, 8, 8)),
        (nn.Linear(4, 2), (5,)),
        (nn.Bilinear(3, 4, 5), (3,)),
        (nn.BatchNorm1d(4), (4,)),
    ],
)
def test_an_input_that_does_not_fit_is_one_line_that_names_the_shape(model: nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as caught:
        count(model, shape)
    assert "x".join(map(str, shape)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_networks_own_words_are_kept() -> None:
    with pytest.raises(PennyweightError, match=r"expected a batch of shape \(B, 3, H, W\), received \(1, 1, 32, 32\)"):
        count(create("mobilenet_v1"), (1, 32, 32))


@pytest.mark.parametrize(("shape", "batch"), [((), 1), ((3, 0, 8), 1), ((3, -8, 8), 1), ((3, 8.5, 8), 1), ((3,), 0)])
def test_a_shape_that_is_none_is_refused(shape: tuple, batch: int) -> None:
    with pytest.raises(InputError) as caught:
        count(nn.Linear(3, 1), shape, batch=batch)
    assert f"such as (3, 224, 224) and 1, not tuple {shape} and int {batch}" in str(caught.value)


def test_costs_are_kept_as_json() -> None:
    cost = count(create("mobilenet_v1_x0_25"), (3, 64, 64))
    kept = json.loads(json.dumps(cost.to_dict()))
    assert kept["macs"] == cost.macs
    assert sum(layer["macs"] for layer in kept["layers"]) == cost.macs
    assert kept["layers"][0]["input_shape"] == [3, 64, 64]


def test_a_data_frame_sums_to_the_totals_and_says_what_its_columns_mean() -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    cost = count(create("mobilenet_v1_x0_25"), (3, 64, 64), batch=2)
    frame = cost.to_frame()
    for column in SUMS:
        assert int(frame[column].sum()) == getattr(cost, column)
    assert "multiply-accumulates" in frame.attrs["conventions"]["macs"]


def test_a_training_step_is_counted_inside_inference_mode_too() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3))
    with torch.inference_mode():
        inside = count(model, (3, 16, 16), training_step=True)
    outside = count(model, (3, 16, 16), training_step=True)
    assert inside == outside
    assert outside.peak_training_bytes is not None
    assert outside.peak_training_bytes > outside.peak_activation_bytes
