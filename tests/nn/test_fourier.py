"""A convolution by spectra is the convolution, and is used only where it is faster."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pennyweight.nn import WindowHead
from pennyweight.nn.fourier import SMALLEST_KERNEL, SMALLEST_OUTPUT, fourier_conv2d, prefer_fourier


@pytest.mark.parametrize(
    ("height", "width", "side"),
    [(80, 80, 17), (81, 97, 17), (17, 17, 17), (18, 90, 17), (64, 71, 5), (40, 33, 2), (20, 21, 1), (33, 40, 8)],
)
def test_it_is_the_convolution(height: int, width: int, side: int) -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(2, 6, height, width, generator=draw).to(memory_format=torch.channels_last)
    weight, bias = torch.randn(7, 6, side, side, generator=draw), torch.randn(7, generator=draw)
    expected = F.conv2d(x.double(), weight.double(), bias.double())
    found = fourier_conv2d(x, weight, bias)
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) < 2e-6 * float(expected.abs().max())


def test_where_it_pays() -> None:
    enough = SMALLEST_OUTPUT + SMALLEST_KERNEL - 1
    x = torch.rand(1, 2, enough, enough)
    assert not prefer_fourier(x, SMALLEST_KERNEL)  # a gradient is wanted
    with torch.inference_mode():
        assert prefer_fourier(x, SMALLEST_KERNEL)
        assert not prefer_fourier(x, SMALLEST_KERNEL - 1)
        assert not prefer_fourier(x[:, :, 1:], SMALLEST_KERNEL)
        assert not prefer_fourier(x.double(), SMALLEST_KERNEL)
        with torch.autocast("cpu", torch.bfloat16):
            assert not prefer_fourier(x, SMALLEST_KERNEL)
        for wild in (1e6, float("inf"), float("nan")):  # whose rounding would reach every pixel of its block
            x[0, 0, 5, 5] = wild
            assert not prefer_fourier(x, SMALLEST_KERNEL)


class Dense(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = WindowHead(3, SMALLEST_KERNEL, (8,), 4, act=torch.nn.ReLU(), dropout=0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head.dense(x)


def transforms(graph: torch.fx.Graph) -> list[str]:
    return [str(node.target) for node in graph.nodes if "fft" in str(node.target)]


def test_an_exported_graph_has_plain_convolutions_and_answers_the_same() -> None:
    torch.manual_seed(0)
    network, x = Dense().eval(), torch.randn(1, 3, 90, 80)
    with torch.inference_mode():
        by_spectra = network(x)
    with torch.no_grad():
        exported = torch.export.export(network, (x,))
        assert transforms(exported.graph) == []
        traced = torch.fx.experimental.proxy_tensor.make_fx(fourier_conv2d)(x, torch.ones(8, 3, 9, 9), torch.ones(8))
        assert transforms(traced.graph) != []  # they would be seen
        torch.testing.assert_close(by_spectra, exported.module()(x), rtol=0, atol=1e-5)
