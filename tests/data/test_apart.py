"""Pictures of the same moment lie in one split, are split, or are left out, as the rule says."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from pennyweight import data
from pennyweight.core.errors import SourceError
from pennyweight.data import Sample, Source
from pennyweight.data.apart import have_twin, split_by_rule
from pennyweight.data.twins.find import Twins


def sample(number: int, label: int = 0, split: data.Split | None = None) -> Sample:
    """A sample whose content is a number; nothing here opens it."""
    return Sample(hashlib, label, hashlib.sha256(str(number).encode()).hexdigest(), split, f"{number}.png")  # type: ignore[arg-type]


def source(samples: list[Sample]) -> Source:
    return Source(name="pets", address="pets", labels=("a", "b"), samples=tuple(samples), size=32)


def twins(*pairs: tuple[int, int], reason: str | None = None) -> Twins:
    found = np.array(pairs, np.int64).reshape(-1, 2)
    none = np.zeros(0, np.bool_)
    return Twins(pairs=found, scores=np.ones(len(found), np.float32), unsure=none, plain=none, reason=reason)


def bursts(count: int, frames: int) -> Twins:
    """Each frame is a twin of the next."""
    return twins(*((n, n + 1) for n in range(count * frames) if (n + 1) % frames))


def where(parts: data.Splits) -> dict[str, str]:
    return {sample.name: name for name in data.SPLITS for sample in parts[name]}


def test_without_twins_nothing_changes() -> None:
    pets = source([sample(number, number % 2) for number in range(400)])
    for rule in ("group", "keep", "drop"):
        assert split_by_rule(pets, twins(), rule) == data.split(pets)


def test_bursts_stay_together_and_fill_every_split_by_its_share() -> None:
    pets = source([sample(number, number // 12 % 2) for number in range(600 * 12)])
    parts = split_by_rule(pets, bursts(600, 12), "group")
    place = where(parts)
    for first in range(0, 7200, 12):
        assert len({place[f"{first + frame}.png"] for frame in range(12)}) == 1
    for name, share in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        assert len(parts[name]) / 7200 == pytest.approx(share, abs=0.05)
    assert "7,200 pictures in 600 clusters of the same moment stay together in a split" in parts.notes


def test_twins_move_no_other_picture_and_few_move_for_a_new_twin() -> None:
    samples = [sample(number, number % 2) for number in range(2000)]
    alone = where(data.split(source(samples)))
    grouped = where(split_by_rule(source(samples), twins((0, 2), (4, 6)), "group"))
    assert {name for name in alone if alone[name] != grouped[name]} <= {"0.png", "2.png", "4.png", "6.png"}
    moved = 0
    for number in range(0, 400, 2):  # the last frame of a burst of ten comes later
        burst = [sample(10_000 + 10 * number + frame) for frame in range(10)]
        others = samples[:100]
        pairs = [(100 + frame, 101 + frame) for frame in range(9)]
        before = where(split_by_rule(source(others + burst[:9]), twins(*pairs[:-1]), "group"))
        after = where(split_by_rule(source(others + burst), twins(*pairs), "group"))
        moved += any(before[name] != after[name] for name in before)
    assert moved < 200 * 0.15


def test_kept_twins_are_counted() -> None:
    pets = source([sample(number, number % 2) for number in range(400)])
    place = where(data.split(pets))
    test = next(n for n in range(400) if place[f"{n}.png"] == "test")
    train = next(n for n in range(400) if place[f"{n}.png"] == "train")
    pair = twins((min(test, train), max(test, train)))
    parts = split_by_rule(pets, pair, "keep")
    assert where(parts) == place
    assert parts.notes[-1].startswith(f"1 of {len(parts.test)} test pictures have a twin in training or validation")
    assert have_twin(pets, pair, parts.train, [pets.samples[test]]).found.tolist() == [True]
    assert have_twin(pets, pair, parts.train, parts.test).found.sum() == 1


def test_of_a_long_recording_few_pairs_join_all_frames() -> None:
    samples = [sample(n, n % 2, "train" if n < 4 or n == 50 else "test") for n in range(60)]
    pets = source(samples)
    chain = twins(*((n, n + 1) for n in range(4, 50)))
    parts = split_by_rule(pets, chain, "group")
    assert parts.notes[-1].startswith("46 of 55 test pictures have a twin in training or validation")
    found = have_twin(pets, chain, (*parts.train, *parts.val), parts.test).found
    assert {each.name for each, twin in zip(parts.test, found, strict=True) if not twin} == {
        f"{n}.png" for n in range(51, 60)
    }


def test_pictures_whose_twins_cannot_be_told_are_no_pictures_without_twins() -> None:
    pets = source([sample(number, number % 2) for number in range(6)])
    unsure, plain = np.arange(6) == 1, np.arange(6) == 2
    found = have_twin(pets, replace(twins((0, 3)), unsure=unsure, plain=plain), pets.samples[3:5], pets.samples[:3])
    assert found.found.tolist() == [True, False, False]
    assert found.unknown.tolist() == [False, True, True]


def test_one_of_each_cluster_is_left() -> None:
    pets = source([sample(number, number // 5 % 2) for number in range(1000)])
    parts = split_by_rule(pets, bursts(200, 5), "drop")
    assert sum(parts.counts.values()) == 200
    assert len({int(name.removesuffix(".png")) // 5 for name in where(parts)}) == 200
    assert parts.notes[-1] == "1,000 pictures in 200 clusters of the same moment: 800 twins left out"
    assert {each.name for each in parts.left_out} == {s.name for s in pets.samples} - where(parts).keys()
    assert {each.reason for each in parts.left_out} == {"another picture of the same moment stays"}


def test_equal_twins_leave_one() -> None:
    first, second = sample(1), replace(sample(1), name="copy.png")
    pets = source([first, second, *(sample(number, number % 2) for number in range(2, 400))])
    parts = split_by_rule(pets, twins((0, 1)), "drop")
    assert sum(parts.counts.values()) == 399


def test_a_test_split_of_its_own_stays_whole() -> None:
    samples = [sample(n, n % 2, "train") for n in range(100)] + [sample(n, n % 2, "test") for n in range(100, 120)]
    across = twins((0, 100), (1, 101), (102, 104))
    for rule in ("group", "keep"):
        parts = split_by_rule(source(samples), across, rule)
        assert len(parts.test) == 20
        assert len(parts.train) + len(parts.val) == 100
        assert parts.notes[-1].startswith("2 of 20 test pictures have a twin in training or validation")
    parts = split_by_rule(source(samples), across, "drop")
    assert len(parts.test) == 20
    assert {"0.png", "1.png"}.isdisjoint(where(replace(parts, test=())))


def test_a_class_of_twins_alone_is_refused_with_the_way_out() -> None:
    pets = source([sample(number, number // 12) for number in range(24)])
    with pytest.raises(SourceError, match=r"class 'a' of pets has 1 .*count as one, and --twins keep counts each"):
        split_by_rule(pets, bursts(2, 12), "group")
    assert split_by_rule(pets, bursts(2, 12), "keep").counts["test"] >= 2


def test_what_cannot_be_told_is_a_note() -> None:
    pets = source([sample(number, number % 2) for number in range(400)])
    assert split_by_rule(pets, twins(reason="all look alike"), "group").notes[-1] == "all look alike"
