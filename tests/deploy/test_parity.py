"""The proof finds what differs, and only that."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pennyweight.core.errors import ParityError
from pennyweight.core.preprocess import Preprocess
from pennyweight.deploy import prove
from pennyweight.deploy.parity import TOLERANCE, make_pictures
from pennyweight.deploy.rounding import exact_classifier
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


EXACT = [[0.9, 0.1]]


@pytest.mark.parametrize(
    ("of_network", "of_bundle", "refused"),
    [
        (2e-4, -2e-4, None),  # as far from float64 as the network, on the other side
        (1e-4, -1.9e-4, None),
        (5e-5, -2e-4, "float64 stand 5.0e-05 from the network and 2.0e-04 from the bundle"),
        (0, 3e-4, "float64 stand 0.0e"),
        (6e-4, -6e-4, "allowed 1e-03"),  # too much to call it rounding
        (2e-4, np.nan, "float64"),
    ],
)
def test_rounding_is_told_from_a_wrong_graph_by_float64(of_network: float, of_bundle: float, refused: str) -> None:
    """A bundle may differ from the network by more than TOLERANCE if float64 lies between the two."""
    network, bundle = (classifier([[0.9 + by, 0.1 - by]]) for by in (of_network, of_bundle))
    if refused is None:
        proof = prove(network, bundle, greys(1), of="greys", exact=lambda: classifier(EXACT)).to_dict()
        assert proof["tolerance"] == 1e-3
        rounding = proof["rounding"]
        assert rounding["network_probability"] == pytest.approx(abs(of_network), abs=1e-7)
        assert rounding["bundle_probability"] == pytest.approx(abs(of_bundle), abs=1e-7)
        assert rounding["bundle_logit"] == pytest.approx(2 * abs(of_bundle), abs=1e-6)
    else:
        with pytest.raises(ParityError, match=refused):
            prove(network, bundle, greys(1), of="greys", exact=lambda: classifier(EXACT))
    with pytest.raises(ParityError, match="allowed 1e-04"):
        prove(network, bundle, greys(1), of="greys")


def test_float64_is_asked_only_where_answers_differ() -> None:
    def never() -> Classifier:
        raise AssertionError

    assert "rounding" not in prove(classifier(ROWS), classifier(ROWS), greys(3), of="greys", exact=never).to_dict()


def test_another_answer_is_refused_although_float64_agrees_with_neither() -> None:
    """Rounding may swap two labels only where their probabilities are as close as it moves them."""
    near, swapped, between = [[0.5007, 0.4993]], [[0.4999, 0.5001]], [[0.5003, 0.4997]]
    with pytest.raises(ParityError, match="0 of 1 answers are the same"):
        prove(classifier(near), classifier(swapped), greys(1), of="greys", exact=lambda: classifier(between))


def test_the_network_in_float64_is_a_copy() -> None:
    """Sums of large numbers that cancel lose in float32 what float64 keeps."""

    class Cancels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.full((1,), 1e6))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            level = images.mean(dim=(1, 2, 3))
            return torch.stack([level / 300 + self.weight - self.weight, 0 * level], dim=1)

    network, preprocess = Cancels().eval(), Preprocess.for_input(4)
    exact = exact_classifier(network, ("a", "b"), preprocess)
    assert network.weight.dtype == torch.float32
    pixels = np.full((1, 4, 4, 3), 255, np.uint8)
    level = float(((1 - np.array(preprocess.mean)) / np.array(preprocess.std)).mean())
    assert exact.engine(pixels).logits[0, 0] == pytest.approx(level / 300, rel=1e-5)


def test_a_network_that_cannot_compute_in_float64_is_compared_as_before() -> None:
    class Float32(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean(dim=(2, 3)) @ torch.ones(3, 2)

    exact = exact_classifier(Float32(), ("a", "b"), Preprocess.for_input(4))
    near, far = classifier([[0.9, 0.1]]), classifier([[0.9 - 3e-4, 0.1 + 3e-4]])
    with pytest.raises(ParityError, match=r"allowed 1e-04.*1 of 1 answers are the same$"):
        prove(near, far, greys(1), of="greys", exact=lambda: exact)


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
