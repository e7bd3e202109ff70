"""Splits and fingerprints depend on contents alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from pennyweight import data
from pennyweight.core.errors import SourceError
from pennyweight.data import Sample, Source
from pennyweight.data import splits as splits_module


def sample(number: int, label: int = 0, split: data.Split | None = None, name: str | None = None) -> Sample:
    """A sample whose content is a number; nothing here opens it."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return Sample(hashlib, label, digest, split, name or f"{number}.png")  # type: ignore[arg-type]


def source(samples: list[Sample], labels: tuple[str, ...] = ("a", "b")) -> Source:
    return Source(name="pets", address="pets", labels=labels, samples=tuple(samples), size=32)


def many(count: int = 400) -> list[Sample]:
    return [sample(number, number % 2) for number in range(count)]


def digests(splits: data.Splits) -> dict[str, list[str]]:
    return {name: [s.digest for s in splits[name]] for name in data.SPLITS}


def where(splits: data.Splits) -> dict[str, str]:
    return {s.digest: name for name in data.SPLITS for s in splits[name]}


def test_every_picture_is_in_one_split() -> None:
    splits = data.split(source(many()))
    names = [s.name for name in data.SPLITS for s in splits[name]]
    assert sorted(names) == sorted(s.name for s in many())
    assert splits.counts == {name: len(splits[name]) for name in data.SPLITS}
    assert len(splits.notes) == 1
    assert "15%" in splits.notes[0]


def test_shares_are_as_said_in_every_class() -> None:
    samples = [sample(number, number % 3) for number in range(6000)]
    splits = data.split(source(samples, ("a", "b", "c")))
    for label in range(3):
        for name, share in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
            found = sum(s.label == label for s in splits[name]) / 2000
            assert found == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("count", [3, 4, 5, 7, 12, 30])
def test_a_small_class_is_in_every_split(count: int) -> None:
    for start in range(0, 2000, 100):
        samples = [sample(number) for number in range(start, start + count)]
        samples += [sample(number, 1) for number in range(5000, 5050)]
        splits = data.split(source(samples))
        for name in data.SPLITS:
            assert any(s.label == 0 for s in splits[name])


def test_names_and_order_change_nothing() -> None:
    first = digests(data.split(source(many())))
    renamed = [replace(s, name=f"{len(s.digest)}-{number}") for number, s in enumerate(reversed(many()))]
    assert digests(data.split(source(renamed))) == first


def test_more_pictures_move_no_other() -> None:
    before = where(data.split(source(many(400))))
    after = where(data.split(source(many(1000))))
    assert before == {digest: after[digest] for digest in before}


@pytest.mark.slow
def test_of_many_pictures_fewer_select_and_more_teach() -> None:
    pictures = many(40_000)
    before, after = (data.split(source(pictures[:count])) for count in (30_000, 40_000))
    assert before.counts["val"] == pytest.approx(0.15 * 30_000, rel=0.1)
    assert after.counts["val"] == pytest.approx(0.075 * 40_000, rel=0.1)
    assert after.counts["test"] == pytest.approx(0.15 * 40_000, rel=0.1)
    assert "7.5% validation" in after.notes[0]
    now = where(after)
    moved = {(name, now[digest]) for digest, name in where(before).items() if now[digest] != name}
    assert moved == {("val", "train")}


def test_given_test_leaves_more_of_many_to_teach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits_module, "VAL_MOST", 100)
    pictures = [sample(number, number % 2, "train") for number in range(2000)]
    pictures += [sample(number, number % 2, "test") for number in range(9000, 9100)]
    splits = data.split(source(pictures))
    assert splits.counts["test"] == 100
    assert splits.counts["val"] == pytest.approx(0.0375 * 2000, rel=0.3)  # halved twice
    assert any("3.75% of its train" in note for note in splits.notes)


def test_groups_count_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits_module, "VAL_MOST", 100)
    pictures = [replace(s, group=f"patient {number % 41}") for number, s in enumerate(many(4000))]
    splits = data.split(source(pictures))
    assert "15% validation" in splits.notes[-1]
    assert len({s.group for s in splits.val}) > 3


def test_another_class_moves_no_picture() -> None:
    before = where(data.split(source(many())))
    more = [*many(), *(sample(number, 2) for number in range(9000, 9050))]
    after = where(data.split(source(more, ("a", "b", "c"))))
    assert before == {digest: after[digest] for digest in before}


def test_equal_pictures_stay_together() -> None:
    samples = many(100) + [replace(s, name=f"copy of {s.name}") for s in many(100)]
    splits = data.split(source(samples))
    sides = [{s.digest for s in splits[name]} for name in data.SPLITS]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    assert sum(splits.counts.values()) == 200


@pytest.mark.parametrize("count", [1, 2])
def test_a_class_too_small_is_refused(count: int) -> None:
    samples = [*many(), *(sample(number, 2) for number in range(9000, 9000 + count))]
    with pytest.raises(SourceError, match=f"class 'c' of pets has {count} different picture{'s' * (count - 1)};"):
        data.split(source(samples, ("a", "b", "c")))


def test_given_splits_are_kept() -> None:
    given = [sample(n, n % 2, data.SPLITS[n % 3]) for n in range(60)]
    splits = data.split(source(given))
    for number, name in enumerate(data.SPLITS):
        assert {s.name for s in splits[name]} == {f"{n}.png" for n in range(60) if n % 3 == number}


def test_the_order_of_given_splits_is_that_of_their_contents() -> None:
    """Equal sources train alike, however they list their pictures."""
    given = [sample(n, n % 2, data.SPLITS[n % 3]) for n in range(60)]
    assert data.split(source(given)) == data.split(source(given[::-1]))


@pytest.mark.parametrize("last", ["val", "test"])
def test_of_two_given_splits_the_second_is_never_trained_or_selected_on(last: data.Split) -> None:
    given = [sample(n, n % 2, last if n % 4 == 0 else "train") for n in range(200)]
    given = [replace(s, label=number // 2 % 2) for number, s in enumerate(given)]
    splits = data.split(source(given))
    assert {s.name for s in splits.test} == {f"{n}.png" for n in range(0, 200, 4)}
    assert splits.counts["train"] + splits.counts["val"] == 150
    assert splits.counts["val"] == pytest.approx(0.15 * 150, abs=10)


@pytest.mark.parametrize(
    ("shared", "lost"),
    [
        (("train", "test"), "class 'a' and class 'b'"),
        (("train", "val", "test"), "class 'a' and class 'b'"),
        (("val", "test"), "the val split"),
    ],
)
def test_splits_that_leave_nothing_of_their_own_are_refused(shared: tuple[data.Split, ...], lost: str) -> None:
    """Train and test are often the same folder, copied or linked."""
    same = [sample(n, n % 2, name) for n in range(20) for name in shared]
    own = [sample(n, n % 2, "train") for n in range(20, 40) if "train" not in shared]
    with pytest.raises(SourceError, match=f"every picture of {lost} of pets .* is in a later split too"):
        data.split(source([*same, *own]))


FIRST = source(many(20)).fingerprint


@pytest.mark.parametrize(
    "samples",
    [
        many(20)[::-1],
        [replace(s, name="renamed") for s in many(20)],
    ],
    ids=["order", "names"],
)
def test_the_fingerprint_stays(samples: list[Sample]) -> None:
    assert source(samples).fingerprint == FIRST
    assert replace(source(samples), name="other", address="elsewhere", size=224).fingerprint == FIRST


@pytest.mark.parametrize(
    "samples",
    [
        many(19),
        many(21),
        [*many(20), many(20)[0]],
        [sample(99, 0), *many(20)[1:]],
        [replace(many(20)[0], label=1), *many(20)[1:]],
        [replace(many(20)[0], split="train"), *many(20)[1:]],
    ],
    ids=["one less", "one more", "one twice", "another content", "another class", "another split"],
)
def test_the_fingerprint_changes(samples: list[Sample]) -> None:
    assert source(samples).fingerprint != FIRST


def test_the_fingerprint_knows_classes_by_name() -> None:
    assert source(many(20), ("a", "c")).fingerprint != FIRST
    swapped = [replace(s, label=1 - s.label) for s in many(20)]
    assert source(swapped, ("b", "a")).fingerprint == FIRST


@pytest.mark.parametrize("labels", [(), ("a",)])
def test_one_class_is_no_source(labels: tuple[str, ...]) -> None:
    with pytest.raises(SourceError, match="at least two classes"):
        data.open(source([], labels))


def test_of_equal_pictures_in_two_given_splits_the_later_keeps_its_own() -> None:
    given = [sample(n, n % 2, data.SPLITS[n % 3]) for n in range(60)]
    test = [s for s in given if s.split == "test"]
    leaked = [replace(s, split="train", name=f"copy of {s.name}") for s in test[:4]]
    splits = data.split(source(given + leaked))
    assert set(splits.test) == set(test)
    assert not {s.digest for s in splits.train} & {s.digest for s in test}
    assert splits.counts["train"] == 20
    assert "4 pictures left out of training and validation" in splits.notes[0]
    assert set(splits.left_out) == {(each.name, "test has the same picture") for each in leaked}


def test_every_picture_that_no_split_has_is_listed() -> None:
    given = [replace(sample(n, n % 2, data.SPLITS[n % 3]), group=f"film {n}") for n in range(60)]
    same_film = replace(sample(99, 0, "train"), group="film 2")  # of test
    copy = replace(sample(1, 1, "train"), name="copy.png", group="another film")  # of val
    splits = data.split(source([*given, same_film, copy]))
    assert dict(splits.left_out) == {same_film.name: "test has the same group", "copy.png": "val has the same picture"}
    assert sum(splits.counts.values()) == 60


def grouped(count: int, groups: int) -> list[Sample]:
    return [replace(s, group=f"patient-{number % groups}") for number, s in enumerate(many(count))]


def test_groups_are_in_one_split_each() -> None:
    splits = data.split(source(grouped(400, 41)))  # each group has pictures of both classes
    sides = [{s.group for s in splits[name]} for name in data.SPLITS]
    assert all(sides)
    assert sum(map(len, sides)) == 41
    assert sum(splits.counts.values()) == 400


def test_more_pictures_of_a_group_and_more_groups_move_no_other() -> None:
    before = where(data.split(source(grouped(400, 41))))
    more = [replace(s, group=f"patient-{n % 50}") for n, s in enumerate(many(600)) if n >= 400]
    after = where(data.split(source(grouped(400, 41) + more)))
    assert before == {digest: after[digest] for digest in before}


def test_a_picture_of_two_groups_joins_them() -> None:
    samples = grouped(200, 20)
    joining = [replace(samples[0], group="patient-1", name="copy")]  # patient-0 and patient-1
    sides = data.split(source(samples + joining))
    found = [name for name in data.SPLITS if {s.group for s in sides[name]} & {"patient-0", "patient-1"}]
    assert len(found) == 1


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(SourceError, match=r"groups? or pictures?"):
        data.split(source(grouped(40, 2)))


def test_the_fingerprint_of_a_split_is_of_who_is_where() -> None:
    first = data.split(source(many()))
    assert data.split(source(many()[::-1])).fingerprint == first.fingerprint
    assert data.split(source(many(399))).fingerprint != first.fingerprint
    assert replace(first, train=first.train[1:], test=(*first.test, first.train[0])).fingerprint != first.fingerprint
