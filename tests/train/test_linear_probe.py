"""Features are computed once, and the last layer on them is the last layer of the network."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pennyweight.core.errors import InputError
from pennyweight.data import Balance
from pennyweight.nn import FromPixels
from pennyweight.train import Recipe, train
from pennyweight.train.callbacks import NullCallback, best_of
from pennyweight.train.linear_probe import extract_features, find_last_linear

Make = Callable[..., Any]
CLASSES = [number % 4 for number in range(30)]
CPU = torch.device("cpu")


def test_a_layer_on_features_answers_as_the_network_does(make_network: Make, make_pictures: Make) -> None:
    network, pictures = make_network(), make_pictures(CLASSES)
    advanced: list[int] = []
    features = extract_features(network, pictures, Recipe(), views=0, seed=0, device=CPU, advance=advanced.append)
    assert (len(features), sum(advanced)) == (30, 30)
    (batch,) = features.in_order(64)
    assert np.array_equal(batch.targets, pictures.targets)
    pixels = torch.from_numpy(next(pictures.in_order(30)).pixels)
    with torch.no_grad():
        whole = network.eval()(FromPixels(pictures.preprocess.mean, pictures.preprocess.std)(pixels))
        layer = find_last_linear(network)(torch.from_numpy(batch.pixels))
    torch.testing.assert_close(layer, whole)


def test_training_the_layer_trains_the_network_and_leaves_the_rest(make_network: Make, make_pictures: Make) -> None:
    network, pictures = make_network(), make_pictures(CLASSES)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    passed = 0

    def count(module: nn.Module, seen: tuple[torch.Tensor], *others: Any) -> None:
        nonlocal passed
        passed += len(seen[0])

    network.conv.register_forward_hook(count)
    features = extract_features(network, pictures, Recipe(), views=0, seed=0, device=CPU)
    epochs = train(
        find_last_linear(network),
        training=features,
        validation=features,
        recipe=Recipe(mode="head", epochs=30, batch=10, lr=0.05),
        seed=0,
        callback=NullCallback(),
        after_epoch=lambda epochs, best: None,
        preprocess=None,
    )
    assert passed == 30
    best = best_of(epochs)
    assert best is not None
    assert best.val_accuracy == 1.0
    after = network.state_dict()
    assert {key for key in before if not torch.equal(before[key], after[key])} == {"linear.weight", "linear.bias"}


def test_views_are_different_and_epochs_take_them_in_turn(make_network: Make, make_pictures: Make) -> None:
    features = extract_features(make_network(), make_pictures(CLASSES), Recipe(shift=0.25), views=3, seed=0, device=CPU)
    assert features.values.shape == (3, 30, 64)
    seen = [
        np.concatenate([batch.pixels for batch in features.epoch(n, batch=8, seed=0, augment=None)]) for n in (1, 2, 4)
    ]  # type: ignore[arg-type]
    totals = [float(values.sum()) for values in seen]
    assert totals[0] == pytest.approx(totals[2], rel=1e-6)
    assert abs(totals[0] - totals[1]) > 1e-3


@pytest.mark.parametrize("views", [0, 2])
def test_rare_classes_are_shown_as_often_where_that_is_asked(
    make_network: Make, make_pictures: Make, views: int
) -> None:
    pictures = make_pictures([0] * 37 + [1] * 3)
    pictures.balance = Balance.of(pictures.targets, 2, "sampling")
    features = extract_features(make_network(), pictures, Recipe(), views=views, seed=0, device=CPU)
    assert features.values.shape == (max(views, 1), 40, 64)
    assert pictures.balance.how == "sampling"
    for epoch in (1, 2):
        batches = list(features.epoch(epoch, batch=8, seed=0, augment=Recipe().augment))
        assert len(batches) == features.steps(8) == 5
        assert np.bincount(np.concatenate([batch.targets for batch in batches])).tolist() == [20, 20]


def test_a_network_without_a_linear_layer_is_refused() -> None:
    with pytest.raises(InputError, match="has no linear layer to train alone"):
        find_last_linear(nn.Sequential(nn.Conv2d(3, 4, 1)))
