"""Typicality: exact on pictures of one kind, the same from a file, and refused from a damaged one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pennyweight.core.errors import RunError
from pennyweight.core.typicality import HeldOut, Training, read_typicality, save_typicality


def held_out(count: int, seed: int = 0) -> HeldOut:
    """Return the strangeness of so many pictures, drawn at random."""
    return HeldOut.of_pictures(np.random.default_rng(seed).normal(size=count).astype(np.float32), "pictures")


@pytest.mark.parametrize("count", [19, 99, 150])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_no_more_own_pictures_than_asked_for_are_untypical(count: int, share: float) -> None:
    """Of pictures of one kind each is the next one equally often, so the share can be counted."""
    values = np.random.default_rng(count).normal(size=count + 1).astype(np.float32)
    flagged = sum(
        HeldOut.of_pictures(np.delete(values, place), "pictures").typical(values[[place]])[0] <= share + 1e-12
        for place in range(count + 1)
    )
    assert flagged == int(np.floor(share * (count + 1) + 1e-9))


def test_typical_counts_pictures_that_are_at_least_as_strange() -> None:
    own = HeldOut(np.array([0, 1, 1, 3], np.float32), "pictures")
    np.testing.assert_allclose(own.typical(np.array([-1, 0, 1, 2, 3, 4], np.float32)), np.array([5, 5, 4, 2, 2, 1]) / 5)
    assert own.typical(np.array([np.nan], np.float32))[0] == own.finest == 0.2


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
def test_a_limit_is_the_strangeness_from_which_a_picture_is_untypical(share: float) -> None:
    own = held_out(150)
    limit = own.limit(share)
    assert limit is not None
    at = np.float32(limit)
    assert own.typical(np.array([at]))[0] <= share < own.typical(np.array([np.nextafter(at, np.float32(-np.inf))]))[0]


def test_few_pictures_tell_no_small_share() -> None:
    assert held_out(50).limit(0.01) is None
    assert held_out(50).least_typical == pytest.approx(1 / 51)
    assert held_out(12).least_typical == 0.05
    assert held_out(500).least_typical == 0.01


@pytest.mark.parametrize("count", [19, 30, 271])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.0323])
def test_the_expected_share_is_what_the_held_out_pictures_give(count: int, share: float) -> None:
    values = np.random.default_rng(count).normal(size=count + 1).astype(np.float32)
    flagged = sum(
        HeldOut.of_pictures(np.delete(values, place), "pictures").typical(values[[place]])[0] <= share + 1e-12
        for place in range(count + 1)
    )
    assert held_out(count).expected(share) == flagged / (count + 1)


def test_ties_count_half_in_auroc() -> None:
    own = HeldOut(np.array([0, 1, 1, 3], np.float32), "pictures")
    pictures = np.array([-1, 1, 3, 4], np.float32)
    expected = np.mean([np.sign(one - other) / 2 + 0.5 for one in pictures for other in own.strangeness])
    assert own.auroc(pictures) == expected


def test_many_pictures_are_drawn_from() -> None:
    own = held_out(5000)
    assert len(own) == 1000
    fresh = np.random.default_rng(1).normal(size=20_000).astype(np.float32)
    assert abs((own.typical(fresh) <= 0.05).mean() - 0.05) < 0.02


def test_a_manifest_keeps_the_calibration() -> None:
    own = held_out(150)
    again = HeldOut.from_dict(json.loads(json.dumps(own.to_dict())))
    values = np.random.default_rng(2).normal(size=50).astype(np.float32)
    np.testing.assert_array_equal(again.typical(values), own.typical(values))
    neighbors = np.float32(-3.1).view(np.int32) - np.arange(20, dtype=np.int32)
    for kept in (own, HeldOut(neighbors.view(np.float32), "pictures")):
        again = HeldOut.from_dict(written := json.loads(json.dumps(kept.to_dict())))
        np.testing.assert_array_equal(again.strangeness, kept.strangeness)
        assert written["limits"]["0.05"] == kept.limit(0.05)
    with pytest.raises(ValueError, match="ascending"):
        HeldOut.from_dict({"strangeness": [2, 1], "of": "pictures"})


def test_strangeness_grows_with_the_distance_from_the_span() -> None:
    training = Training(np.zeros(4, np.float32), np.eye(2, 4, dtype=np.float16), 2.0)
    features = np.array([[3, 4, 0, 0], [3, 0, 4, 0], [0, 0, 0, 9], [0, 0, 0, 0]], np.float32)
    found = training.strangeness(features, np.zeros((4, 1), np.float32))
    np.testing.assert_allclose(found, [0, 2 * 0.64, 2, 0], atol=1e-6)
    surer = training.strangeness(features, np.full((4, 1), 3, np.float32))
    np.testing.assert_allclose(found - surer, 3, atol=1e-6)


def test_a_file_keeps_both(tmp_path: Path) -> None:
    training, own = Training(np.ones(4, np.float32), np.eye(2, 4, dtype=np.float16), 2.5), held_out(30)
    path = tmp_path / "typicality.npz"
    save_typicality(path, training, own)
    again, kept = read_typicality(path)
    np.testing.assert_array_equal(again.directions, training.directions)
    np.testing.assert_array_equal(kept.strangeness, own.strangeness)
    assert (again.scale, kept.of) == (2.5, "pictures")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunError, match=r"typicality\.npz"):
        read_typicality(path)
