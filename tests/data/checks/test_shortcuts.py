"""Classes that differ by how they were saved or by a border are told; contents are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pennyweight import data
from pennyweight.core.intervals import wilson
from pennyweight.data.checks import shortcuts as module
from pennyweight.data.checks.doctor import diagnose
from pennyweight.data.checks.glance import glance
from pennyweight.data.checks.shortcuts import Shortcut, held_out, lines_beside, shortcuts, telling

COUNT, SIDE = 48, 72
FILES, BYTES, COLOR, RING, THUMBNAIL, DETAIL, MARKS = (
    "how the files were saved",
    "the bytes of a pixel in the files",
    "the mean color",
    "the outermost pixels",
    "an 8×8 thumbnail",
    "sharpness and noise",
    "marks in fixed places",
)
Save = Callable[[Image.Image, Path, int], None]


def jpeg(image: Image.Image, path: Path, k: int, **options: object) -> None:
    image.save(path.with_suffix(".jpg"), **({"quality": 90} | options))


def smaller(image: Image.Image, path: Path, k: int) -> None:
    jpeg(image.resize((SIDE - 14 * k, SIDE - 14 * k)), path, k)


def quality(image: Image.Image, path: Path, k: int) -> None:
    jpeg(image, path, k, quality=90 - 5 * k)


def png(image: Image.Image, path: Path, k: int) -> None:
    image.save(path.with_suffix(".png")) if k else jpeg(image, path, k)


def camera(image: Image.Image, path: Path, k: int) -> None:
    exif = Image.Exif()
    exif[0x0110] = ("X1", "Y2")[k]
    jpeg(image, path, k, exif=exif)


def turned(image: Image.Image, path: Path, k: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6 if k else 1
    jpeg(image.transpose(Image.Transpose.ROTATE_90) if k else image, path, k, exif=exif)


def gray(image: Image.Image, path: Path, k: int) -> None:
    jpeg(image.convert("L").convert("RGB") if k else image, path, k)


def progressive(image: Image.Image, path: Path, k: int) -> None:
    jpeg(image, path, k, progressive=bool(k))


def letterbox(image: Image.Image, path: Path, k: int) -> None:
    if k:
        image.paste("black", (0, 0, SIDE, SIDE // 8))
        image.paste("black", (0, SIDE - SIDE // 8, SIDE, SIDE))
    jpeg(image, path, k)


def border(image: Image.Image, path: Path, k: int) -> None:
    if k:
        ImageDraw.Draw(image).rectangle((0, 0, SIDE - 1, SIDE - 1), outline="white", width=1)
    jpeg(image, path, k)


def scanner(image: Image.Image, path: Path, k: int) -> None:
    if k:
        image.paste((245, 245, 245), (0, 0, SIDE, 3))
    jpeg(image, path, k)


def cast(image: Image.Image, path: Path, k: int) -> None:
    values = np.asarray(image).astype(np.int16) // 2 + (np.array([90, 30, 30]) if k else 50)
    jpeg(Image.fromarray(values.astype(np.uint8)), path, k)


def watermark(image: Image.Image, path: Path, k: int) -> None:
    if k:
        image.paste((235, 235, 235), (SIDE - 30, SIDE - 20, SIDE - 8, SIDE - 8))
    jpeg(image, path, k)


MADE: dict[str, tuple[Save, str]] = {
    "smaller": (smaller, FILES),
    "quality": (quality, FILES),
    "png": (png, FILES),
    "camera": (camera, FILES),
    "turned": (turned, FILES),
    "gray": (gray, FILES),
    "progressive": (progressive, FILES),
    "letterbox": (letterbox, RING),
    "border": (border, RING),
    "scanner": (scanner, RING),
    "cast": (cast, COLOR),
    "watermark": (watermark, THUMBNAIL),
}


def picture(noise: Callable[..., NDArray[np.uint8]], seed: int) -> Image.Image:
    """Smooth noise in all sizes, as photographs have it: a coarse layer, and a fine one of its own strength."""
    draw = np.random.default_rng(seed)
    fine = noise(SIDE * 4, SIDE * 4, seed=seed + 10**6)[SIDE : 2 * SIDE, SIDE : 2 * SIDE].astype(np.float32)
    grain = draw.normal(0, draw.uniform(2, 25), (SIDE, SIDE, 1))
    return Image.fromarray(np.clip(0.6 * noise(SIDE, SIDE, seed=seed) + 0.3 * fine + grain, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def pictures(noise) -> list[Image.Image]:
    return [picture(noise, seed) for seed in range(2 * COUNT)]


def scores(root: Path) -> dict[str, Shortcut]:
    source = data.open(root)
    train, test = (
        [n for n, sample in enumerate(source.samples) if (int(sample.name.split("/")[1][:4]) < COUNT) == first]
        for first in (True, False)
    )
    found = shortcuts(glance(source), [sample.label for sample in source.samples], train, test)
    return {one.name: one for one in found}


def save_all(pictures: list[Image.Image], root: Path, save: Save) -> Path:
    for number, image in enumerate(pictures):
        folder = root / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        save(image.copy(), folder / f"{number:04d}", number % 2)
    return root


def bursts(root: Path, noise: Callable[..., NDArray[np.uint8]]) -> Path:
    """40 scenes of 6 frames that shake a little; each scene has a size and a quality of its own."""
    draw = np.random.default_rng(0)
    for scene in range(40):
        whole, side = Image.fromarray(noise(80, 80, seed=scene)), int(draw.integers(66, 72))
        quality = int(draw.integers(85, 95))
        for frame in range(6):
            x, y = draw.integers(0, 5, 2).tolist()
            path = root / "ab"[scene % 2] / f"{scene:02d}_{frame:02d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            whole.crop((x, y, x + 75, y + 75)).resize((side, side)).save(path, quality=quality)
    return root


def test_frames_of_scenes_under_labels_drawn_at_random_are_no_shortcut(
    tmp_path: Path, noise: Callable[..., NDArray[np.uint8]], few_trees: None
) -> None:
    """A trivial classifier that answers one scene rightly answers all of its frames rightly."""
    source = data.open(bursts(tmp_path / "s", noise))
    glances = glance(source)
    twins = data.find_twins(glances.gray)
    assert len(twins.clusters(240)) == 40
    moments = data.moments_of(source, twins, source.samples)
    scene_of = [int(Path(sample.name).name[:2]) for sample in source.samples]
    alarms = {"one by one": 0, "as one": 0}
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(40)
        labels = np.random.default_rng(100 + seed).integers(0, 2, 40)[scene_of]
        train, test = (np.flatnonzero(np.isin(scene_of, part)) for part in (order[:28], order[28:]))
        found = shortcuts(glances, labels, train, test, moments)
        each = [replace(one, interval=wilson(one.correct, one.count), effective_images=None) for one in found]
        for name, scores in (("one by one", each), ("as one", found)):
            alarms[name] += bool(telling(scores) or telling(scores, found[0].chance))
    assert alarms["one by one"] > 0  # so that the case can fail
    assert alarms["as one"] == 0


def test_twins_leave_a_shortcut_that_many_moments_show(pictures: list[Image.Image], tmp_path: Path) -> None:
    source = data.open(save_all(pictures, tmp_path / "s", smaller))
    labels = [sample.label for sample in source.samples]
    train, test = range(0, 96, 2), range(1, 96, 2)
    moments = np.arange(96) // 4
    named = {one.name: one for one in shortcuts(glance(source), labels, train, test, moments)}
    assert telling((named[FILES],)) == (named[FILES],)
    assert named[FILES].effective_images == 24
    assert named[FILES].fact.endswith("; about 24 independent)")


FEW = ("png", "letterbox", "cast", "watermark")
"""One of each kind; the others are with the slow cases."""


@pytest.mark.parametrize("made", [pytest.param(made, marks=() if made in FEW else pytest.mark.slow) for made in MADE])
def test_each_shortcut_is_told(pictures: list[Image.Image], tmp_path: Path, made: str) -> None:
    save, name = MADE[made]
    found = scores(save_all(pictures, tmp_path / "s", save))
    assert found[name].accuracy > 0.9
    assert name in {one.name for one in telling(tuple(found.values()), network_accuracy=0.95)}
    alone = {one.name for one in telling(tuple(found.values()))}
    assert (name in alone) == (name in (FILES, RING))


def test_pictures_that_differ_in_nothing_else_are_no_shortcut(pictures: list[Image.Image], tmp_path: Path) -> None:
    found = scores(save_all(pictures, tmp_path / "s", jpeg))
    assert set(found) == {BYTES, COLOR, RING, THUMBNAIL, DETAIL, MARKS}  # of the files nothing else differs
    assert telling(tuple(found.values())) == ()
    assert telling(tuple(found.values()), network_accuracy=0.5) == ()


def test_detail_that_compresses_badly_is_content(pictures: list[Image.Image], tmp_path: Path) -> None:
    def rough(image: Image.Image, path: Path, k: int) -> None:
        grain = np.random.default_rng(int(path.name)).normal(0, 30 * k, (SIDE, SIDE, 1))
        jpeg(Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)), path, k)

    found = scores(save_all(pictures, tmp_path / "s", rough))
    assert found[BYTES].accuracy > 0.9
    assert found[BYTES].control > 0.9
    assert telling(tuple(found.values())) == ()


def test_a_quality_that_pixels_show_too_is_told(noise: Callable[..., NDArray[np.uint8]], tmp_path: Path) -> None:
    def coarse(image: Image.Image, path: Path, k: int) -> None:
        jpeg(image, path, k, quality=(90, 60)[k])

    smooth = [Image.fromarray(noise(SIDE, SIDE, seed=seed)) for seed in range(2 * COUNT)]
    found = scores(save_all(smooth, tmp_path / "s", coarse))
    assert found[DETAIL].accuracy > 0.9
    assert [one.name for one in telling(tuple(found.values())) if one.name == FILES]


def test_arrays_have_no_files_and_small_pictures_are_their_thumbnail() -> None:
    source = data.open("digits")
    numbers = range(len(source.samples))
    found = shortcuts(glance(source), [sample.label for sample in source.samples], numbers[::2], numbers[1::2])
    assert [one.name for one in found] == [COLOR, RING, THUMBNAIL, DETAIL, MARKS]
    assert found[2].accuracy > 0.9
    assert telling(found, network_accuracy=0.97) == ()


def one(name: str = COLOR, correct: int = 90, count: int = 100, chance: float = 0.5, **options: object) -> Shortcut:
    return Shortcut(name, correct / count, wilson(correct, count), correct, count, chance, **options)


@pytest.mark.parametrize(
    ("score", "network", "told"),
    [
        (one(), None, False),  # content may tell
        (one(), 0.91, True),  # near the network
        (one(), 0.99, False),
        (one(correct=61), 0.6, False),  # luck
        (one(correct=4, count=4), 1.0, False),  # luck
        (one(FILES, alone=True), None, True),  # far above chance
        (one(FILES, alone=True, control=0.85), None, False),  # as its control
        (one(FILES, alone=True, control=0.85), 0.91, False),  # its control is near the network, too
        (one(FILES, alone=True, correct=70), None, False),
        (one(FILES, alone=True, correct=6, count=6), None, False),  # luck
        (one(correct=100, effective_images=8.0), 1.0, False),  # luck: few independent pictures
        (one(correct=100, effective_images=20.0), 1.0, True),
        (one(FILES, alone=True, chance=0.9, correct=92), 0.92, False),  # the largest class
        (one(THUMBNAIL, whole=True), 0.9, False),
    ],
)
def test_the_rule(score: Shortcut, network: float | None, told: bool) -> None:
    assert telling((score,), network) == ((score,) if told else ())


def test_lines_read_as_sentences() -> None:
    score = one(RING, correct=1000, count=1000)
    assert score.line == (
        "the outermost pixels tell the classes apart at 100.0% of 1,000 pictures (chance 50.0%): "
        "the network may have learned that"
    )
    assert one(FILES).fact == "how the files were saved tells the classes apart at 90.0% of 100 pictures (chance 50.0%)"
    assert json.loads(json.dumps(score.to_dict()))["correct"] == 1000


CUT = (
    "mean color tells the classes apart at 100.0% of 100 pictures (chance 50.0%), and the network at 52.0%. The "
    "network sees less than this classifier: the crop cuts away 33% of the middle picture; --frame pad shows whole "
    "pictures"
)


@pytest.mark.parametrize(
    ("found", "correct", "cut_away", "lines"),
    [
        ([one("mean color", 100)], 52, 0.333, [CUT]),
        ([one("mean color", 100), one("size", 80)], 52, 0.333, [CUT]),
        ([one("mean color", 100, whole=True)], 52, 0.333, [CUT]),  # of small pictures, too
        ([one("mean color", 75)], 70, 0.333, ["the network may have learned that"]),  # within the interval
        ([one("mean color", 100)], 52, 0.0, ["and the network at 52.0%: it has not learned that"]),
        ([one("mean color", 100)], 100, 0.333, ["the network may have learned that"]),
        ([one(FILES, 100, alone=True)], 52, 0.333, ["and the network at 52.0%: it has not learned that"]),
    ],
)
def test_a_network_clearly_below_a_trivial_classifier_has_not_learned_it(
    found: list[Shortcut], correct: int, cut_away: float, lines: list[str]
) -> None:
    said = lines_beside(found, correct / 100, wilson(correct, 100), cut_away)
    assert len(said) == len(lines)
    assert all(line.endswith(end) for line, end in zip(said, lines, strict=True))


def test_nothing_is_scored_without_two_classes_or_test_pictures(pictures: list[Image.Image], tmp_path: Path) -> None:
    source = data.open(save_all(pictures[:8], tmp_path / "s", jpeg))
    glances, labels = glance(source), [sample.label for sample in source.samples]
    assert shortcuts(glances, labels, [0, 1, 4, 5], []) == ()
    assert shortcuts(glances, labels, [0, 1], [4, 5]) == ()
    assert shortcuts(glances, labels, [], [4, 5]) == ()
    assert shortcuts(glances, labels, [0, 4], [1, 5]) == ()  # one picture of each class has no deviation


def test_of_many_classes_the_largest_are_told_apart(
    pictures: list[Image.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CLASSES", 2)
    source = data.open(save_all(pictures[:60], tmp_path / "s", smaller))
    labels = [sample.label if number % 10 else 2 for number, sample in enumerate(source.samples)]
    found = shortcuts(glance(source), labels, range(0, 60, 2), range(1, 60, 2))
    assert (found[0].name, found[0].correct, found[0].count) == (FILES, 30, 30)
    assert max(one.count for one in found) == sum(label < 2 for label in labels[1::2])


def test_validation_is_scored_too_where_the_test_split_is_small() -> None:
    assert list(held_out([1, 2], [3])) == [1, 2, 3]
    assert list(held_out(range(100), [3])) == list(range(100))


def test_the_doctor_warns_of_a_shortcut(pictures: list[Image.Image], tmp_path: Path) -> None:
    diagnosis = diagnose(data.open(save_all(pictures, tmp_path / "s", smaller)))
    ((kind, names, detail),) = diagnosis.of("shortcut")
    assert (kind, names) == ("shortcut", ())
    assert detail.startswith("how the files were saved tells the classes apart at 100.0% of")
    assert diagnosis.sound  # a warning
    assert [score["name"] for score in diagnosis.to_dict()["shortcuts"]] == [
        FILES,
        BYTES,
        COLOR,
        RING,
        THUMBNAIL,
        DETAIL,
        MARKS,
    ]
