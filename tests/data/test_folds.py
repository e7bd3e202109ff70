"""Folds are decided by contents, spread every class, and never divide duplicates, groups and twins."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

from pennyweight import data
from pennyweight.core.errors import SourceError
from pennyweight.data import Sample, Source
from pennyweight.data.twins.find import Twins


def sample(number: int, label: int = 0, group: str | None = None, name: str | None = None) -> Sample:
    """A sample whose content is a number; nothing here opens it."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return Sample(hashlib, label, digest, None, name or f"{number}.png", group)  # type: ignore[arg-type]


def source(samples: list[Sample]) -> Source:
    return Source(name="pets", address="pets", labels=("a", "b"), samples=tuple(samples), size=32)


def twins(*pairs: tuple[int, int]) -> Twins:
    found = np.array(pairs, np.int64).reshape(-1, 2)
    none = np.zeros(0, np.bool_)
    return Twins(pairs=found, scores=np.ones(len(found), np.float32), unsure=none, plain=none, reason=None)


def where(samples: list[Sample], folds: int = 5, **options: object) -> dict[str, int]:
    numbers = data.assign_folds(samples, folds, **options)  # type: ignore[arg-type]
    return {each.name: int(number) for each, number in zip(samples, numbers, strict=True)}


def drawn_set(seed: int) -> tuple[list[Sample], dict[str, str]]:
    """Pictures of three classes with duplicates, also under two labels, groups, also across classes, and twins."""
    draw = np.random.default_rng(seed)
    samples = [sample(number, number % 3) for number in range(40)]
    for number in range(40, 90):
        label, kind = int(draw.integers(3)), int(draw.integers(4))
        if kind == 0:
            samples.append(sample(int(draw.integers(40)), label, name=f"copy-{number}"))
        elif kind == 1:
            samples.append(sample(number, label, group=f"film-{draw.integers(8)}"))
        else:
            samples.append(sample(number, label))
    chosen = draw.choice(len(samples), 24, replace=False)
    return samples, {samples[number].digest: str(place // 3) for place, number in enumerate(chosen.tolist())}


@pytest.mark.parametrize("folds", [3, 5])
@pytest.mark.parametrize("seed", range(30))
def test_groups_of_unequal_sizes_fill_every_fold(seed: int, folds: int) -> None:
    draw = np.random.default_rng(seed)
    sizes = draw.choice([1, 5, 20], 2 * int(draw.integers(3, 5)))
    samples = [
        sample(100 * group + number, group % 2, group=f"film-{group}")
        for group, size in enumerate(sizes.tolist())
        for number in range(size)
    ]
    numbers = data.assign_folds(samples, folds, seed=seed)
    assert set(numbers.tolist()) == set(range(folds))
    for label in (0, 1):
        assert len({int(fold) for each, fold in zip(samples, numbers, strict=True) if each.label == label}) > 1


@pytest.mark.parametrize("seed", range(40))
def test_duplicates_groups_and_twins_never_lie_on_both_sides(seed: int) -> None:
    samples, clusters = drawn_set(seed)
    folds = int(np.random.default_rng(seed).integers(2, 9))
    numbers = data.assign_folds(samples, folds, seed=seed, clusters=clusters)
    of: dict[str, set[int]] = defaultdict(set)
    for each, fold in zip(samples, numbers.tolist(), strict=True):
        assert 0 <= fold < folds
        of[each.digest].add(fold)
        if each.group is not None:
            of[f"group {each.group}"].add(fold)
        if each.digest in clusters:
            of[f"cluster {clusters[each.digest]}"].add(fold)
    assert all(len(found) == 1 for found in of.values())
    labels = np.array([each.label for each in samples])
    assert all(len(np.unique(numbers[labels == label])) > 1 for label in range(3))


def test_names_and_order_change_nothing_and_a_seed_divides_otherwise() -> None:
    samples = [sample(number, number % 3) for number in range(60)]
    before = where(samples)
    assert where(samples[::-1]) == before
    renamed = [replace(each, name=f"other-{each.name}") for each in samples]
    assert list(where(renamed).values()) == list(before.values())
    assert where(samples, seed=1) != before


@pytest.mark.parametrize("count", [2, 3, 5, 10, 33])
def test_every_class_is_spread_evenly(count: int) -> None:
    samples = [sample(number, number % 4) for number in range(4 * count)]
    numbers = data.assign_folds(samples, 5)
    for label in range(4):
        counts = Counter(numbers[label::4].tolist())
        assert max(counts.values()) - (min(counts.values()) if len(counts) == 5 else 0) <= 1
        assert len(counts) == min(count, 5)
    sizes = np.bincount(numbers, minlength=5)
    assert sizes.max() - sizes.min() <= 4


def test_a_new_picture_moves_few_others() -> None:
    for count in (8, 30, 101):
        samples = [sample(number, number % 2) for number in range(count)]
        before = where(samples)
        for new in range(1000, 1010):
            after = where([*samples, sample(new, 0)])
            moved = [name for name, fold in before.items() if after[name] != fold]
            assert len(moved) <= 4
            assert all(int(name.partition(".")[0]) % 2 == 0 for name in moved)


def test_folds_do_not_follow_the_splits() -> None:
    samples = [sample(number) for number in range(300)]
    test = {each.name for each in samples if each.place < 0.15}
    assert len({fold for name, fold in where(samples).items() if name in test}) == 5


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(SourceError, match="5 folds need at least 5 different pictures or groups, and there are 4"):
        data.assign_folds([sample(number, number % 2) for number in range(4)], 5)
    lone = [*(sample(number) for number in range(6)), sample(9, 1), sample(9, 1, name="copy")]
    with pytest.raises(SourceError, match="class 'b' has 1 different picture or group"):
        data.assign_folds(lone, 5, labels=("a", "b"))


def test_a_class_in_two_groups_of_several_classes_lies_in_two_folds() -> None:
    for start in range(0, 400, 2):
        groups = [f"film-{start}", f"film-{start + 1}"]
        samples = [sample(number, number % 2, groups[number // 4]) for number in range(8)]
        samples += [sample(number, 0) for number in range(20, 24)]
        found = where(samples)
        assert found["0.png"] != found["4.png"]


def test_all_pictures_are_training_pictures_and_notes_tell_of_twins() -> None:
    pets = source([sample(number, number % 2) for number in range(12)])
    pair = twins((0, 2))
    parts = data.in_folds(pets, pair, "group", 5)
    assert parts.counts == {"train": 12, "val": 0, "test": 0}
    assert parts.notes[0].startswith("5 folds by content: every picture is scored once")
    assert parts.notes[1] == "2 pictures in 1 cluster of the same moment stay together in a fold"
    dropped = data.in_folds(pets, pair, "drop", 5)
    assert dropped.counts["train"] == 11
    assert len(dropped.left_out) == 1
    assert data.clusters_of(pets, pair, "keep") == {}


def test_twins_that_are_split_are_known() -> None:
    pets = source([sample(number, number % 2) for number in range(12)])
    folds = np.arange(12) % 4
    found = data.have_twin_in_folds(pets, twins((0, 1), (4, 8)), pets.samples, folds)
    assert np.flatnonzero(found.found).tolist() == [0, 1]
