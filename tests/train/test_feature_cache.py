"""Features that a kill leaves behind are not computed again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pennyweight.core.errors import RunError
from pennyweight.core.signals import Stop
from pennyweight.train import Recipe
from pennyweight.train.feature_cache import FeatureCache
from pennyweight.train.linear_probe import BATCH, Features, extract_features

Make = Callable[..., Any]
CLASSES = [number % 4 for number in range(70)]
CPU = torch.device("cpu")
SIZES = [16, 16, 16, 16, 6]
CHANGING = Recipe(mode="head", flip=True, shift=0.25)


class Killed(Exception):
    pass


class Clock:
    """Every look at it is a second later."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def features(make_network: Make, make_pictures: Make, tmp_path: Path) -> Callable[..., tuple[Features, list[int]]]:
    """`features(kill_after=…, every_s=…, views=…, count=…)`: (them, how many pictures each advance was)."""
    network = make_network()

    def extracted(
        *,
        kill_after: int | None = None,
        every_s: float = 2.5,
        views: int = 0,
        count: int = len(CLASSES),
        keeps: bool = True,
    ) -> tuple[Features, list[int]]:
        advanced: list[int] = []

        def advance(count: int) -> None:
            if len(advanced) == kill_after:
                raise Killed
            advanced.append(count)

        kept = FeatureCache(tmp_path / "features", every_s=every_s, stop=Stop(), writes=keeps, clock=Clock())
        pictures = make_pictures(CLASSES[:count])
        got = extract_features(network, pictures, CHANGING, views=views, seed=0, device=CPU, advance=advance, kept=kept)
        return got, advanced

    return extracted


def equal(one: Features, other: Features) -> bool:
    return np.array_equal(one.values, other.values) and np.array_equal(one.targets, other.targets)


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("views", [0, 3])
def test_a_kill_loses_an_interval_of_them(features: Make, tmp_path: Path, views: int) -> None:
    whole, every = features(keeps=False, views=views)
    assert len(every) == len(SIZES) * max(views, 1)
    with pytest.raises(Killed):
        features(kill_after=4, views=views)
    assert parts(tmp_path) == ["000000.npz"]
    again, advanced = features(views=views)
    assert advanced[0] == sum(every[:3])
    assert advanced[1:] == every[3:]
    assert equal(again, whole)
    once_more, advanced = features(views=views)
    assert advanced == [len(CLASSES) * max(views, 1)]
    assert equal(once_more, whole)


def test_what_is_quick_is_not_written(features: Make, tmp_path: Path) -> None:
    features(every_s=1000.0)
    assert not parts(tmp_path)


def test_a_damaged_part_and_what_follows_are_computed_again(features: Make, tmp_path: Path) -> None:
    whole, _ = features(every_s=0.5)
    files = sorted((tmp_path / "features").iterdir())
    assert len(files) == len(SIZES)
    content = bytearray(files[1].read_bytes())
    content[len(content) // 2] ^= 1
    files[1].write_bytes(content)
    again, advanced = features(every_s=0.5)
    assert advanced == [BATCH, *SIZES[1:]]
    assert equal(again, whole)


def test_those_of_other_pictures_or_views_do_not_count(features: Make) -> None:
    features(every_s=0.5)
    assert features(every_s=0.5, count=69)[1] == [*SIZES[:-1], SIZES[-1] - 1]
    assert features(every_s=0.5, views=1)[1][0] < sum(SIZES)


def test_a_disk_that_takes_no_more_is_said(features: Make, tmp_path: Path) -> None:
    (tmp_path / "features").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot save features in .*features: "):
        features(every_s=0.5)


def test_features_with_a_flipped_byte_are_computed_again(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    kept = FeatureCache(tmp_path, every_s=0.0, stop=Stop(), clock=Clock())
    kept.read("pictures")
    kept.add((values, np.arange(6)))
    (path,) = tmp_path.glob("*.npz")
    content = path.read_bytes()
    for place in range(0, len(content), 5):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        found = FeatureCache(tmp_path, every_s=0.0, stop=Stop()).read("pictures")
        assert all(np.array_equal(rows, values) and np.array_equal(targets, np.arange(6)) for rows, targets in found)
    path.write_bytes(content)
    assert len(FeatureCache(tmp_path, every_s=0.0, stop=Stop()).read("pictures")) == 1
