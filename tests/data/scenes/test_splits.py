"""Splits of a scene: what lies where, and that blocks keep training out of test windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pennyweight.core.errors import InputError
from pennyweight.data.scenes.label_maps import open_label_map
from pennyweight.data.scenes.splits import SceneSplit, split_scene
from pennyweight.data.scenes.synthetic import synthetic
from pennyweight.scoring.leakage import measure_leakage

LABELS = tuple("abcdef")


def split(truth: np.ndarray, labels: tuple[str, ...] = LABELS, **options: object) -> SceneSplit:
    return split_scene(truth, labels, **{"kind": "random", "train": 0.3, "window": 9, "seed": 0, **options})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return synthetic().truth


@pytest.mark.parametrize("kind", ["random", "blocks"])
@pytest.mark.parametrize("train", [0.1, 0.3, 30])
def test_parts_are_apart_and_validation_comes_out_of_the_training_share(
    truth: np.ndarray, kind: str, train: float
) -> None:
    made = split(truth, kind=kind, train=train)
    parts = np.concatenate([made.train, made.val, made.test])
    assert len(np.unique(parts)) == len(parts)
    assert (truth.ravel()[parts] >= 0).all()
    assert len(parts) + made.guard == (truth >= 0).sum()
    counts, share = (np.bincount(truth.ravel()[pixels], minlength=6) for pixels in (truth.ravel() >= 0, made.share))
    wanted = np.round(counts * train) if train < 1 else np.full(6, train)
    if kind == "random":
        np.testing.assert_array_equal(share, wanted)
        assert made.guard == 0
    else:
        assert (share <= wanted).all()
        assert share.sum() > 0.8 * wanted.sum()
    assert 0 < len(made.val) < 0.2 * len(made.share)
    assert set(np.unique(truth.ravel()[made.val])) == set(range(6))


@pytest.mark.parametrize("window", [5, 15, 25])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_no_test_window_of_blocks_holds_a_training_centre(truth: np.ndarray, window: int, seed: int) -> None:
    made = split(truth, kind="blocks", window=window, seed=seed)
    half = window // 2
    rows, cols = np.unravel_index(made.share, truth.shape)
    test_rows, test_cols = (places[:, None] for places in np.unravel_index(made.test, truth.shape))
    assert not ((abs(rows - test_rows) <= half) & (abs(cols - test_cols) <= half)).any()
    assert len(made.test) > 300


def test_leakage_is_what_counting_says(truth: np.ndarray) -> None:
    made = split(truth)
    found = measure_leakage(truth, made.share, made.test[:200], window=9)
    rows, cols = np.unravel_index(made.share, truth.shape)
    near = [
        (abs(rows - pixel // truth.shape[1]) <= 4) & (abs(cols - pixel % truth.shape[1]) <= 4)
        for pixel in made.test[:200]
    ]
    own = [
        mask & (truth.ravel()[made.share] == truth.ravel()[pixel])
        for mask, pixel in zip(near, made.test[:200], strict=True)
    ]
    assert found.mean_training_pixels == pytest.approx(np.mean([mask.sum() for mask in near]))
    assert found.share == np.mean([mask.any() for mask in near])
    assert found.mean_training_pixels_own_class == pytest.approx(np.mean([mask.sum() for mask in own]))
    assert found.share_own_class == np.mean([mask.any() for mask in own])


@pytest.mark.slow
def test_one_seed_gives_one_split_and_another_another(truth: np.ndarray) -> None:
    for kind in ("random", "blocks"):
        first, again, other = (split(truth, kind=kind, seed=seed) for seed in (3, 3, 4))
        np.testing.assert_array_equal(first.train, again.train)
        np.testing.assert_array_equal(first.test, again.test)
        assert not np.array_equal(first.train, other.train)


def test_a_class_on_one_side_of_the_guard_is_left_out_and_named() -> None:
    truth = np.zeros((40, 40), np.int16)
    truth[20:] = 1
    truth[:3, :3] = 2
    made = split(truth, ("field", "wood", "pond"), kind="blocks", window=9)
    assert made.left_out == (2,)
    assert 2 not in truth.ravel()[made.test]
    assert any(
        "'pond' (9 pixels)" in note and "not scored" in note for note in made.notes(("field", "wood", "pond"), truth)
    )


@pytest.mark.parametrize("pixels", [1, 2])
@pytest.mark.parametrize("train", [0.3, 20])
def test_a_class_too_small_for_any_split_is_left_out_by_blocks(pixels: int, train: float) -> None:
    truth = np.zeros((40, 40), np.int16)
    truth[20:] = 1
    truth[5, 5 : 5 + pixels] = 2
    labels = ("field", "wood", "pond")
    made = split(truth, labels, kind="blocks", window=9, train=train)
    assert made.left_out == (2,)
    assert any(f"'pond' ({pixels} pixels)" in note for note in made.notes(labels, truth))
    with pytest.raises(InputError, match=f"class 'pond' has {pixels} labeled pixels.*--split blocks leaves it out"):
        split(truth, labels, kind="random", window=9, train=train)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"train": 300},
            "class 'e' has 237 labeled pixels, and --train 300 needs at least 301; --train 236 is the most",
        ),
        ({"train": 0}, "must be a share between 0 and 1, or a count of pixels per class"),
        ({"train": 2.5}, "must be a share between 0 and 1, or a count of pixels per class"),
        ({"window": 8}, "must be odd, not 8; 9 would do"),
        ({"window": 99, "kind": "blocks"}, "a window of 99 is larger than the scene of 72×64; take at most 63"),
        ({"kind": "chess"}, "unknown split 'chess'; there are random, blocks"),
    ],
)
def test_what_a_split_cannot_give_is_explained(truth: np.ndarray, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        split(truth, **options)


def test_indian_pines_at_random_is_seen_in_training_and_in_blocks_is_not(real_scenes: Path) -> None:
    truth, ids = open_label_map(real_scenes / "ground-truth" / "Indian_pines_gt.mat")
    labels = tuple(map(str, ids))
    random = split(truth, labels, window=25)
    found = measure_leakage(truth, random.share, random.test, window=25)
    assert found.share == 1
    assert found.mean_training_pixels == pytest.approx(120, abs=2)
    blocks = split(truth, labels, kind="blocks", window=25)
    found = measure_leakage(truth, blocks.share, blocks.test, window=25)
    assert (found.share, found.mean_training_pixels) == (0, 0)
    assert found.test_windows > 1000
