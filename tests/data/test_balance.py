"""Classes of unequal size."""

from __future__ import annotations

import numpy as np
import pytest

from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Augment, Balance, Pictures, Sample
from pennyweight.data.balance import drawn_in_turn


def targets(*counts: int) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts)


@pytest.mark.parametrize(
    ("counts", "how"),
    [((50, 50), "none"), ((50, 20), "none"), ((60, 20), "weights"), ((190, 10), "weights"), ((200, 10), "sampling")],
)
def test_what_is_done_goes_by_the_imbalance(counts: tuple[int, ...], how: str) -> None:
    balance = Balance.of(targets(*counts), len(counts))
    assert balance.how == how
    assert balance.ratio == counts[0] / counts[1]
    assert (balance.note is None) == (how == "none")
    assert (balance.weights is None) == (how != "weights")


def test_weights_make_classes_equal_and_keep_the_mean() -> None:
    labels = targets(60, 30, 10)
    weights = Balance.of(labels, 3, "weights").weights
    assert weights is not None
    assert weights[labels].mean() == pytest.approx(1)
    assert [weights[labels][labels == label].sum() for label in range(3)] == pytest.approx([100 / 3] * 3)


def test_a_class_without_pictures_weighs_nothing() -> None:
    weights = Balance.of(targets(30, 0, 5), 3, "weights").weights
    assert weights is not None
    assert weights[1] == 0


def shown(counts: tuple[int, ...], epoch: int, batch: int = 16) -> tuple[np.ndarray, list[bytes]]:
    draw = np.random.default_rng(0)
    labels = targets(*counts)
    samples = [
        Sample(draw.integers(0, 256, (8, 8), dtype=np.uint8), int(label), f"{n:064x}", None, f"{n:04d}")
        for n, label in enumerate(labels)
    ]
    balance = Balance.of(labels, len(counts), "sampling")
    pictures = Pictures(samples, Preprocess.for_input(8, channels=1), balance=balance)
    batches = list(pictures.epoch(epoch, batch=batch, seed=0, augment=Augment(flip=True, shift=0.25)))
    assert len(batches) == pictures.steps(batch)
    assert sum(len(made.targets) for made in batches) == pictures.shown
    assert min(len(batch.targets) for batch in batches) > 1
    return np.concatenate([b.targets for b in batches]), [p.tobytes() for b in batches for p in b.pixels]


def test_sampling_shows_classes_equally_often() -> None:
    found, pixels = shown((90, 30, 6), 1)
    assert np.bincount(found).tolist() == [42, 42, 42]
    assert len(set(pixels)) > 100  # what is shown again is changed otherwise
    assert found[:40].tolist() != sorted(found[:40].tolist())


def test_no_picture_is_shown_too_often() -> None:
    found, _ = shown((200, 2), 1)
    assert np.bincount(found).tolist() == [101, 40]


def test_other_epochs_show_other_pictures_of_the_large_class() -> None:
    seen = {epoch: set(shown((90, 6), epoch)[1]) for epoch in (1, 2)}
    assert seen[1] != seen[2]
    assert shown((90, 6), 1, batch=7)[1] == shown((90, 6), 1)[1]


def test_pictures_are_drawn_from_every_class_in_turn() -> None:
    labels = targets(50, 3, 20)
    found = drawn_in_turn(labels, 13, seed=1)
    assert np.bincount(labels[found]).tolist() == [5, 3, 5]
    assert (np.diff(found) > 0).all()
    assert drawn_in_turn(labels, 13, seed=2).tolist() != found.tolist()
    assert drawn_in_turn(labels, 100, seed=1).tolist() == list(range(73))
