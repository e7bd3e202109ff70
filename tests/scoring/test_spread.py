"""Chosen pictures are uncertain, stand for many others, and do not repeat each other or what has a label."""

from __future__ import annotations

import numpy as np

from pennyweight.scoring.spread import choose_spread, uncertainty

AXES = 3 * np.eye(8, dtype=np.float32)


def test_uncertainty_is_a_share() -> None:
    found = uncertainty(np.array([[0.25] * 4, [1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]]))
    assert np.allclose(found, [1, 0, 0.5])


def test_one_of_each_cloud_is_chosen_and_none_of_the_labeled_one() -> None:
    draw = np.random.default_rng(0)
    cloud = np.repeat(np.arange(4), 10)
    values = (AXES[cloud] + 0.1 * draw.normal(size=(40, 8))).astype(np.float32)
    known = (AXES[:1] + 0.1 * draw.normal(size=(3, 8))).astype(np.float32)
    chosen = choose_spread(values, known, np.ones(40), 3)
    assert sorted(cloud[chosen].tolist()) == [1, 2, 3]


def test_the_larger_and_the_more_uncertain_cloud_comes_first() -> None:
    draw = np.random.default_rng(0)
    cloud = np.repeat([0, 1, 2], [4, 12, 12])
    values = (AXES[cloud] + 0.1 * draw.normal(size=(28, 8))).astype(np.float32)
    known = AXES[5:6]
    assert cloud[choose_spread(values, known, np.ones(28), 1)[0]] in (1, 2)
    assert cloud[choose_spread(values, known, np.where(cloud == 2, 0.9, 0.2), 1)[0]] == 2
    assert cloud[choose_spread(values, known, np.where(cloud == 0, 1.0, 0.05), 1)[0]] == 0


def test_every_picture_can_be_chosen_once() -> None:
    values = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    assert sorted(choose_spread(values, values[:2], np.zeros(6), 6).tolist()) == [0, 1, 2, 3, 4, 5]
