"""A torch network as an engine."""

import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn

from pennyweight.core.preprocess import Preprocess
from pennyweight.core.spectral import Projection
from pennyweight.core.typicality import Training
from pennyweight.deploy import TorchEngine
from pennyweight.deploy.scene_graph import torch_scene_engine


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


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Function that makes this process look like a fork whose parent computes on two threads and holds its lock."""
    threads = torch.get_num_threads()

    def fork() -> None:
        torch.set_num_threads(2)
        monkeypatch.setattr(os, "getpid", lambda: -1)

    yield fork
    torch.set_num_threads(threads)


@pytest.mark.parametrize("method", ["__call__", "features", "with_features", "with_strangeness"])
def test_every_method_computes_on_one_thread_in_a_fork(
    method: str, make_network: Callable[[int], nn.Module], pixels: np.ndarray, forked: Callable[[], None]
) -> None:
    """A fork has none of OpenMP's threads, and would wait for them."""
    training = Training(np.zeros(8, np.float32), np.zeros((1, 8), np.float16), 1.0)
    engine = TorchEngine(make_network(3), Preprocess.for_input(16), training=training)
    compute = getattr(engine, method)
    compute(pixels)
    assert engine._guard.lock.acquire(timeout=1)  # as a thread of the parent that computes features meanwhile
    forked()
    compute(pixels)
    assert torch.get_num_threads() == 1


def test_a_network_of_scenes_computes_on_one_thread_in_a_fork(forked: Callable[[], None]) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 3))
    projection = Projection(mean=np.zeros(2, np.float32), matrix=np.eye(2, dtype=np.float32))
    engine = torch_scene_engine(network, projection, window=1)
    forked()
    engine(np.zeros((1, 1, 2), np.float32))
    assert torch.get_num_threads() == 1
