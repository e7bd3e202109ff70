"""The input size of a linear probe follows what the pictures show, and never a difference that may be luck."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.core.frame import Frame, Size
from pennyweight.core.picture_header import Header
from pennyweight.verbs.fitting.choose_size import sizes_to_try, why
from pennyweight.verbs.fitting.open import PictureFit, open_fit
from pennyweight.verbs.fitting.request import FitRequest
from pennyweight.verbs.fitting.size_trial import SizeTrial, TrialPictures, better, chosen_of, median_scale

NETWORK = "mobilenet_v1_x0_25"


def trial(size: int, correct: int, of: int = 100, *, first: int = 0) -> SizeTrial:
    right = np.zeros(of, np.bool_)
    right[first : first + correct] = True
    return SizeTrial(size, right, "10 ms")


def test_sizes_are_twice_and_four_times_the_work_and_never_enlarge_pictures() -> None:
    def tried(usual: Size, height: int, width: int, frame: Frame = "crop") -> tuple[Size, ...]:
        headers = [Header(height, width, 3, "PNG", "RGB", 1), None, Header(width, height, 3, "JPEG", "RGB", 6)]
        return sizes_to_try(usual, lambda size: median_scale(headers, size, frame))

    assert tried(224, 1000, 1500) == (320, 448)
    assert tried(224, 600, 400) == (320,)
    assert tried(224, 319, 319) == ()
    assert tried(32, 60, 60) == ()
    assert tried(32, 500, 500) == (64,)
    assert tried((96, 384), 1000, 4250) == ((128, 544), (192, 768))
    assert tried((96, 384), 150, 638) == ((128, 544),)
    # A padded picture enters at the scale of its long side, a stretched one loses most along that side.
    assert tried(224, 200, 1000) == ()
    assert tried(224, 200, 1000, "pad") == (320, 448)
    assert tried(224, 200, 1000, "stretch") == (320, 448)
    assert tried(224, 100, 400, "pad") == (320,)
    assert sizes_to_try(224, lambda size: median_scale([], size, "pad")) == ()


@pytest.mark.parametrize(
    ("more", "taken"), [(0, False), (3, False), (4, False), (5, True), (20, True)], ids="{} more".format
)
def test_a_gain_must_be_more_than_luck(more: int, taken: bool) -> None:
    assert better(trial(224, 70), trial(448, 70 + more)) == taken
    assert not better(trial(448, 70 + more), trial(224, 70))


def test_a_gain_with_as_many_losses_is_luck() -> None:
    assert not better(trial(224, 60), trial(448, 61, first=20))


def test_a_fold_chooses_by_the_answers_outside_it() -> None:
    trials = [trial(224, 70), trial(320, 71), trial(448, 90)]
    assert chosen_of(trials).size == 448
    usual, gained = np.arange(80) < 70, np.arange(30) < 10
    outside = [(usual, gained, None), (usual, gained, gained), (usual, gained | True, gained)]
    trials = [each._replace(outside=answers) for each, answers in zip(trials, outside, strict=True)]
    assert [chosen_of(trials, fold).size for fold in range(3)] == [224, 448, 224]
    few = [trial(224, 97), trial(448, 100)]  # fewer errors than could show a difference
    assert chosen_of(few).size == 224


def grouped_trial() -> tuple[TrialPictures, np.ndarray]:
    """A trial of 20 groups of three equal rows, whose classes say nothing, in two folds of the score; and the rows."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    opened = data.open((pixels, np.repeat(draw.permutation(np.arange(20) % 2), 3)))
    samples = [replace(sample, group=str(number // 3)) for number, sample in enumerate(opened.samples)]
    source = replace(opened, samples=tuple(samples))
    fitting: Any = SimpleNamespace(
        splits=data.Splits(train=source.samples, val=(), test=()), source=source, twins=None, folds=2,
        scored=SimpleNamespace(samples=source.samples), fold_numbers=data.assign_folds(samples, 2),
    )  # fmt: skip
    trial = TrialPictures(fitting)
    rows = draw.normal(size=(20, 50)).astype(np.float32)
    return trial, rows[[int(sample.group or "") for sample in trial.samples]]


def test_groups_stay_whole_and_a_fold_neither_teaches_nor_counts() -> None:
    trial, values = grouped_trial()
    pictures: Any = SimpleNamespace(samples=trial.samples, targets=np.array([each.label for each in trial.samples]))
    answers = trial.answer(values, pictures)
    assert answers is not None
    assert trial.folds is not None
    assert answers.correct.mean() < 0.8  # 100% where a group's rows lie on both sides
    assert [len(each) for each in answers.outside if each is not None] == [
        (trial.folds == 1).sum(),
        (trial.folds == 0).sum(),
    ]
    values[trial.folds == 0] *= -3
    other = trial.answer(values, pictures)
    assert other is not None
    assert (other.correct != answers.correct)[trial.folds == 1].any()
    np.testing.assert_array_equal(np.asarray(other.outside[0]), np.asarray(answers.outside[0]))


def test_the_line_gives_accuracy_and_time_of_each_size() -> None:
    tried = [trial(224, 70), trial(320, 90)]
    line = why(tried, tried[1])
    assert line.startswith("input 320: more detail")
    assert "224 pixels 70.0%, 10 ms; 320 pixels 90.0%, 10 ms" in line


@pytest.fixture(scope="module")
def weights() -> Path:
    if not (shelf := os.environ.get("PENNYWEIGHT_DATA")):
        pytest.skip("PENNYWEIGHT_DATA is not set: no published weights")
    (found,) = (Path(shelf) / "weights").glob(f"{NETWORK}-*")
    return found


@pytest.fixture
def draw(tmp_path: Path, noise: Callable[..., np.ndarray]) -> Callable[..., Path]:
    def make(kind: str, count: int = 34, side: int = 470) -> Path:
        """Two classes that differ in fine stripes, which 224 pixels do not show, or in color."""
        for label in ("one", "two"):
            (tmp_path / kind / label).mkdir(parents=True)
        for number in range(2 * count):
            other = number % 2
            pixels = noise(side, side, seed=number).astype(np.int16)
            if kind == "stripes" and other:
                pixels[:, ::2] += 24
                pixels[:, 1::2] -= 24
            if kind == "colors":
                pixels[..., 0] = pixels[..., 0] // 4 + (150 if other else 20)
            picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            picture.save(tmp_path / kind / ("one", "two")[other] / f"{number}.png", compress_level=1)
        return tmp_path / kind

    return make


def opened(source: Path, weights: Path, **options: object) -> PictureFit:
    request = {"model": NETWORK, "weights": weights, "recipe": {"mode": "head"}, "progress": False, **options}
    return open_fit(FitRequest(source=source, **request), perf_counter())  # type: ignore[arg-type]


@pytest.mark.slow
def test_detail_that_the_usual_size_does_not_show_makes_the_input_larger(
    draw: Callable[..., Path], weights: Path
) -> None:
    found = opened(draw("stripes"), weights)
    assert found.plan.preprocess.size in (320, 448)
    assert found.pictures["train"].preprocess.size == found.plan.preprocess.size
    (line,) = (line for line in found.plan.why if line.startswith("input "))
    assert line.startswith(f"input {found.plan.preprocess.size}: more detail tells the classes better")


@pytest.mark.slow
def test_what_the_usual_size_shows_needs_no_trial(draw: Callable[..., Path], weights: Path) -> None:
    found = opened(draw("colors"), weights)
    assert found.plan.preprocess.size == 224
    assert not any(line.startswith("input ") for line in found.plan.why)


@pytest.mark.slow
def test_a_size_that_was_asked_for_or_begun_with_stays(
    draw: Callable[..., Path], weights: Path, tmp_path: Path
) -> None:
    stripes = draw("stripes")
    assert opened(stripes, weights, input_size=224).plan.preprocess.size == 224
    begun = {"model": NETWORK, "weights": weights, "recipe": {"mode": "head", "epochs": 1}, "progress": False}
    pw.fit(stripes, out=tmp_path / "run", **begun)
    first = pw.load(tmp_path / "run").preprocess.size
    assert opened(stripes, weights, resume=True, out=tmp_path / "run").plan.preprocess.size == first > 224
