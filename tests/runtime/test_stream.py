"""Any number of pictures through a classifier: in order, in bounded memory, each with an answer or a reason."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.errors import InputError
from pennyweight.core.preprocess import Preprocess
from pennyweight.runtime import Bundle, Classifier, Failure, NamedPicture, Outputs, Prediction

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def plain(colour: str) -> NDArray[np.uint8]:
    return np.full((9, 8, 3), COLOURS[colour], np.uint8)


@pytest.fixture(scope="module")
def classifier(bundle_path: Path) -> Classifier:
    return Bundle(bundle_path).classifier


def test_what_cannot_be_read_keeps_its_place_with_its_reason(classifier: Classifier, tmp_path: Path) -> None:
    torn = tmp_path / "torn.png"
    Image.fromarray(plain("green")).save(torn)
    torn.write_bytes(torn.read_bytes()[:40])
    pictures = [plain("red"), torn, tmp_path / "none.png", b"GIF89a", plain("blue")] * 3
    answers = list(classifier.stream(pictures, batch=2))
    assert [each.source for each in answers[:5]] == ["picture 0", str(torn), str(tmp_path / "none.png"), *answers_of(3)]
    for answer, picture in zip(answers, pictures, strict=True):
        assert isinstance(answer, Prediction if isinstance(picture, np.ndarray) else Failure)
    failures = [each for each in answers[:5] if isinstance(each, Failure)]
    assert all(failure.source in failure.error for failure in failures)
    assert failures[1].to_dict() == {"source": failures[1].source, "error": f"no picture at {tmp_path / 'none.png'}"}


def answers_of(first: int) -> tuple[str, str]:
    return f"picture {first}", f"picture {first + 1}"


def test_a_failure_that_is_given_keeps_its_place(classifier: Classifier) -> None:
    lost = Failure(source="album", error="the folder cannot be listed")
    given = [NamedPicture("a", plain("red")), lost, NamedPicture("b", plain("blue"))]
    assert [each.source for each in classifier.stream_named(given, batch=1)] == ["a", "album", "b"]


def test_batches_answer_as_one_at_a_time_does(classifier: Classifier) -> None:
    draw = np.random.default_rng(0)
    pictures = [draw.integers(0, 256, (7, 9, 3), dtype=np.uint8) for _ in range(100)]
    alone = [classifier.predict(picture)[0] for picture in pictures]
    for batch in (None, 1, 7, 100):
        together = classifier.predict(pictures, batch=batch)
        assert [each.label for each in together] == [each.label for each in alone]
        for one, other in zip(together, alone, strict=True):
            assert dict(one.top) == pytest.approx(dict(other.top), abs=1e-6)


def test_an_endless_stream_is_answered_as_it_comes(classifier: Classifier) -> None:
    drawn = 0

    def endless() -> Iterator[NDArray[np.uint8]]:
        nonlocal drawn
        for colour in itertools.cycle(COLOURS):
            drawn += 1
            yield plain(colour)

    answers = classifier.stream(endless(), batch=4)
    labels = [answer.label for answer in itertools.islice(answers, 30) if isinstance(answer, Prediction)]
    assert labels == ["red", "green", "blue"] * 10
    assert drawn < 30 + 4 * 200  # a bounded number ahead, on any number of cores
    answers.close()  # type: ignore[attr-defined]
    seen = drawn
    assert next(classifier.stream(endless())).source == "picture 0"
    assert drawn > seen


def test_a_buffer_that_is_filled_again_is_read_when_it_is_given(classifier: Classifier) -> None:
    def frames() -> Iterator[NDArray[np.uint8]]:
        buffer = np.empty((9, 8, 3), np.uint8)
        for colour in ("red", "green", "blue"):
            buffer[:] = COLOURS[colour]
            yield buffer

    assert [each.label for each in classifier.predict(frames())] == ["red", "green", "blue"]


def test_the_frames_of_one_pillow_image_are_several_pictures(classifier: Classifier, tmp_path: Path) -> None:
    frames = [Image.fromarray(plain(colour)) for colour in COLOURS]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "film.gif") as film:

        def each() -> Iterator[Image.Image]:
            for number in range(3):
                film.seek(number)
                yield film

        assert [each.label for each in classifier.predict(each())] == ["red", "green", "blue"]


def test_an_engine_of_ones_own_is_never_called_twice_at_once() -> None:
    busy = threading.Lock()

    def engine(pixels: NDArray[np.uint8]) -> Outputs:
        assert busy.acquire(blocking=False)
        try:
            row = np.tile(np.array([0.25, 0.75], np.float32), (len(pixels), 1))
            return Outputs(row, row)
        finally:
            busy.release()

    classifier = Classifier(engine, ("a", "b"), Preprocess.for_input(4))
    assert len(classifier.predict([plain("red")] * 200, batch=2)) == 200


def test_numbers_that_are_none_are_a_failure() -> None:
    def engine(pixels: NDArray[np.uint8]) -> Outputs:
        row = np.array([[np.nan, np.nan]] + [[0.5, 0.5]] * (len(pixels) - 1), np.float32)
        return Outputs(row, row)

    classifier = Classifier(engine, ("a", "b"), Preprocess.for_input(4))
    first, second = classifier.stream([plain("red"), plain("blue")])
    assert isinstance(first, Failure)
    assert "NaN" in first.error
    assert isinstance(second, Prediction)


def test_what_an_engine_raises_is_raised(bundle_path: Path) -> None:
    def engine(pixels: NDArray[np.uint8]) -> Outputs:
        raise ValueError("no such luck")

    classifier = Classifier(engine, ("a", "b"), Preprocess.for_input(4))
    with pytest.raises(ValueError, match="no such luck"):
        list(classifier.stream([plain("red")] * 50, batch=1))


@pytest.mark.parametrize("wrong", [{"top": 0}, {"batch": 0}])
def test_wrong_numbers_are_refused_before_a_picture_is_asked_for(classifier: Classifier, wrong: dict[str, int]) -> None:
    def none() -> Iterator[Path]:
        raise AssertionError
        yield

    with pytest.raises(InputError, match="must be at least 1, not 0"):
        classifier.stream(none(), **wrong)
