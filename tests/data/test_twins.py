"""Twins: made ones are found, different things and sets that look alike are not, and the answer never varies."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from pennyweight.data.twins import SIDE, candidates, compare, find_twins, thumbnail_of
from pennyweight.data.twins.clusters import doubtful_clusters
from pennyweight.data.twins.side import Side

Noise = Callable[..., np.ndarray]
Change = Callable[[Image.Image], Image.Image]


def scene(seed: int) -> Image.Image:
    """A picture with shapes of all sizes, as photographs have, 200×160."""
    draw = np.random.default_rng(seed)
    total = np.zeros((160, 200))
    for side in (3, 6, 12, 24):
        part = Image.fromarray(draw.normal(0, 1, (side, side)).astype(np.float32))
        total += np.asarray(part.resize((200, 160), Image.Resampling.BICUBIC))
    return Image.fromarray(np.clip(128 + 40 * total, 0, 255).astype(np.uint8))


def stack(pictures: list[Image.Image]) -> np.ndarray:
    return np.stack([thumbnail_of(picture) for picture in pictures])


@pytest.fixture(name="scenes", scope="module")
def scenes_fixture() -> list[Image.Image]:
    return [scene(seed) for seed in range(30)]


CHANGES: dict[str, Change] = {
    "cropped to 90%": lambda image: image.crop((15, 10, 195, 154)),
    "shifted": lambda image: image.transform(image.size, Image.Transform.AFFINE, (1, 0, 16, 0, 1, -12)),
    "darker": lambda image: image.point(lambda value: value * 0.85),
    "half size": lambda image: image.resize((100, 80)),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned": lambda image: image.rotate(5, Image.Resampling.BICUBIC),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_made_twins_are_found_and_nothing_else(scenes: list[Image.Image], change: Change) -> None:
    found = find_twins(stack([*scenes, *map(change, scenes)]))
    assert found.pairs.tolist() == [[n, n + 30] for n in range(30)]
    assert found.reason is None
    assert not found.unsure.any()


@pytest.mark.parametrize("frames", [12, 30])
def test_bursts_are_clusters_even_if_nothing_else_is_there(scenes: list[Image.Image], frames: int) -> None:
    draw = np.random.default_rng(0)
    pictures = []
    for image in scenes[:4]:
        for _ in range(frames):
            x, y = draw.integers(0, 16, 2)
            frame = image.crop((x, y, x + 184, y + 144))
            pictures.append(ImageEnhance.Brightness(frame).enhance(draw.uniform(0.9, 1.1)))
    found = find_twins(stack(pictures))
    assert found.clusters(len(pictures)) == tuple(
        tuple(range(start, start + frames)) for start in range(0, 4 * frames, frames)
    )
    assert found.reason is None


@pytest.mark.parametrize(
    ("down", "right"),
    [
        (0, -12),
        (12, 0),
        (4, 8),
        *(pytest.param(*step, marks=pytest.mark.slow) for step in ((0, 12), (-12, 0), (12, 12), (12, -12))),
    ],
)
def test_frames_of_a_camera_that_moves_by_an_eighth_of_its_view_are_a_cluster(down: int, right: int) -> None:
    pictures = []
    for seed in range(8):
        wide = np.asarray(scene(seed).resize((160, 160)))
        tops, lefts = (np.arange(4) * step + (0 if step >= 0 else 48) for step in (down, right))
        pictures += [Image.fromarray(wide[y : y + 100, x : x + 100]) for y, x in zip(tops, lefts, strict=True)]
    found = find_twins(stack(pictures))
    assert found.clusters(len(pictures)) == tuple(tuple(range(start, start + 4)) for start in range(0, 32, 4))


def test_between_two_sets_the_pairs_name_first_and_second(scenes: list[Image.Image]) -> None:
    found = find_twins(stack(scenes[:5]), against=stack([*scenes[20:], scenes[3], scenes[1]]))
    assert found.pairs.tolist() == [[1, 11], [3, 10]]


def test_the_order_of_the_pictures_does_not_matter(scenes: list[Image.Image]) -> None:
    gray = stack([*scenes, *map(CHANGES["turned"], scenes), *map(CHANGES["shifted"], scenes)])
    order = np.random.default_rng(0).permutation(len(gray))
    before, after = find_twins(gray), find_twins(gray[order])
    moved = np.sort(order[after.pairs], axis=1)
    rows = np.lexsort((moved[:, 1], moved[:, 0]))
    assert moved[rows].tolist() == before.pairs.tolist()
    assert after.scores[rows].tolist() == before.scores.tolist()


def test_one_of_two_sets_may_be_empty(scenes: list[Image.Image]) -> None:
    none = np.empty((0, SIDE, SIDE), np.uint8)
    assert len(find_twins(stack(scenes), against=none).pairs) == 0
    assert find_twins(none, against=stack(scenes)).unsure.shape == (0,)


def test_plain_pictures_have_no_twins() -> None:
    draw = np.random.default_rng(0)
    flat = draw.normal(128, 2, (20, SIDE, SIDE)).astype(np.uint8)
    rows = np.arange(SIDE)[:, None] - draw.uniform(8, 24, (20, 1, 1))
    horizons = (180 - 120 / (1 + np.exp(-rows)) + draw.normal(0, 2, (20, SIDE, SIDE))).astype(np.uint8)
    found = find_twins(np.concatenate([flat, horizons]))
    assert len(found.pairs) == 0
    assert found.plain[20:].all()


def test_pictures_of_one_kind_that_all_look_alike_are_left_out_with_a_reason() -> None:
    from sklearn.datasets import load_digits

    digits = [Image.fromarray((255 - 15 * image).astype(np.uint8)) for image in load_digits().images[:60]]
    found = find_twins(stack(digits))
    assert len(found.pairs) == 0
    assert found.unsure.any()
    assert "--group-by" in str(found.reason)


@pytest.mark.slow
def test_a_set_of_digits_has_no_twins() -> None:
    from sklearn.datasets import load_digits

    found = find_twins(stack([Image.fromarray((image * 255 / 16).astype(np.uint8)) for image in load_digits().images]))
    assert len(found.pairs) == 0
    assert "--group-by" in str(found.reason)


def test_pictures_of_one_camera_that_never_moves_are_left_out_with_a_reason(scenes: list[Image.Image]) -> None:
    draw = np.random.default_rng(0)
    pictures = [Image.fromarray(np.asarray(scenes[0]) + draw.integers(0, 9, (160, 200), np.uint8)) for _ in range(40)]
    found = find_twins(stack([*pictures, *scenes[1:5]]))
    assert len(found.pairs) == 0
    assert found.unsure.tolist() == [True] * 40 + [False] * 4
    assert "40 of 44 pictures" in str(found.reason)


@pytest.mark.slow
def test_frames_of_a_recording_by_a_fixed_camera_are_one_cluster() -> None:
    draw = np.random.default_rng(0)
    others = [np.asarray(Image.fromarray(draw.integers(0, 256, (9, 9), dtype=np.uint8)).resize((SIDE, SIDE), 3))
              for _ in range(300)]  # fmt: skip
    frames = np.stack([others[0]] * 200).astype(np.int16)
    for frame in frames:  # something passes by
        down, right = draw.integers(0, SIDE - 8, 2)
        frame[down : down + 8, right : right + 8] = draw.integers(0, 256)
    frames += draw.integers(-6, 7, frames.shape)
    found = find_twins(np.concatenate([frames.clip(0, 255).astype(np.uint8), others[1:]]))
    assert found.clusters(499) == (tuple(range(200)),)
    assert found.reason is None


def judged(clusters: list[list[int]], others: int) -> np.ndarray:
    """Mask the doubtful pictures of a set whose clusters are given, and where every other pair lies between."""
    count = sum(map(len, clusters)) + others
    sure = {pair for cluster in clusters for pair in combinations(cluster, 2)}
    pairs = list(combinations(range(count), 2))
    twin = np.array([pair in sure for pair in pairs])
    return doubtful_clusters(np.array(pairs), twin, ~twin, count)


@pytest.mark.parametrize("scenes", [2, 3, 4])
@pytest.mark.parametrize("frames", [2, 3, 12, 30])
def test_recordings_of_a_few_similar_scenes_are_no_kind(scenes: int, frames: int) -> None:
    clusters = [list(range(start, start + frames)) for start in range(0, scenes * frames, frames)]
    assert not judged(clusters, 0).any()


@pytest.mark.parametrize(("frames", "others"), [(2, 4), (3, 4), (4, 7), (6, 16)])
def test_a_cluster_that_resembles_more_than_it_holds_is_doubtful(frames: int, others: int) -> None:
    assert judged([list(range(frames))], others).tolist() == [True] * frames + [False] * others
    assert not judged([list(range(frames))], others - 1).any()


def test_pictures_of_one_kind_that_differ_in_small_shapes_are_no_twins() -> None:
    draw = np.random.default_rng(0)
    large = np.asarray(scene(0), np.float64)
    for strength in (20, 60):
        small = [Image.fromarray(draw.normal(0, 1, (20, 25)).astype(np.float32)) for _ in range(40)]
        own = [np.asarray(one.resize((200, 160), Image.Resampling.BICUBIC)) * strength for one in small]
        found = find_twins(stack([Image.fromarray(np.clip(large + one, 0, 255).astype(np.uint8)) for one in own]))
        assert len(found.pairs) == 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures_are_answered(scenes: list[Image.Image], count: int) -> None:
    found = find_twins(np.stack([thumbnail_of(scenes[0])] * count) if count else np.empty((0, SIDE, SIDE), np.uint8))
    assert found.pairs.tolist() == ([[0, 1]] if count == 2 else [])
    assert found.clusters(count) == (((0, 1),) if count == 2 else ())


@pytest.mark.slow
def test_a_large_set_has_nearly_all_of_its_twins(scenes: list[Image.Image], monkeypatch: pytest.MonkeyPatch) -> None:
    gray = stack([*scenes, *(change(image) for change in CHANGES.values() for image in scenes)])
    every = {tuple(pair) for pair in find_twins(gray).pairs.tolist()}
    monkeypatch.setattr(candidates, "FEW", 10)
    counted: list[int] = []
    found = find_twins(gray, advance=counted.append)
    some = {tuple(pair) for pair in found.pairs.tolist()}
    assert some <= every
    assert len(some) >= 0.99 * len(every) > 0
    assert found.clusters(len(gray)) == tuple(tuple(range(n, len(gray), 30)) for n in range(30))
    assert sum(counted) == len(gray)
    between = find_twins(gray[:30], against=gray[30:]).pairs
    assert len(between) >= 0.99 * 7 * 30


def test_a_crowded_picture_keeps_the_most_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "MOST", 3)
    draw = np.random.default_rng(0)
    first = draw.integers(-30, 31, (1, 64)).astype(np.int8)
    others = np.clip(first + draw.normal(0, np.arange(6)[:, None] + 1, (6, 64)), -127, 127).astype(np.int8)
    scale = candidates.LENGTH / np.linalg.norm(np.concatenate([first, others]).astype(float), axis=1, keepdims=True)
    first, *others = np.rint(np.concatenate([first, others]) * scale).astype(np.int8)
    found = candidates.candidates(first[None], np.stack(others)[:, None], same=False)
    assert found.pairs.tolist() == [[0, 0], [0, 1], [0, 2]]
    assert (np.diff(found.alike) < 0).all()


@pytest.mark.parametrize("enough", [0.6, 0.95])
def test_a_score_is_as_good_as_the_answer_needs(scenes: list[Image.Image], enough: float) -> None:
    pictures = Side.of(stack([*scenes, *(CHANGES["turned"](image) for image in scenes)]))
    pairs, views = np.array([(n, n + 30) for n in range(30)]), np.zeros(30, int)
    least = np.full(30, 0.5)
    whole = compare.score(pictures, pictures, pairs, views, least)
    quick = compare.score(pictures, pictures, pairs, views, least, np.full(30, enough))
    assert (quick >= least).all()
    assert ((quick >= enough) == (whole >= enough)).all()
