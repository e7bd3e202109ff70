"""Fit of typicality: strangers lie outside the span of training, and folds judge what they have not seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pennyweight.train.typicality import DIRECTIONS, LeftOut, fit_training, strangeness_left_out

Rows = NDArray[np.float32]


def draw(count: int, seed: int, *, strange: bool = False, width: int = 64) -> tuple[Rows, Rows]:
    """Return features and logits of two classes in a plane of few directions, or outside it."""
    some = np.random.default_rng(seed)
    basis = np.random.default_rng(9).normal(size=(6, width))
    features = some.normal(size=(count, 6)) @ basis + 8 * basis[0] + 0.5 * some.normal(size=(count, width))
    if strange:
        features += 2.0 * some.normal(size=(count, width))
    weight = np.random.default_rng(8).normal(size=(width, 2)) / width
    return features.astype(np.float32), (features @ weight).astype(np.float32)


def test_strangers_are_told_from_own_pictures() -> None:
    training = fit_training(*draw(300, 0))
    own, strange = (training.strangeness(*draw(200, seed, strange=seed == 2)) for seed in (1, 2))
    assert (strange[:, None] > own).mean() > 0.97
    assert training.directions.shape[0] <= DIRECTIONS
    gram = training.directions.astype(np.float64) @ training.directions.T.astype(np.float64)
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=2e-3)
    assert (np.diag(gram) <= 1 + 1e-3).all()
    assert (np.diff(np.diag(gram)) <= 1e-3).all()  # the largest variance counts least


def test_few_pictures_have_few_directions() -> None:
    assert fit_training(*draw(24, 0)).directions.shape[0] == 6
    wide = fit_training(*draw(400, 0, width=4096))
    assert wide.directions.nbytes <= 160_000
    single = np.array([[1], [-1], [2]], np.float32)
    with np.errstate(all="raise"):
        assert np.isfinite(fit_training(single, single).strangeness(single, single)).all()
    alike = np.ones((30, 8), np.float32)
    assert np.isfinite(fit_training(alike, alike[:, :2]).strangeness(alike, alike[:, :2])).all()


def test_folds_judge_pictures_that_they_have_not_seen() -> None:
    features, logits = draw(40, 0)
    folds = np.arange(40) // 8
    left_out = [LeftOut(folds == fold, logits[folds == fold]) for fold in range(5)]
    unseen = strangeness_left_out(features, logits, left_out)
    assert unseen.mean() > fit_training(features, logits).strangeness(features, logits).mean()
    few = [LeftOut(own, logits[own]) for own in (np.arange(40) // 2 == part for part in range(20))]
    kept = fit_training(features, logits).strangeness(features, logits)
    fine = strangeness_left_out(features, logits, few)
    assert kept.mean() < fine.mean() < unseen.mean()  # a smaller part leaves directions nearer to those of all
    moved = features.copy()
    moved[folds == 3] = draw(40, 5, strange=True)[0][folds == 3]
    same = strangeness_left_out(moved, logits, left_out)
    assert (same[folds == 3] != unseen[folds == 3]).all()
    own = fit_training(moved[folds != 3], logits[folds != 3])
    np.testing.assert_array_equal(same[folds == 3], own.strangeness(moved[folds == 3], logits[folds == 3]))
