"""A torch network as an engine."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from pennyweight.core.preprocess import Preprocess
from pennyweight.deploy import TorchEngine


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)


def test_dropout_and_batch_norm_rest_whatever_mode_it_came_in(
    make_network: Callable[[int], nn.Module], pixels: np.ndarray
) -> None:
    network = make_network(3)
    assert network.training
    engine = TorchEngine(network, Preprocess.for_input(16))
    first, second = engine(pixels), engine(pixels)
    assert np.array_equal(first.logits, second.logits)
    network.train()
    assert np.array_equal(first.logits, engine(pixels).logits)


def test_outputs_are_probabilities_and_their_logits(
    make_network: Callable[[int], nn.Module], pixels: np.ndarray
) -> None:
    outputs = TorchEngine(make_network(3), Preprocess.for_input(16))(pixels)
    assert outputs.probabilities.shape == outputs.logits.shape == (5, 4)
    assert outputs.probabilities.dtype == outputs.logits.dtype == np.float32
    assert outputs.probabilities == pytest.approx(torch.softmax(torch.from_numpy(outputs.logits), 1).numpy())


def test_a_picture_answers_the_same_alone_and_among_others(
    make_network: Callable[[int], nn.Module], pixels: np.ndarray
) -> None:
    engine = TorchEngine(make_network(3), Preprocess.for_input(16))
    alone = np.concatenate([engine(pixels[n : n + 1]).logits for n in range(5)])
    assert alone == pytest.approx(engine(pixels).logits, abs=1e-4)
