"""The proof finds what differs, and only that."""

import io

import numpy as np
import pytest
from PIL import Image

from pennyweight.core.errors import ParityError
from pennyweight.core.preprocess import Preprocess
from pennyweight.deploy import prove
from pennyweight.deploy.parity import TOLERANCE, make_pictures
from pennyweight.runtime import Classifier, Outputs


def classifier(rows: list[list[float]], *, size: int = 4) -> Classifier:
    """Answers picture n, which is grey of level n, with row n."""

    def engine(pixels: np.ndarray) -> Outputs:
        answers = np.array(rows, np.float32)[pixels[:, 0, 0, 0]]
        return Outputs(answers, answers * 2)

    return Classifier(engine, ("a", "b"), Preprocess.for_input(size))


def greys(count: int) -> list[np.ndarray]:
    return [np.full((8, 8), level, np.uint8) for level in range(count)]


ROWS = [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]


def test_equal_answers() -> None:
    proof = prove(classifier(ROWS), classifier(ROWS), greys(3), of="greys")
    assert proof.to_dict() == {
        "pictures": 3,
        "of": "greys",
        "largest_probability_difference": 0.0,
        "largest_logit_difference": 0.0,
        "same_top1": 3,
        "tolerance": TOLERANCE,
    }


@pytest.mark.parametrize("odd", [0, 40, 69])
def test_one_picture_of_many_is_found_in_whichever_batch(odd: int) -> None:
    rows = [ROWS[0]] * 70
    other = [*rows]
    other[odd] = [0.9 - 2 * TOLERANCE, 0.1 + 2 * TOLERANCE]
    with pytest.raises(ParityError, match=r"up to 2.0e-04 \(allowed 1e-04\), .*, 70 of 70 answers"):
        prove(classifier(rows), classifier(other), greys(70), of="greys")


def test_a_tie_may_fall_either_way_within_the_tolerance() -> None:
    tilted = [[0.9, 0.1], [0.2, 0.8], [0.49996, 0.50004]]
    assert prove(classifier(ROWS), classifier(tilted), greys(3), of="greys").same_top1 == 2


def test_logits_are_compared_too() -> None:
    """Probabilities of many classes are small, so that those of a wrong graph are near them."""
    classes = 1000
    logits = np.random.default_rng(0).normal(size=(8, classes)).astype(np.float32) / 100

    def answering(values: np.ndarray) -> Classifier:
        def engine(pixels: np.ndarray) -> Outputs:
            chosen = values[pixels[:, 0, 0, 0]]
            powers = np.exp(chosen)
            return Outputs(powers / powers.sum(1, keepdims=True), chosen)

        return Classifier(engine, tuple(map(str, range(classes))), Preprocess.for_input(4))

    prove(answering(logits), answering(logits * np.float32(1 + 1e-5)), greys(8), of="greys")
    with pytest.raises(ParityError, match=r"probabilities differ by up to \S+e-0[5-9] .*, logits by"):
        prove(answering(logits), answering(np.roll(logits, 1, axis=0)), greys(8), of="greys")
    with pytest.raises(ParityError, match="logits by"):  # a large bias hides nothing
        prove(answering(logits + 5), answering(np.roll(logits, 1, axis=0) + 5), greys(8), of="greys")


def test_masked_classes_have_no_difference() -> None:
    masked = [[1.0, 0.0], [1.0, 0.0]]

    def engine(pixels: np.ndarray) -> Outputs:
        rows = np.array(masked, np.float32)[pixels[:, 0, 0, 0]]
        return Outputs(rows, np.where(rows > 0, np.float32(3), -np.inf))

    one = Classifier(engine, ("a", "b"), Preprocess.for_input(4))
    assert prove(one, one, greys(2), of="greys").largest_logit_difference == 0


def test_another_answer_is_refused_even_where_probabilities_are_close() -> None:
    near, swapped = [[0.50007, 0.49993]], [[0.49998, 0.50002]]
    with pytest.raises(ParityError, match="0 of 1 answers are the same"):
        prove(classifier(near), classifier(swapped), greys(1), of="greys")


def test_another_answer_is_refused() -> None:
    swapped = [[0.9, 0.1], [0.8, 0.2], [0.5, 0.5]]
    with pytest.raises(ParityError, match="2 of 3 answers are the same"):
        prove(classifier(ROWS), classifier(swapped), greys(3), of="greys")


def test_what_is_no_number_is_refused() -> None:
    for broken in ([[np.nan, 0.1], *ROWS[1:]], [[np.nan, np.nan], *ROWS[1:]]):
        with pytest.raises(ParityError):
            prove(classifier(ROWS), classifier(broken), greys(3), of="greys")
        with pytest.raises(ParityError):
            prove(classifier(broken), classifier(broken), greys(3), of="greys")


def test_each_reads_the_files_itself() -> None:
    """A preprocessing that differs is seen, although the graphs are the same."""

    def mean(pixels: np.ndarray) -> Outputs:
        level = pixels.mean(axis=(1, 2, 3), dtype=np.float32) / 255
        both = np.stack([level, 1 - level], axis=1)
        return Outputs(both, both)

    picture = np.random.default_rng(0).integers(0, 256, (31, 17, 3), dtype=np.uint8)
    one, other = (
        Classifier(mean, ("a", "b"), Preprocess(size=8, resize=8, interpolation=interpolation))
        for interpolation in ("bilinear", "nearest")
    )
    with pytest.raises(ParityError):
        prove(one, other, [picture], of="noise")


@pytest.mark.parametrize("channels", [1, 3])
def test_made_pictures_are_varied_and_always_the_same(channels: int) -> None:
    first, again = make_pictures(channels), make_pictures(channels)
    assert first == again
    assert len(first) == 16
    images = [Image.open(io.BytesIO(picture)) for picture in first if isinstance(picture, bytes)]
    assert len({image.size for image in images}) == 16
    assert {image.mode for image in images} == {"RGB" if channels == 3 else "L"}
    assert all(np.asarray(image).std() > 20 for image in images)


@pytest.mark.parametrize("channels", [1, 3, 4, 7])
def test_pictures_are_made_for_any_number_of_bands(channels: int) -> None:
    preprocess = Preprocess.for_input(8, channels=channels)
    seen = [preprocess(picture) for picture in make_pictures(channels, count=3)]
    assert all(pixels.shape == (8, 8, channels) for pixels in seen)
    assert not np.array_equal(seen[0], seen[1])
