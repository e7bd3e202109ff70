"""One function in three forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pennyweight.nn import PaddedStyle, Style
from pennyweight.nn.resnext_forms import Form, GroupedPaths, as_concatenated, as_summed
from pennyweight.zoo import create

FORMS = [
    Form(c_in=64, c_out=256, paths=32, d=4),
    Form(c_in=16, c_out=48, paths=3, d=5, stride=2),
    Form(c_in=12, c_out=12, paths=1, d=8, style=Style(activation="silu", bn_eps=1e-3)),
    Form(c_in=12, c_out=20, paths=4, d=1, stride=2, style=PaddedStyle(padding="tf_same")),
]
each_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.paths}x{form.d}d-stride{form.stride}")


def drawn(form: Form) -> GroupedPaths:
    """Norms with statistics and weights of their own, as after training."""
    torch.manual_seed(0)
    grouped = GroupedPaths(form)
    for norm in grouped.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean, std=0.3)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
    return grouped


def difference(ours: Tensor, theirs: Tensor) -> float:
    return float(((ours - theirs).abs().max() / theirs.abs().max()).detach())


@each_form
@pytest.mark.parametrize("training", [False, True])
def test_the_three_forms_are_one_function(form: Form, training: bool) -> None:
    grouped = drawn(form).train(training)
    concatenated, summed = as_concatenated(grouped), as_summed(grouped)
    x = torch.randn(2, form.c_in, 9, 8)
    expected = grouped(x)
    assert expected.shape[1] == form.c_out
    assert difference(concatenated(x), expected) < 1e-5
    assert difference(summed(x), expected) < 1e-5


@each_form
def test_the_three_forms_have_as_many_parameters(form: Form) -> None:
    grouped = GroupedPaths(form)
    counts = {
        sum(parameter.numel() for parameter in made.parameters())
        for made in (grouped, as_concatenated(grouped), as_summed(grouped))
    }
    assert len(counts) == 1


def test_the_weights_are_copies() -> None:
    grouped = drawn(FORMS[0]).eval()
    x = torch.randn(1, 64, 5, 5)
    made = as_summed(grouped)
    before = made(x)
    nn.init.zeros_(grouped[0][0].weight)
    assert torch.equal(made(x), before)


def test_a_networks_block_is_the_grouped_form() -> None:
    block = create("resnext50_32x4d").trunk[1][0]
    grouped = GroupedPaths(Form(c_in=256, c_out=512, paths=32, d=8, stride=2)).eval()
    grouped.load_state_dict(block.layers.state_dict())
    block.eval()
    x = torch.randn(1, 256, 14, 14)
    assert difference(as_summed(grouped)(x), block.layers(x)) < 1e-5


def test_paths_in_another_order_differ() -> None:
    """The comparison above would see weights given to the wrong path."""
    grouped = drawn(FORMS[0]).eval()
    made = as_summed(grouped)
    x = torch.randn(1, 64, 5, 5)
    last = [path[2].weight.clone() for path in made.paths]
    for path, weight in zip(made.paths, last[1:] + last[:1], strict=True):
        path[2].load_state_dict({"weight": weight})
    assert difference(made(x), grouped(x)) > 1e-2
