"""Pictures of every kind go in; what comes out is named, ranked and in order."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core.errors import ImageError, InputError
from pennyweight.core.preprocess import Preprocess
from pennyweight.runtime import Bundle, Classifier, Outputs

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def plain(colour: str) -> NDArray[np.uint8]:
    return np.full((9, 8, 3), COLOURS[colour], np.uint8)


@pytest.fixture(scope="module")
def classifier(bundle_path: Path) -> Classifier:
    return Bundle(bundle_path).classifier


@pytest.fixture
def green_file(tmp_path: Path) -> Path:
    Image.fromarray(plain("green")).save(tmp_path / "leaf.png")
    return tmp_path / "leaf.png"


def test_a_path_its_text_and_its_bytes(classifier: Classifier, green_file: Path) -> None:
    for picture, name in ((green_file, str(green_file)), (str(green_file), str(green_file))):
        assert [(p.source, p.label) for p in classifier.predict(picture)] == [(name, "green")]
    assert [(p.source, p.label) for p in classifier.predict(green_file.read_bytes())] == [("picture 0", "green")]


def test_an_array_and_a_pillow_image(classifier: Classifier) -> None:
    for picture in (plain("blue"), Image.fromarray(plain("blue"))):
        assert [(p.source, p.label) for p in classifier.predict(picture)] == [("picture 0", "blue")]


def test_many_of_many_kinds_keep_their_order(classifier: Classifier, green_file: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(plain("red")).save(stream, "JPEG")
    pictures = [plain("blue"), str(green_file), stream.getvalue(), Image.fromarray(plain("green"))]
    expected = [("picture 0", "blue"), (str(green_file), "green"), ("picture 2", "red"), ("picture 3", "green")]
    for given in (pictures, tuple(pictures), iter(pictures)):
        assert [(p.source, p.label) for p in classifier.predict(given)] == expected


@pytest.mark.parametrize("batch", [1, 2, 3, 32])
def test_the_batch_changes_nothing_but_memory(classifier: Classifier, batch: int) -> None:
    pictures = [plain(colour) for colour in ("red", "green", "blue", "blue", "red")]
    predictions = classifier.predict(pictures, batch=batch)
    assert [p.label for p in predictions] == ["red", "green", "blue", "blue", "red"]
    assert [p.source for p in predictions] == [f"picture {number}" for number in range(5)]


def test_pixels_of_another_input_are_refused(classifier: Classifier) -> None:
    """Networks that pool would answer for any size, such as a rectangle that lies on its side."""
    height, width, channels = classifier.preprocess.shape
    right = np.zeros((2, height, width, channels), np.uint8)
    assert classifier.probabilities(right).shape == (2, len(classifier.labels))
    lain = right.reshape(2, height // 2, width * 2, channels)
    for wrong in (lain, right[0], right.astype(np.float32), right.transpose(0, 3, 1, 2)):
        with pytest.raises(InputError, match=rf"shape \(B, {height}, {width}, {channels}\), not {wrong.dtype} \("):
            classifier.probabilities(wrong)


def test_none_is_none(classifier: Classifier) -> None:
    assert classifier.predict([]) == []


def test_the_likeliest_come_first_with_their_probabilities(classifier: Classifier) -> None:
    orange = np.full((6, 6, 3), (96, 64, 0), np.uint8)
    logits = np.array([3.0, 2.0, 0.0])
    shares = np.exp(logits) / np.exp(logits).sum()
    (prediction,) = classifier.predict(orange)
    assert [label for label, _ in prediction.top] == ["red", "green", "blue"]
    assert [value for _, value in prediction.top] == pytest.approx(shares, abs=1e-6)
    assert (prediction.label, prediction.probability) == prediction.top[0]
    assert json.loads(json.dumps(prediction.to_dict()))["top"][1][0] == "green"


@pytest.mark.parametrize(("top", "named"), [(1, 1), (2, 2), (3, 3), (5, 3), (1000, 3)])
def test_no_more_labels_than_there_are(classifier: Classifier, top: int, named: int) -> None:
    assert len(classifier.predict(plain("red"), top)[0].top) == named


@pytest.mark.parametrize("top", [0, -1])
def test_top_is_at_least_one(classifier: Classifier, top: int) -> None:
    with pytest.raises(InputError, match=f"top must be at least 1, not {top}"):
        classifier.predict(plain("red"), top)


def test_equal_probabilities_stay_in_the_order_of_the_labels(classifier: Classifier) -> None:
    grey = np.full((6, 6, 3), 128, np.uint8)
    assert [label for label, _ in classifier.predict(grey)[0].top] == ["red", "green", "blue"]


def test_the_picture_that_cannot_be_read_is_named(classifier: Classifier, green_file: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.png"
    torn.write_bytes(green_file.read_bytes()[:40])
    with pytest.raises(ImageError, match=r"torn\.png"):
        classifier.predict([green_file, torn])
    with pytest.raises(ImageError, match="no picture at"):
        classifier.predict(tmp_path / "none.png")
    with pytest.raises(InputError, match="float64"):
        classifier.predict(plain("red") / 255)  # type: ignore[arg-type]


def test_the_engine_sees_what_the_preprocessing_makes() -> None:
    seen = []

    def engine(pixels: NDArray[np.uint8]) -> Outputs:
        seen.append(pixels)
        row = np.tile(np.array([0.25, 0.75], np.float32), (len(pixels), 1))
        return Outputs(row, row)

    preprocess = Preprocess.for_input(4, channels=1)
    picture = np.random.default_rng(0).integers(0, 256, (10, 7, 3), dtype=np.uint8)
    assert Classifier(engine, ("a", "b"), preprocess).predict([picture, picture])[1].label == "b"
    assert seen[0].shape == (2, 4, 4, 1)
    assert np.array_equal(seen[0][0], preprocess(picture))


def test_no_batch_of_nothing(classifier: Classifier) -> None:
    with pytest.raises(InputError, match="batch must be at least 1, not 0"):
        classifier.predict(plain("red"), batch=0)


@pytest.mark.parametrize("given", [None, 5, {"a.png": 1}])
def test_what_is_no_picture_is_named(classifier: Classifier, given: object) -> None:
    with pytest.raises(InputError, match=f"or Pillow images, not {type(given).__name__}"):
        classifier.predict(given)
