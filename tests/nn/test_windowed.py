"""The convolutional form answers as patch by patch does, on every pixel; so do windows looked up in tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pennyweight import zoo
from pennyweight.core.errors import InputError
from pennyweight.nn import WindowNetwork
from pennyweight.train.tiles import TileTraining

NETWORKS = {"hybrid_sn": 13, "hybrid_sn_bn": 13, "window_cnn": 5, "spectral_mlp": 5}


def make(name: str, window: int = 11) -> WindowNetwork:
    torch.manual_seed(0)
    network = zoo.create(name, in_channels=NETWORKS[name], num_classes=4, window=window)
    for parameter in network.parameters():
        if parameter.ndim == 2:  # linear layers begin so small that every answer would be alike
            torch.nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
    assert isinstance(network, WindowNetwork)
    return network.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_window_of_a_tile_is_answered_as_by_itself(name: str) -> None:
    network = make(name)
    tile = torch.randn(2, NETWORKS[name], 17, 14)
    windows = tile.unfold(2, 11, 1).unfold(3, 11, 1)  # (2, C, 7, 4, 11, 11)
    with torch.inference_mode():
        dense = network.dense(tile)
        single = network(windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, NETWORKS[name], 11, 11))
    assert dense.shape == (2, 4, 7, 4)
    assert single.std(0).min() > 0.01
    torch.testing.assert_close(dense.permute(0, 2, 3, 1).reshape(-1, 4), single, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_tile_training_gives_the_logits_and_gradients_of_windows(name: str) -> None:
    network = make(name)
    half = 5
    tile = torch.randn(2, NETWORKS[name], 20, 18)
    marks = torch.zeros(2, 1, 20, 18)
    places = [(0, 5, 5), (0, 7, 12), (1, 6, 6), (1, 6, 7), (1, 14, 12)]
    for number, row, col in places:
        marks[number, 0, row, col] = 1
    targets = torch.tensor([0, 1, 2, 3, 0])
    windows = torch.stack([tile[n, :, r - half : r + half + 1, c - half : c + half + 1] for n, r, c in places])
    found = []
    for logits in (TileTraining(network)(torch.cat([tile, marks], 1)), network(windows)):
        network.zero_grad()
        torch.nn.functional.cross_entropy(logits, targets).backward()
        found.append((logits.detach(), [p.grad.clone() for p in network.parameters() if p.grad is not None]))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0, atol=1e-5)
    assert len(found[0][1]) == len(list(network.parameters()))
    for a, b in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_tile_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(InputError, match="a tile of 10×30 is smaller than the window of 11×11"):
        make("window_cnn").dense(torch.zeros(1, 5, 10, 30))


def test_the_spectral_network_sees_the_middle_pixel_alone() -> None:
    network = make("spectral_mlp")
    x = torch.randn(1, 5, 11, 11)
    other = x + 1
    other[..., 5, 5] = x[..., 5, 5]
    with torch.inference_mode():
        assert torch.equal(network(x), network(other))
        assert not np.allclose(network(x), network(x + 1))
